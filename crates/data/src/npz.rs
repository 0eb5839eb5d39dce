//! Arrays as `keras.datasets` lays them out: `x_train, y_train[, x_val, y_val][, x_test, y_test][, class_names]`.

use frostline_graph::Extents;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::array::{Array, Values};
use super::npy::{self, NpyArray, NpyValues};
use super::range::ValueRange;
use super::{Channels, DataError, Dataset, Example, Input, LabelKind, Reading, Split, Target};

/// The array that says what classes are called, in the order of their numbers.
const CLASS_NAMES: &str = "class_names";

/// Labels of one split before classes are numbered.
enum Labels {
    Indices(Vec<usize>),
    Names(Vec<String>),
    /// Indices of labels, ascending.
    Several {
        indices: Vec<Vec<usize>>,
        width: usize,
    },
    Values(Vec<Vec<f32>>),
}

/// A part on its way into a dataset.
pub(super) struct Part {
    pub(super) split: Split,
    /// What the inputs are called, as `x_train`.
    pub(super) name: String,
    pub(super) inputs: Inputs,
    /// Labels with the name of their array; none where nothing is said of what the inputs are.
    pub(super) labels: Option<(String, NpyArray)>,
}

/// The inputs of a part.
pub(super) enum Inputs {
    /// As a file has them.
    Array(NpyArray),
    /// An array that somebody else holds.
    Lent(Array),
    /// Pictures with their names.
    Pictures(Vec<(Input, String)>),
}

impl Inputs {
    fn count(&self) -> usize {
        match self {
            Self::Array(array) => array.shape.first().copied().unwrap_or(0),
            Self::Lent(array) => array.rows(),
            Self::Pictures(pictures) => pictures.len(),
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Array(array) => array.shape.clone(),
            Self::Lent(array) => [&[array.rows()], array.row_shape()].concat(),
            Self::Pictures(pictures) => vec![pictures.len()],
        }
    }
}

pub(super) fn read(source: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let (mut arrays, others) = npy::read_some(source, is_read)?;
    let found = arrays.keys().chain(&others).cloned().collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    for split in Split::ALL {
        let (x, y) = (take(&mut arrays, "x_", split, source)?, take(&mut arrays, "y_", split, source)?);
        match (x, y) {
            (Some((name, x)), Some(y)) => {
                parts.push(Part { split, name, inputs: Inputs::Array(x), labels: Some(y) })
            }
            (None, None) if split != Split::Train => continue,
            (x, _) => {
                let missing = format!("{}_{}", if x.is_none() { "x" } else { "y" }, split.name());
                return Err(DataError::source(
                    source,
                    format!("has no array `{missing}` (it has: {found})"),
                    "name the arrays `x_train`, `y_train` and, if there are any, `x_test`, `y_test`",
                ));
            }
        }
    }
    let class_names = arrays.remove(CLASS_NAMES);
    let mut dataset = assemble(source, parts, class_names, reading)?;
    let names: Vec<&String> = arrays.keys().chain(&others).collect();
    if !names.is_empty() {
        dataset.warnings.push(format!("the arrays {} are left out", super::dataset::listed(&names)));
    }
    Ok(dataset)
}

