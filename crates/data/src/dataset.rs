//! Examples, their labels, and the lists they are kept in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::array::Array;
use super::decode::read;
use super::file_name::composed;
use super::held::HeldPicture;
use super::{DataError, LabelKind, PackedPicture, Reading, SkipReport, ValueRange, path_text};
use frostline_files::regular;

/// What an example is to be mapped to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An index into [`Dataset::classes`].
    Class(usize),
    /// Indices into [`Dataset::classes`], ascending: as many labels as the example has, which may be none.
    Labels(Vec<usize>),
    /// Numbers, for a regression: one, or one for each output.
    Value(Vec<f32>),
}

/// Where the values of an example lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// An image file.
    File(PathBuf),
    /// A row of the npz array that was read for `split`. The array keeps its name when a validation part is split
    /// off `x_train`.
    Row {
        /// The array.
        split: Split,
        /// The row.
        row: usize,
    },
    /// A picture in memory.
    Picture(HeldPicture),
    /// A picture in a file with others.
    Packed(PackedPicture),
}

impl Input {
    /// What an image file holds, wherever it lies, with its name for messages; none of what is in memory. `name`: the example's.
    pub(super) fn file(&self, name: &str) -> Option<Result<(Vec<u8>, String), DataError>> {
        match self {
            Self::File(path) => Some(read(path).map(|bytes| (bytes, path_text(path)))),
            Self::Packed(picture) => Some(picture.read(name).map(|bytes| (bytes, name.to_owned()))),
            Self::Row { .. } | Self::Picture(_) => None,
        }
    }

    /// The file, where it is one of its own.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }
}

/// One labelled input.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Where the values lie.
    pub input: Input,
    /// The label.
    pub target: Target,
    /// The path below the source, with `/`, or the row as `x_train[17]`. Unique in the dataset unless a CSV lists a
    /// file twice.
    pub name: String,
}

impl Example {
    /// Whether its input is an image file, alone or in a file with others.
    pub fn is_file(&self) -> bool {
        matches!(self.input, Input::File(_) | Input::Packed(_))
    }
}

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// What weights are fitted to.
    Train,
    /// What settings are chosen by.
    Val,
    /// What is reported.
    Test,
}

impl Split {
    /// All splits, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// Labelled examples in up to three splits.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The folder or file it was read from.
    pub source: PathBuf,
    /// The names of classes, or of labels, by index; empty for a regression.
    pub classes: Vec<String>,
    /// What is said of the source.
    pub reading: Reading,
    /// What to train on.
    pub train: Vec<Example>,
    /// What to validate on, if the source says so or [`Dataset::hold_out`] split it off.
    pub val: Option<Vec<Example>>,
    /// What to report on.
    pub test: Option<Vec<Example>>,
    /// What the user should know though it is no error, one line each.
    pub warnings: Vec<String>,
    /// Whether the source itself says which examples are to train on, as `train/` does.
    pub has_parts: bool,
    pub(super) arrays: [Option<std::sync::Arc<Array>>; 3],
    pub(super) class_names_known: bool,
    pub(super) contents: super::contents::Contents,
}

impl Dataset {
    /// The examples of a split; none where there is no such split.
    pub fn split(&self, split: Split) -> &[Example] {
        match split {
            Split::Train => &self.train,
            Split::Val => self.val.as_deref().unwrap_or_default(),
            Split::Test => self.test.as_deref().unwrap_or_default(),
        }
    }

    pub(super) fn set_split(&mut self, split: Split, examples: Vec<Example>) {
        match split {
            Split::Train => self.train = examples,
            Split::Val => self.val = Some(examples),
            Split::Test => self.test = Some(examples),
        }
    }

    /// Every example, in the order train, val, test.
    pub fn examples(&self) -> impl Iterator<Item = (Split, &Example)> {
        Split::ALL.into_iter().flat_map(|split| self.split(split).iter().map(move |e| (split, e)))
    }

    /// True where targets are numbers, not classes.
    pub fn is_regression(&self) -> bool {
        self.classes.is_empty()
    }

    /// What the labels are.
    pub fn kind(&self) -> LabelKind {
        match self.examples().next() {
            _ if self.is_regression() => LabelKind::Numbers,
            Some((_, Example { target: Target::Labels(_), .. })) => LabelKind::Labels,
            _ => LabelKind::Classes,
        }
    }

    /// Takes the class of each example for the only label that it has.
    pub(super) fn take_classes_as_labels(&mut self) {
        let Self { train, val, test, .. } = self;
        let mut count = 0;
        for example in train.iter_mut().chain(val.iter_mut().flatten()).chain(test.iter_mut().flatten()) {
            if let Target::Class(class) = example.target {
                example.target = Target::Labels(vec![class]);
                count += 1;
            }
        }
        if count > 0 {
            self.warnings
                .push(format!("each of {count} examples has one label, its class, and none of the others"));
        }
    }

