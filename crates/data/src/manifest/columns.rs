//! Which separator a list has, and which columns say what, as people name them.

use crate::{DataError, Split};
use csv::StringRecord;
use std::path::Path;

/// What columns of paths are called; the first that is there counts.
const PATHS: &[&str] = &[
    "path",
    "file",
    "filename",
    "file_name",
    "filenames",
    "filepath",
    "filepaths",
    "file_path",
    "image",
    "images",
    "img",
    "photo",
    "picture",
    "image_path",
    "img_path",
    "image_file",
    "image_name",
    "img_name",
    "image_id",
    "img_id",
    "imageid",
    "image index",
    "id",
    "name",
    "fname",
];
/// What columns of labels are called; names come before numbers that stand for them.
pub(crate) const LABELS: &[&str] = &[
    "label_name",
    "class_name",
    "classname",
    "category_name",
    "class_label",
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "target",
    "value",
    "y",
    "breed",
    "species",
    "tag",
    "tags",
    "diagnosis",
    "dx",
    "finding labels",
    "class_id",
    "classid",
    "label_id",
    "level",
    "age",
    "price",
];
const SPLITS: &[&str] = &["split", "part", "set", "subset"];
/// Columns that say with yes and no whether a line is of a part, and the part of the others.
const FLAGS: &[(&str, Split, Split)] = &[
    ("is_train", Split::Train, Split::Test),
    ("is_training", Split::Train, Split::Test),
    ("is_test", Split::Test, Split::Train),
    ("is_val", Split::Val, Split::Train),
    ("is_valid", Split::Val, Split::Train),
    ("is_validation", Split::Val, Split::Train),
];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
const HELP: &str = "name the columns `path`, `label` and, if there are parts, `split`; or give each label a column of zeros and ones";

/// Where the columns are.
pub(super) struct Columns {
    pub(super) path: usize,
    pub(super) label: LabelColumns,
    pub(super) split: Option<SplitColumn>,
    /// Whether the first line is a header.
    pub(super) has_header: bool,
    /// Columns that could be of labels too, and are not read.
    pub(super) others: Vec<usize>,
}

/// A column that says which part a line is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SplitColumn {
    pub(super) at: usize,
    /// The part where it says yes, and where it says no; none where it says the part's name.
    pub(super) flag: Option<(Split, Split)>,
}

impl SplitColumn {
    /// The part by a cell that is not empty.
    pub(super) fn part(self, cell: &str) -> Option<Split> {
        match (self.flag, cell.to_lowercase().as_str()) {
            (None, _) => Split::from_user(cell),
            (Some((yes, _)), "1" | "1.0" | "true" | "yes") => Some(yes),
            (Some((_, no)), "0" | "0.0" | "false" | "no") => Some(no),
            _ => None,
        }
    }
}

/// Where the labels are.
#[derive(Debug, PartialEq)]
pub(super) enum LabelColumns {
    /// In one column.
    One(usize),
    /// None is named as one of labels: these others may each be of one label, with zeros and ones.
    Marks(Vec<(usize, String)>),
}

/// The separator that cuts the first line into most cells.
pub(super) fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let cells = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
    // of equal counts the comma
    SEPARATORS.into_iter().rev().max_by_key(cells).unwrap_or(b',')
}