/// A dataset of parts, of which the first is what is trained on.
pub(super) fn assemble(
    source: &Path,
    parts: Vec<Part>,
    class_names: Option<NpyArray>,
    reading: &Reading,
) -> Result<Dataset, DataError> {
    let refuse = |message: String, help: &str| DataError::source(source, message, help);
    let mut dataset = Dataset { source: source.to_path_buf(), has_parts: true, ..Dataset::default() };
    let mut labels: Vec<(Split, Labels)> = Vec::new();
    let mut examples: Vec<(Split, Vec<(Input, String)>)> = Vec::new();
    let mut words = None;
    for Part { split, name: x_name, inputs: x, labels: y } in parts {
        let rows = x.count();
        if rows == 0 || y.as_ref().is_some_and(|(_, y)| y.shape.first().copied().unwrap_or(0) != rows) {
            let (y_name, y_shape) = y.map_or_else(Default::default, |(name, y)| (name, y.shape));
            return Err(refuse(
                format!("`{x_name}` has the shape {:?}, `{y_name}` {y_shape:?}", x.shape()),
                "both count the same examples, at least one",
            ));
        }
        if split == Split::Train && reading.channels == Channels::Last {
            dataset.warnings.extend(channels_first(&x_name, &x.shape()));
        }
        let array = match x {
            Inputs::Array(mut x) => {
                Some(self::inputs(&mut x, &x_name, source, &mut words, &mut dataset.warnings)?)
            }
            Inputs::Lent(array) => Some(array),
            Inputs::Pictures(pictures) => {
                examples.push((split, pictures));
                None
            }
        };
        if let Some(array) = array {
            let array = match reading.channels {
                Channels::Last => array,
                Channels::First => array.with_channels_last(),
            };
            if let Some(train) =
                dataset.array(Split::Train).filter(|first| first.row_shape() != array.row_shape())
            {
                let message = format!(
                    "`{x_name}` has rows of {:?}, `x_train` of {:?}",
                    array.row_shape(),
                    train.row_shape()
                );
                return Err(refuse(message, "give all arrays rows of one shape"));
            }
            dataset.arrays[split as usize] = Some(Arc::new(array));
            let row = |row| (Input::Row { split, row }, format!("x_{}[{row}]", split.name()));
            examples.push((split, (0..rows).map(row).collect()));
        }
        if let Some((y_name, y)) = y {
            labels.push((split, targets(y, &y_name, rows, source, reading)?));
        }
    }
    let is_silent = labels.is_empty();
    if !is_silent {
        dataset.class_names_known = name_classes(&mut dataset, &mut labels, class_names)?;
    }
    let known: BTreeMap<String, usize> =
        dataset.classes.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
    let mut labels = labels.into_iter();
    for (split, inputs) in examples {
        let targets: Vec<Target> = match labels.next() {
            None => vec![Target::Labels(Vec::new()); inputs.len()],
            Some((_, Labels::Indices(v))) => v.into_iter().map(Target::Class).collect(),
            Some((_, Labels::Names(v))) => v.iter().map(|n| Target::Class(known[n])).collect(),
            Some((_, Labels::Several { indices, .. })) => indices.into_iter().map(Target::Labels).collect(),
            Some((_, Labels::Values(v))) => v.into_iter().map(Target::Value).collect(),
        };
        let example = |((input, name), target)| Example { input, target, name };
        dataset.set_split(split, inputs.into_iter().zip(targets).map(example).collect());
    }
    let counts = dataset.class_counts(&dataset.train);
    let empty: Vec<&String> =
        dataset.classes.iter().zip(&counts).filter(|(_, n)| **n == 0).map(|(c, _)| c).collect();
    if !empty.is_empty() && !is_silent {
        let warning = format!("`y_train` holds no example of {}", super::dataset::listed(&empty));
        dataset.warnings.push(warning);
    }
    Ok(dataset)
}

/// Whether an array of this name is looked at.
fn is_read(name: &str) -> bool {
    let name = name.to_lowercase();
    name == CLASS_NAMES || name.starts_with("x_") || name.starts_with("y_")
}

/// Takes out the array of a part, under whatever name of the part: `x_val`, `X_valid`, `x_validation`.
fn take(
    arrays: &mut BTreeMap<String, NpyArray>,
    prefix: &str,
    split: Split,
    source: &Path,
) -> Result<Option<(String, NpyArray)>, DataError> {
    let is_of_part = |name: &&String| {
        let part = name.to_lowercase();
        part.strip_prefix(prefix).and_then(Split::from_user) == Some(split)
    };
    let names: Vec<String> = arrays.keys().filter(is_of_part).cloned().collect();
    match names.as_slice() {
        [] => Ok(None),
        [name] => Ok(arrays.remove_entry(name)),
        [one, other, ..] => {
            Err(DataError::source(source, format!("has both `{one}` and `{other}`"), "keep one of them"))
        }
    }
}

