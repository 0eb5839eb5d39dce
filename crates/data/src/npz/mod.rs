//! Arrays as `keras.datasets` lays them out: `x_train, y_train[, x_val, y_val][, x_test, y_test][, class_names]`.

mod labels;

use frostline_graph::Extents;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::array::{Array, ArrayScale, Values};
use super::npy::{self, NpyArray, NpyValues};
use super::range::ValueRange;
use super::{Channels, DataError, Dataset, Example, Input, Reading, Split, Target};
use labels::{Labels, name_classes, targets};

/// The array that says what classes are called, in the order of their numbers.
const CLASS_NAMES: &str = "class_names";

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
            if let Some(train) = dataset.array(Split::Train) {
                dataset.warnings.extend(on_another_scale(train, &x_name, &array));
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

/// Where pictures lie in another range than those that are trained on, as where one of both was divided by 255.
fn on_another_scale(train: &Array, name: &str, array: &Array) -> Option<String> {
    let scale = |array: &Array| ArrayScale::of(array.value_range());
    let are_pictures = train.row_shape().len() >= 2;
    (are_pictures && scale(train) != scale(array)).then(|| {
        let [own, other] = [array, train].map(|array| {
            let range = array.value_range();
            format!("[{}, {}]", range.min, range.max)
        });
        format!("`{name}` lies in {own}, `x_train` in {other}: where one of both was scaled, what is said of `{name}` is wrong; scale both alike")
    })
}

/// Whole numbers of 0 and 1 as floats, and whether they are: pixels that somebody has made black and white, and not the darkest two of 256.
fn as_marks(values: Values) -> (Values, bool) {
    match values {
        Values::U8(bytes) if bytes.iter().all(|byte| *byte <= 1) && bytes.contains(&1) => {
            (Values::F32(bytes.into_iter().map(f32::from).collect()), true)
        }
        Values::F32(numbers) => {
            let are_marks =
                numbers.iter().all(|number| *number == 0.0 || *number == 1.0) && numbers.contains(&1.0);
            (Values::F32(numbers), are_marks)
        }
        other => (other, false),
    }
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
    let (values, floats) = if floats { (values, true) } else { as_marks(values) };
    Ok(Array::new(x.shape.clone(), values, floats))
}