impl Columns {
    /// From the first line. Without a header its first cell leads to a file: then that is the path, and the next the label.
    pub(super) fn of(
        source: &Path,
        first: &StringRecord,
        is_file: impl Fn(&str) -> bool,
    ) -> Result<Self, DataError> {
        let names: Vec<String> =
            first.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_lowercase()).collect();
        let places = |known: &[&str]| -> Vec<usize> {
            known.iter().filter_map(|name| names.iter().position(|own| own == name)).collect()
        };
        let path = places(PATHS).first().copied();
        let labels = places(LABELS);
        let named = places(SPLITS).first().map(|at| SplitColumn { at: *at, flag: None });
        let flagged = || {
            FLAGS.iter().find_map(|(name, yes, no)| {
                let at = names.iter().position(|own| own == name)?;
                Some(SplitColumn { at, flag: Some((*yes, *no)) })
            })
        };
        let split = named.or_else(flagged);
        let is_part = |at: usize| split.is_some_and(|split| split.at == at);
        let is_file_at = |at: usize| first.get(at).is_some_and(&is_file);
        let mut found =
            Self { path: 0, label: LabelColumns::One(1), split, has_header: true, others: Vec::new() };
        match (path, labels.split_first()) {
            (Some(path), Some((label, others))) => {
                // points of an image, of which one number alone is a label
                let beside = names.iter().position(|own| names[*label] == "y" && own == "x");
                let others = others.iter().copied().chain(beside).filter(|at| *at != path).collect();
                Ok(Self { path, label: LabelColumns::One(*label), others, ..found })
            }
            _ if is_file_at(0) && first.len() == 2 => Ok(Self { split: None, has_header: false, ..found }),
            _ if is_file_at(0) && first.len() == 3 && first.get(2).and_then(Split::from_user).is_some() => {
                let split = Some(SplitColumn { at: 2, flag: None });
                Ok(Self { split, has_header: false, ..found })
            }
            _ if is_file_at(1) && first.len() == 2 => {
                Ok(Self { path: 1, label: LabelColumns::One(0), split: None, has_header: false, ..found })
            }
            _ if (0..first.len()).any(is_file_at) => Err(DataError::source(
                source,
                format!("has no first line that names its columns: it begins with {}", cells(&names)),
                "write a line above it, as `path,label`",
            )),
            (Some(path), None) if first.len() > 2 => {
                let own = |at: &usize| *at != path && !is_part(*at);
                let name = |at: usize| (at, first.get(at).unwrap_or_default().trim().to_owned());
                found.label = LabelColumns::Marks((0..first.len()).filter(own).map(name).collect());
                Ok(Self { path, ..found })
            }
            (path, _) => {
                let missing = if path.is_none() { "paths" } else { "labels" };
                Err(none_of(source, missing, &names))
            }
        }
    }
}

impl Columns {
    /// What is to be told where several columns could be that of the labels.
    pub(super) fn note(&self, header: &[String]) -> Option<String> {
        let LabelColumns::One(label) = &self.label else { return None };
        let name = |at: &usize| header.get(*at).cloned().unwrap_or_default();
        let others: Vec<String> = self.others.iter().map(name).collect();
        let verb = if others.len() == 1 { "is" } else { "are" };
        let line = format!(
            "the labels are those of the column `{}`; {} {verb} not read",
            name(label),
            cells(&others)
        );
        (!others.is_empty()).then_some(line)
    }
}

fn cells(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The error of a list without a column of paths or labels.
pub(super) fn none_of(source: &Path, missing: &str, names: &[String]) -> DataError {
    DataError::source(source, format!("has no column of {missing}; its columns are {}", cells(names)), HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_those_of_the_first_line() {
        assert_eq!(
            [separator("path,label\na;b,c"), separator("path;label"), separator("path\tlabel\tsplit")],
            [b',', b';', b'\t']
        );
        assert_eq!(separator("path"), b',');
    }

    #[test]
    fn columns_are_found_by_their_usual_names() {
        let of = |names: &[&str]| {
            Columns::of(Path::new("list.csv"), &StringRecord::from(names.to_vec()), |text| text == "a.png")
        };
        let columns = of(&["\u{feff}ID", "Breed"]).expect("found");
        assert_eq!(
            (columns.path, columns.label, columns.split, columns.has_header),
            (0, LabelColumns::One(1), None, true)
        );
        let columns = of(&["class", "split", "filename"]).expect("found");
        let split = |at, flag| Some(SplitColumn { at, flag });
        assert_eq!((columns.path, columns.label, columns.split), (2, LabelColumns::One(0), split(1, None)));
        assert!(!of(&["a.png", "dog"]).expect("no header").has_header);
        let columns = of(&["dog", "a.png"]).expect("no header");
        assert_eq!((columns.path, columns.label, columns.has_header), (1, LabelColumns::One(0), false));
        assert_eq!(of(&["a.png", "dog", "test"]).expect("no header").split, split(2, None));
        assert!(of(&["1", "a.png", "dog"]).err().expect("asked").to_string().contains("no first line"));
        let columns = of(&["path", "label", "label_name", "is_valid"]).expect("found");
        assert_eq!((columns.label, columns.others), (LabelColumns::One(2), vec![1]));
        let is_valid = columns.split.expect("a flag");
        assert_eq!(
            [is_valid.part("True"), is_valid.part("0"), is_valid.part("?")],
            [Some(Split::Val), Some(Split::Train), None]
        );
        assert_eq!(of(&["image", "x", "y"]).expect("found").others, [1]);
        let error = of(&["width", "height"]).err().expect("refused").to_string();
        assert!(error.contains("`width`, `height`") && error.contains("help:"), "{error}");
    }
}