/// Where the rows look like pictures with the channels in front, as PyTorch has them.
fn channels_first(name: &str, shape: &[usize]) -> Option<String> {
    let [_, channels @ (1 | 3 | 4), height @ (5..), width @ (5..)] = *shape else { return None };
    Some(format!(
        "`{name}` has rows of {channels} x {height} x {width}, and images are height x width x channels: where its channels come first, give the setting `channels = first`, or save `{name}.transpose(0, 2, 3, 1)`"
    ))
}

/// What pixels of 16 bits mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Words {
    /// 0 to 255, in too large a type; or no pixels.
    AsTheyAre,
    /// 0 to 65535.
    Full,
}

impl Words {
    /// The largest value of 14 bits: cameras and scanners of 10 and 12 bits save in 16, and their white lies below.
    const UNCLEAR: u16 = 1 << 14;

    /// By the largest value of the first array.
    fn of(values: &[u16], name: &str, source: &Path) -> Result<Self, DataError> {
        match values.iter().copied().max().unwrap_or(0) {
            0..=255 => Ok(Self::AsTheyAre),
            largest if largest < Self::UNCLEAR => Err(DataError::source(
                source,
                format!("`{name}` holds uint16 up to {largest}, and it is not clear which value is white"),
                format!(
                    "bring it to 0 to 255 and save it again: `({name} * (255 / 4095)).astype(\"float32\")` where there are 12 bits"
                ),
            )),
            _ => Ok(Self::Full),
        }
    }
}

/// `words`: what pixels of 16 bits mean, once an array has decided it.
fn inputs(
    x: &mut NpyArray,
    name: &str,
    source: &Path,
    words: &mut Option<Words>,
    warnings: &mut Vec<String>,
) -> Result<Array, DataError> {
    let floats = matches!(x.values, NpyValues::Floats(_));
    let values = match std::mem::replace(&mut x.values, NpyValues::Text(Vec::new())) {
        NpyValues::Bytes(v) => Values::U8(v),
        NpyValues::Words(v) if x.shape.len() < 3 => Values::F32(v.into_iter().map(f32::from).collect()),
        NpyValues::Words(v) => {
            let decided = match *words {
                Some(decided) => decided,
                None => *words.insert(Words::of(&v, name, source)?),
            };
            if decided == Words::Full {
                warnings.push(format!(
                    "`{name}` holds uint16: pixels of 0 to 65535, which are divided by 257 and so lie from 0 to 255"
                ));
            }
            let divisor = if decided == Words::Full { 257.0 } else { 1.0 };
            Values::F32(v.into_iter().map(|v| f32::from(v) / divisor).collect())
        }
        NpyValues::Integers(v) => Values::F32(v.into_iter().map(|v| v as f32).collect()),
        NpyValues::Floats(v) => Values::F32(v),
        NpyValues::Text(_) => {
            return Err(DataError::source(source, format!("`{name}` holds text"), "give numbers as inputs"));
        }
    };
    if let Values::F32(v) = &values
        && let Err(at) = ValueRange::of_finite(v)
    {
        let row = at / x.shape[1..].elements().max(1);
        let bad = v.iter().filter(|v| !v.is_finite()).count();
        return Err(DataError::source(
            source,
            format!("`{name}[{row}]` holds {}; {bad} values of `{name}` are no finite numbers", v[at]),
            "remove or mend these rows: a network that is trained on them is lost at the first step",
        ));
    }
    Ok(Array::new(x.shape.clone(), values, floats))
}

