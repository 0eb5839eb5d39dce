//! From a user's photos or arrays to the f32 batches that a model takes.
//!
//! 1. [`open`] finds the examples and their labels: class folders, a CSV list, an npz file, tar or Parquet files. Nothing is
//!    decoded.
//! 2. [`check_all`] decodes every file once (where features are stored, the first pass over the images does that instead);
//!    [`Dataset::without`] leaves out those that are damaged.
//! 3. [`Dataset::hold_out`] splits validation examples off, stratified by class.
//! 4. A [`Pipeline`] loads examples: decode, [`Resize`] by a named kernel into a shape by [`Fit`], [`Augment`] where a view is asked for,
//!    [`Preprocess`], into `[height, width, channels]` f32.
//!
//! Every step is deterministic: the same files, settings and seed give the same bytes, whatever the number of threads.
//!
//! Architecture invariant: nothing here knows of models, layers or plans.

mod array;
mod augment;
mod check;
mod choose;
mod contents;
mod dataset;
mod decode;
mod doubtful_names;
mod duplicates;
mod error;
mod exclude;
mod file_name;
mod fit;
mod folders;
mod held;
mod image;
mod in_memory;
mod loader;
mod manifest;
pub mod npy;
mod npz;
mod of_files;
mod packed;
mod part;
mod preprocess;
mod random;
mod range;
mod reading;
mod resize;
mod several;
mod split;
mod summary;
mod thumbnail;
mod view;

pub use array::{Array, ArrayScale, Lender, Values};
pub use augment::{Augment, ViewSeed};
pub use check::files;
pub use check::{Fault, Skip, SkipReport, check_all, check_example};
pub use dataset::{Dataset, Example, Input, Split, Target};
pub use decode::{
    DECODER_VERSION, MAX_PIXELS, ScaledDecode, decode, decode_file, decode_file_for, decode_for,
    panic_is_contained, picture_size, picture_size_of,
};
pub use error::DataError;
pub use exclude::{Exclude, Pattern};
pub use file_name::{path_text, serialize_path};
pub use fit::{Fit, Place};
pub use folders::{is_named_as_picture, pictures_in};
pub use held::HeldPicture;
pub use image::{Image, Pixels};
pub use in_memory::{InMemory, MemoryInputs, MemoryPicture};
pub use loader::Pipeline;
pub use packed::{PackedPicture, is_data_name, shard_names};
pub use preprocess::{AffinePixels, Preprocess};
pub use random::Random;
pub use range::ValueRange;
pub use reading::{Channels, LabelKind, Reading};
pub use resize::Resize;
pub use split::{holdout, shuffled, spread};
pub use thumbnail::Thumbnail;
pub use view::View;

use std::path::Path;

/// Opens a source of labelled examples for training.
///
/// * a folder with one folder a class, or with `train/` and, if there, `val/` and `test/` above those, however these are
///   written (`Training`, `test_set`, `dev`);
/// * a CSV file with columns of paths and labels, and of parts if there are any, under their usual names and with any usual
///   separator; whole numbers that are few are classes, others are learned as numbers; an image may have several labels;
/// * an `.npz` file with `x_train, y_train[, x_val, y_val][, x_test, y_test][, class_names]`;
/// * a tar file with members as WebDataset has them (`KEY.jpg` beside `KEY.cls`, `KEY.txt` or `KEY.json`), or with folders of
///   classes; a Parquet file with a column of images, as Hugging Face writes it; several of them in a folder, or by a pattern as
///   `shard-{000..012}.tar`. Parts are told by the files' names.
///
/// There must be at least two classes with examples to train on, or a regression target.
pub fn open(path: &Path) -> Result<Dataset, DataError> {
    open_as(path, &Reading::default())
}

/// [`open`], where more is said of the source.
pub fn open_as(path: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    Source::Path(path).open_as(reading)
}

/// Opens a source for a model whose classes are known, as to evaluate it: labels become indices into `classes`,
/// matched by name, never by order. Classes without an example are allowed; a class that the model does not have
/// is an error. An npz without `class_names` is taken to hold indices into `classes` already.
pub fn open_for(path: &Path, classes: &[String]) -> Result<Dataset, DataError> {
    open_for_as(path, classes, &Reading::default())
}

/// [`open_for`], where more is said of the source. Labels are classes, whatever they look like, unless the reading says
/// otherwise.
pub fn open_for_as(path: &Path, classes: &[String], reading: &Reading) -> Result<Dataset, DataError> {
    Source::Path(path).open_for_as(classes, reading)
}

/// Opens a source for its features: one class is enough, and photos that lie in a folder without class folders have no label
/// (see [`Dataset::has_labels`]).
pub fn open_for_features(path: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    Source::Path(path).open_for_features(reading)
}

