//! What the labels of arrays are: classes by number or name, several labels, numbers.

use std::path::Path;

use crate::npy::{NpyArray, NpyValues};
use crate::{DataError, Dataset, LabelKind, Reading, Split};

/// Labels of one split before classes are numbered.
pub(crate) enum Labels {
    Indices(Vec<usize>),
    Names(Vec<String>),
    /// Indices of labels, ascending.
    Several {
        indices: Vec<Vec<usize>>,
        width: usize,
    },
    Values(Vec<Vec<f32>>),
}

/// Larger numbers are no indices of classes.
const MOST_CLASSES: i64 = 1 << 20;

/// Labels by the values of their array, and by what is said of them.
pub(crate) fn targets(
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
    match integers.iter().position(|v| !(0..MOST_CLASSES).contains(v)) {
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
pub(crate) fn name_classes(
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
                    .map(|values| match values[..] {
                        [value] if value.fract() == 0.0 && (0..MOST_CLASSES).contains(&(value as i64)) => {
                            Some(value as usize)
                        }
                        _ => None,
                    })
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
    let indices =
        || labels.iter().flat_map(|(_, l)| if let Labels::Indices(v) = l { v.as_slice() } else { &[] });
    let count = indices().max().map_or(0, |m| m + 1);
    let from_one = count > 2
        && names.as_ref().is_none_or(|names| names.len() + 1 == count)
        && indices().collect::<std::collections::BTreeSet<_>>().into_iter().copied().eq(1..count);
    if from_one {
        for (_, labels) in labels.iter_mut() {
            if let Labels::Indices(indices) = labels {
                indices.iter_mut().for_each(|index| *index -= 1);
            }
        }
        dataset
            .warnings
            .push(format!("`y_train` counts classes from 1: label 1 is the first of {} classes", count - 1));
        let is_named = names.is_some();
        dataset.classes = names.unwrap_or_else(|| (1..count).map(|class| class.to_string()).collect());
        return Ok(is_named);
    }
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