fn targets(
    y: NpyArray,
    name: &str,
    rows: usize,
    source: &Path,
    reading: &Reading,
) -> Result<Labels, DataError> {
    let refuse =
        |message: String, help: &str| Err(DataError::source(source, format!("`{name}` {message}"), help));
    let width: usize = y.shape[1..].iter().product();
    if let Some(several) = several(&y, width, reading.task) {
        return Ok(several);
    }
    if reading.task == Some(LabelKind::Labels) && width > 1 {
        return refuse(
            "holds other numbers than zeros and ones".to_owned(),
            "where an image may have several labels, give each a column of zeros and ones",
        );
    }
    let integers = match y.values {
        NpyValues::Text(v) if width == 1 => return Ok(Labels::Names(v)),
        NpyValues::Text(_) => return refuse("holds several texts a row".to_owned(), "give one label a row"),
        NpyValues::Floats(v) => {
            if let Some(at) = v.iter().position(|v| !v.is_finite()) {
                return refuse(
                    format!("holds {} in row {}", v[at], at / width.max(1)),
                    "mend or remove that row",
                );
            }
            let rows = || v.chunks_exact(width.max(1));
            let are_whole = v.iter().all(|v| v.fract() == 0.0);
            // what `keras.utils.to_categorical` makes of classes
            let is_one_hot = |row: &[f32]| {
                row.iter().filter(|v| **v == 1.0).count() == 1 && row.iter().all(|v| *v == 0.0 || *v == 1.0)
            };
            let are_classes = match reading.task {
                None => width > 1 && rows().all(is_one_hot),
                Some(task) => task == LabelKind::Classes && are_whole,
            };
            if !are_classes {
                return Ok(Labels::Values(rows().map(<[f32]>::to_vec).collect()));
            }
            v.into_iter().map(|v| v as i64).collect()
        }
        NpyValues::Bytes(v) => v.into_iter().map(i64::from).collect::<Vec<_>>(),
        NpyValues::Words(v) => v.into_iter().map(i64::from).collect(),
        NpyValues::Integers(v) => v,
    };
    if reading.task == Some(LabelKind::Numbers) {
        let rows = integers.chunks_exact(width.max(1));
        return Ok(Labels::Values(rows.map(|row| row.iter().map(|v| *v as f32).collect()).collect()));
    }
    if width > 1 {
        // one-hot
        let mut indices = Vec::with_capacity(rows);
        for (row, values) in integers.chunks_exact(width).enumerate() {
            match (values.iter().position(|v| *v == 1), values.iter().filter(|v| **v != 0).count()) {
                (Some(class), 1) => indices.push(class),
                _ => {
                    return refuse(
                        format!("has {width} integers a row, and row {row} is not one-hot"),
                        "give one class a row; floats for numbers that are to be learned",
                    );
                }
            }
        }
        return Ok(Labels::Indices(indices));
    }
    match integers.iter().position(|v| !(0..1 << 20).contains(v)) {
        Some(row) => refuse(
            format!("holds {} in row {row}, which is no class index", integers[row]),
            "number classes from 0; give floats for numbers that are to be learned",
        ),
        None => Ok(Labels::Indices(integers.into_iter().map(|v| v as usize).collect())),
    }
}

/// Rows of zeros and ones, where some have several ones or none, or where that is what labels are said to be.
fn several(y: &NpyArray, width: usize, task: Option<LabelKind>) -> Option<Labels> {
    let ones: Vec<bool> = match &y.values {
        NpyValues::Bytes(values) => marks(values, |value| f32::from(*value)),
        NpyValues::Words(values) => marks(values, |value| f32::from(*value)),
        NpyValues::Integers(values) => marks(values, |value| *value as f32),
        NpyValues::Floats(values) => marks(values, |value| *value),
        NpyValues::Text(_) => None,
    }?;
    let rows = || ones.chunks_exact(width.max(1));
    let is_one_hot = |row: &[bool]| row.iter().filter(|one| **one).count() == 1;
    let are_several = match task {
        Some(task) => task == LabelKind::Labels,
        None => !rows().all(is_one_hot),
    };
    let indices = |row: &[bool]| (0..width).filter(|at| row[*at]).collect();
    (width > 1 && are_several).then(|| Labels::Several { indices: rows().map(indices).collect(), width })
}

/// Where all values are 0 or 1: which are 1.
fn marks<T>(values: &[T], number: impl Fn(&T) -> f32) -> Option<Vec<bool>> {
    let mark = |value: &T| match number(value) {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    };
    values.iter().map(mark).collect()
}