    /// The number of values that a target holds, which is what a regression head must put out; 1 for classes.
    pub fn target_len(&self) -> usize {
        match self.examples().next() {
            Some((_, Example { target: Target::Labels(_), .. })) => self.classes.len(),
            Some((_, Example { target: Target::Value(v), .. })) => v.len(),
            _ => 1,
        }
    }

    /// The array that was read for a split of an npz source.
    pub fn array(&self, split: Split) -> Option<&Array> {
        self.arrays[split as usize].as_deref()
    }

    /// The shape of one input where it is known before decoding: npz rows, all of one shape.
    pub fn row_shape(&self) -> Option<&[usize]> {
        self.array(Split::Train).map(Array::row_shape)
    }

    /// The scale of the raw values, before preprocessing: 0 to 255 for images and u8 arrays; for f32 arrays 0 to 1
    /// where all values lie there, else 0 to 255 where all lie there, else what is found.
    pub fn value_range(&self) -> ValueRange {
        match self.found_range() {
            r if r.min >= 0.0 && r.max <= 1.0 => ValueRange { min: 0.0, max: 1.0 },
            r if r.min >= 0.0 && r.max <= 255.0 => ValueRange::BYTES,
            r => r,
        }
    }

    /// The smallest and the largest of all raw values of arrays; 0 to 255 for images and u8 arrays.
    pub fn found_range(&self) -> ValueRange {
        let arrays = self.arrays.iter().flatten().map(|array| array.value_range());
        arrays.reduce(ValueRange::or).unwrap_or(ValueRange::BYTES)
    }

    /// A hash of what an example's input is decoded from: the file's bytes, or the row's type, shape and values.
    /// Equal inputs have equal hashes, wherever they lie.
    pub fn content_hash(&self, example: &Example) -> Result<blake3::Hash, DataError> {
        match &example.input {
            Input::File(path) => {
                let bytes = regular::read(path).map_err(|e| DataError::io(path, e))?;
                Ok(blake3::hash(&bytes))
            }
            Input::Row { split, row } => match self.array(*split) {
                Some(array) if *row < array.rows() => Ok(array.hash_row(*row)),
                _ => Err(self.foreign(example)),
            },
            Input::Picture(picture) => Ok(picture.content_hash()),
            Input::Packed(picture) => Ok(blake3::hash(&picture.read(&example.name)?)),
        }
    }

    pub(super) fn foreign(&self, example: &Example) -> DataError {
        DataError::image(
            &example.name,
            format!("is not a row of `{}`", self.source.display()),
            "load an example with the dataset that it came from",
        )
    }

    /// Splits a validation part off `train`: stratified by class, or plainly at random for a regression; see
    /// [`Dataset::holdout`]. `fraction` lies in (0, 1).
    pub fn hold_out(&mut self, fraction: f64, seed: u64) -> Result<(), DataError> {
        let (kept, held) = self.holdout(&self.train, fraction, seed)?;
        if held.is_empty() || kept.is_empty() {
            return Err(DataError::source(
                &self.source,
                format!("{} examples are too few to hold out {fraction} of them", self.train.len()),
                "add examples, or train without validation: the setting `val = 0`",
            ));
        }
        let pick = |indices: &[usize]| indices.iter().map(|&i| self.train[i].clone()).collect::<Vec<_>>();
        let (train, val) = (pick(&kept), pick(&held));
        self.train = train;
        self.val = Some(val);
        Ok(())
    }

    /// Takes the examples of another folder or CSV as the validation split, its classes matched by name.
    pub fn validate_on(&mut self, path: &Path) -> Result<(), DataError> {
        let reading = Reading { task: Some(self.kind()), root: None, ..self.reading.clone() };
        let mut other = super::read(path, (!self.is_regression()).then_some(&self.classes), &reading)?;
        if other.arrays.iter().any(Option::is_some) {
            return Err(DataError::source(
                path,
                "arrays cannot be the validation part of another source",
                "give a folder or a CSV, or put `x_val` and `y_val` into the npz file that is trained on",
            ));
        }
        if other.is_regression() != self.is_regression() {
            return Err(DataError::source(
                path,
                "has classes where the training data has numbers, or the other way round",
                "give validation data with labels of the same kind",
            ));
        }
        if !self.is_regression() {
            other.relabel(&self.classes)?;
        }
        let part = match (&other.val, &other.test) {
            (Some(_), _) => Split::Val,
            (None, None) => Split::Train,
            (None, Some(_)) => {
                return Err(DataError::source(
                    path,
                    "has several parts, and none to validate on",
                    "give the folder of one part, or mark the examples `val`",
                ));
            }
        };
        if other.has_parts && part != Split::Train && !other.train.is_empty() {
            let left_out = other.train.len() + other.test.as_ref().map_or(0, Vec::len);
            other.warnings.push(format!(
                "of `{}` the {} examples to validate on are taken; {left_out} others are left out",
                path_text(path),
                other.split(part).len()
            ));
        }
        self.warnings.append(&mut other.warnings);
        self.val = Some(other.split(part).to_vec());
        Ok(())
    }