/// Where examples come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A folder, a list, or a file of arrays.
    Path(&'a Path),
    /// Memory.
    Memory(&'a InMemory),
}

impl Source<'_> {
    /// See [`open_as`].
    pub fn open_as(&self, reading: &Reading) -> Result<Dataset, DataError> {
        let mut dataset = self.read(None, reading)?;
        dataset.warnings.extend(doubtful_names::told(&dataset.classes));
        dataset.require_trainable()?;
        Ok(dataset)
    }

    /// See [`open_for_as`].
    pub fn open_for_as(&self, classes: &[String], reading: &Reading) -> Result<Dataset, DataError> {
        let reading = Reading { task: reading.task.or(Some(LabelKind::Classes)), ..reading.clone() };
        let mut dataset = self.read(Some(classes), &reading)?;
        dataset.relabel(classes)?;
        if let Some(wanted) = reading.classes.as_ref().filter(|_| !dataset.is_regression()) {
            dataset.keep_only(wanted)?;
        }
        Ok(dataset)
    }

    /// See [`open_for_features`].
    pub fn open_for_features(&self, reading: &Reading) -> Result<Dataset, DataError> {
        self.read(None, reading).or_else(|error| match self {
            Self::Path(path) => without_labels(path, reading).unwrap_or(Err(error)),
            Self::Memory(_) => Err(error),
        })
    }

    fn read(&self, known: Option<&[String]>, reading: &Reading) -> Result<Dataset, DataError> {
        match self {
            Self::Path(path) => read(path, known, reading),
            Self::Memory(memory) => as_said(memory.read(reading)?, memory.name(), known, reading),
        }
    }
}

/// Photos of which nothing is said, where `path` leads to such.
fn without_labels(path: &Path, reading: &Reading) -> Option<Result<Dataset, DataError>> {
    if is_packed(path) {
        let read = packed::read(path, reading, packed::Labelled::IfThere);
        return Some(read.and_then(|dataset| as_said(dataset, path, None, reading)));
    }
    path.is_dir().then(|| folders::without_classes(path, reading).map(Ok)).flatten()
}

/// Pictures of files that hold many, whatever is said of them: they have no labels.
///
/// Errors: a file that cannot be read, or holds no picture.
pub fn open_packed(path: &Path, exclude: &Exclude) -> Result<Dataset, DataError> {
    let reading = Reading { exclude: exclude.clone(), ..Reading::default() };
    packed::read(path, &reading, packed::Labelled::Ignored)
}

/// Whether a path leads to files that hold many pictures: one, several by a pattern, or a folder of them and of no others.
pub fn is_packed(path: &Path) -> bool {
    match path.is_dir() {
        true => !packed::of_folder(path).is_empty(),
        false => packed::is_packed(path),
    }
}

/// `known`: the classes of a model that is to be evaluated.
fn read(path: &Path, known: Option<&[String]>, reading: &Reading) -> Result<Dataset, DataError> {
    if packed::is_pattern(path) && !path.exists() {
        return as_said(packed::read(path, reading, packed::Labelled::Needed)?, path, known, reading);
    }
    let metadata = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut dataset = match extension.as_str() {
        _ if is_packed(path) => packed::read(path, reading, packed::Labelled::Needed)?,
        _ if metadata.is_dir() => folders::read(path, known, reading)?,
        "csv" | "tsv" | "txt" => manifest::read(path, reading)?,
        "npz" => npz::read(path, reading)?,
        _ => {
            return Err(DataError::source(
                path,
                "is not a source of examples",
                "give a folder with one folder a class, a `.csv` with `path,label`, an `.npz` with `x_train`, `y_train`, or `.tar` or `.parquet` files",
            ));
        }
    };
    if reading.channels == Channels::First && extension != "npz" {
        dataset.warnings.push("the setting `channels` is ignored: the data are no arrays".to_owned());
    }
    as_said(dataset, path, known, reading)
}

/// What was read, as far as more is said of it.
fn as_said(
    mut dataset: Dataset,
    path: &Path,
    known: Option<&[String]>,
    reading: &Reading,
) -> Result<Dataset, DataError> {
    dataset.reading = reading.clone();
    match &reading.classes {
        Some(_) if dataset.is_regression() => {
            return Err(DataError::source(
                path,
                "has numbers for labels, and the setting `classes` names classes",
                "leave the setting `classes` out, or give the setting `task = classes`",
            ));
        }
        // numbers stand for the model's names, which come first
        Some(wanted) if dataset.class_names_known || known.is_none() => dataset.choose(wanted)?,
        _ => {}
    }
    if reading.task == Some(LabelKind::Labels) {
        dataset.take_classes_as_labels();
    }
    Ok(dataset)
}