/// Fills `dataset.classes`; true where the file names them.
fn name_classes(
    dataset: &mut Dataset,
    labels: &mut [(Split, Labels)],
    names: Option<NpyArray>,
) -> Result<bool, DataError> {
    let source = dataset.source.clone();
    let refuse = |message: &str, help: &str| Err(DataError::source(&source, message, help));
    let names = match names.map(|n| n.values) {
        None => None,
        Some(NpyValues::Text(names)) => Some(names),
        Some(_) => return refuse("`class_names` is no text", "save it as an array of strings"),
    };
    let kinds: std::collections::BTreeSet<u8> = labels
        .iter()
        .map(|(_, l)| match l {
            Labels::Indices(_) => 0,
            Labels::Names(_) => 1,
            Labels::Values(_) => 2,
            Labels::Several { .. } => 3,
        })
        .collect();
    if kinds.len() > 1 {
        return refuse("labels are of different kinds in its splits", "give all `y_…` one type");
    }
    if kinds.contains(&3) {
        let widths: std::collections::BTreeSet<usize> = labels
            .iter()
            .filter_map(|(_, l)| if let Labels::Several { width, .. } = l { Some(*width) } else { None })
            .collect();
        let width = widths.first().copied().unwrap_or(0);
        let is_named = names.is_some();
        dataset.classes = names.unwrap_or_else(|| (0..width).map(|label| label.to_string()).collect());
        if widths.len() > 1 || dataset.classes.len() != width {
            return refuse(
                "the `y_…` arrays and `class_names` have different numbers of labels",
                "give each label a column and a name",
            );
        }
        dataset.warnings.push(format!(
            "`y_train` holds zeros and ones, {width} a row: an image may have each of {width} labels; the setting `task = numbers` learns them as numbers"
        ));
        return Ok(is_named);
    }
    if kinds.contains(&2) {
        let widths: std::collections::BTreeSet<usize> = labels
            .iter()
            .flat_map(|(_, l)| if let Labels::Values(v) = l { v.first().map(Vec::len) } else { None })
            .collect();
        if widths.len() > 1 {
            return refuse("the `y_…` arrays have rows of different lengths", "give them one shape");
        }
        if names.is_none() {
            dataset.warnings.push(
                "`y_train` holds floats, so that numbers are learned, not classes; save integers for classes"
                    .to_owned(),
            );
            return Ok(false);
        }
        // floats beside class names: indices that lost their type
        for (_, labels) in labels.iter_mut() {
            if let Labels::Values(values) = labels {
                let indices: Option<Vec<usize>> = values
                    .iter()
                    .map(|v| (v.len() == 1 && v[0] >= 0.0 && v[0].fract() == 0.0).then(|| v[0] as usize))
                    .collect();
                match indices {
                    Some(indices) => *labels = Labels::Indices(indices),
                    None => {
                        return refuse(
                            "`y_…` holds numbers that are no class indices beside `class_names`",
                            "save integers",
                        );
                    }
                }
            }
        }
    }
    if kinds.contains(&1) {
        let found: std::collections::BTreeSet<String> = labels
            .iter()
            .flat_map(|(_, l)| if let Labels::Names(v) = l { v.clone() } else { Vec::new() })
            .collect();
        dataset.classes = match names {
            Some(names) => {
                if let Some(other) = found.iter().find(|f| !names.contains(f)) {
                    return refuse(&format!("label `{other}` is not in `class_names`"), "add it there");
                }
                names
            }
            None => found.into_iter().collect(),
        };
        return Ok(true);
    }
    let largest = labels
        .iter()
        .flat_map(|(_, l)| if let Labels::Indices(v) = l { v.iter().max().copied() } else { None });
    let count = largest.max().map_or(0, |m| m + 1);
    match names {
        Some(names) if names.len() < count => refuse(
            &format!("has {} class names but labels up to {}", names.len(), count - 1),
            "name every class",
        ),
        Some(names) => {
            dataset.classes = names;
            Ok(true)
        }
        None => {
            dataset.classes = (0..count).map(|c| c.to_string()).collect();
            Ok(false)
        }
    }
}