    /// The dataset without the examples that a check found to be damaged.
    pub fn without(&self, skips: &SkipReport) -> Dataset {
        let bad: std::collections::HashSet<(Split, &str)> =
            skips.skipped.iter().map(|s| (s.split, s.name.as_str())).collect();
        let mut dataset = self.clone();
        for split in Split::ALL {
            if bad.iter().any(|(s, _)| *s == split) {
                let kept = self.split(split).iter().filter(|e| !bad.contains(&(split, e.name.as_str())));
                dataset.set_split(split, kept.cloned().collect());
            }
        }
        dataset
    }

    /// Numbers the classes as `classes` does, matched by name.
    pub(super) fn relabel(&mut self, classes: &[String]) -> Result<(), DataError> {
        if self.is_regression() {
            return Ok(());
        }
        let index: HashMap<String, usize> =
            classes.iter().enumerate().map(|(index, name)| (composed(name), index)).collect();
        let by_name = |name: &String| index.get(&composed(name)).copied();
        let by_number = |name: &String| name.parse().ok().filter(|number: &usize| *number < classes.len());
        let map: Vec<Option<usize>> = match self.class_names_known {
            true if self.classes.iter().all(|name| by_name(name).is_none() && by_number(name).is_some()) => {
                self.warnings.push(format!(
                    "the labels are numbers, which stand for the model's classes in their order, from 0 for `{}`",
                    classes[0]
                ));
                self.classes.iter().map(by_number).collect()
            }
            true => self.classes.iter().map(by_name).collect(),
            false => (0..self.classes.len()).map(|i| (i < classes.len()).then_some(i)).collect(),
        };
        let Self { train, val, test, source, classes: own, warnings, .. } = self;
        let number_of = |class: usize| {
            map[class].ok_or_else(|| {
                DataError::source(
                    source,
                    format!(
                        "class `{}` is none of the model's {} classes: {}{}",
                        own[class],
                        classes.len(),
                        listed(classes),
                        told(warnings)
                    ),
                    format!(
                        "rename the class as the model does, or leave it out with the setting `exclude = {}`",
                        own[class]
                    ),
                )
            })
        };
        for example in train.iter_mut().chain(val.iter_mut().flatten()).chain(test.iter_mut().flatten()) {
            match &mut example.target {
                Target::Class(class) => *class = number_of(*class)?,
                Target::Labels(labels) => {
                    *labels = labels.iter().map(|label| number_of(*label)).collect::<Result<_, _>>()?;
                    labels.sort_unstable();
                }
                Target::Value(_) => {}
            }
        }
        self.classes = classes.to_vec();
        self.class_names_known = true;
        Ok(())
    }

    /// How many examples of a list belong to each class, or have each label.
    pub fn class_counts(&self, examples: &[Example]) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for example in examples {
            match &example.target {
                Target::Class(class) => counts[*class] += 1,
                Target::Labels(labels) => labels.iter().for_each(|label| counts[*label] += 1),
                Target::Value(_) => {}
            }
        }
        counts
    }

    /// Errors where nothing could be learned: no example, or one class only.
    pub(super) fn require_trainable(&self) -> Result<(), DataError> {
        if self.train.is_empty() {
            return Err(DataError::source(
                &self.source,
                "has no example to train on",
                "put the examples to train on into `train/`, or mark them `train` in the CSV",
            ));
        }
        if self.is_regression() {
            return Ok(());
        }
        let counts = self.class_counts(&self.train);
        if self.kind() == LabelKind::Labels {
            let is_told_apart = |count: &usize| *count > 0 && *count < self.train.len();
            return match counts.iter().any(is_told_apart) {
                true => Ok(()),
                false => Err(DataError::source(
                    &self.source,
                    "has no label that some of the examples to train on have, and others have not",
                    "there must be examples with a label and without it",
                )),
            };
        }
        let filled: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 0).collect();
        if let [only] = filled[..] {
            return Err(DataError::source(
                &self.source,
                format!(
                    "all examples to train on are of one class, `{}`{}",
                    self.classes[only],
                    told(&self.warnings)
                ),
                "a classifier needs at least two classes: a folder (or label) for each",
            ));
        }
        Ok(())
    }
}

/// What was warned of, for an error that it may explain.
fn told(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("\n{warning}")).collect()
}

/// Names for a message: the first few, in backticks.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{}`", n.as_ref())).collect();
    if names.len() > SHOWN {
        text.push(format!("… ({} in all)", names.len()));
    }
    text.join(", ")
}
