//! Which separator a list has, and which columns say what, as people name them.

use crate::DataError;
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
    "file_path",
    "image",
    "img",
    "image_path",
    "img_path",
    "image_name",
    "image_id",
    "id",
    "name",
    "fname",
];
/// What columns of labels are called.
pub(crate) const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "category",
    "target",
    "value",
    "y",
    "breed",
    "species",
    "tag",
    "tags",
];
const SPLITS: &[&str] = &["split", "part", "set", "subset"];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
const HELP: &str = "name the columns `path`, `label` and, if there are parts, `split`; or give each label a column of zeros and ones";

/// Where the columns are.
pub(super) struct Columns {
    pub(super) path: usize,
    pub(super) label: LabelColumns,
    pub(super) split: Option<usize>,
    /// Whether the first line is a header.
    pub(super) has_header: bool,
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
        let find = |known: &[&str]| known.iter().find_map(|name| names.iter().position(|own| own == name));
        let (path, split) = (find(PATHS), find(SPLITS));
        let label = LABELS.iter().find_map(|name| names.iter().position(|own| own == name));
        match (path, label) {
            (Some(path), Some(label)) => {
                Ok(Self { path, label: LabelColumns::One(label), split, has_header: true })
            }
            _ if first.len() == 2 && first.get(0).is_some_and(&is_file) => {
                Ok(Self { path: 0, label: LabelColumns::One(1), split: None, has_header: false })
            }
            (Some(path), None) if first.len() > 2 => {
                let own = |at: &usize| *at != path && Some(*at) != split;
                let name = |at: usize| (at, first.get(at).unwrap_or_default().trim().to_owned());
                let marks = (0..first.len()).filter(own).map(name).collect();
                Ok(Self { path, label: LabelColumns::Marks(marks), split, has_header: true })
            }
            (path, _) => {
                let missing = if path.is_none() { "paths" } else { "labels" };
                Err(none_of(source, missing, &names))
            }
        }
    }
}

/// The error of a list without a column of paths or labels.
pub(super) fn none_of(source: &Path, missing: &str, names: &[String]) -> DataError {
    let found: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    DataError::source(
        source,
        format!("has no column of {missing}; its columns are {}", found.join(", ")),
        HELP,
    )
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
        assert_eq!((columns.path, columns.label, columns.split), (2, LabelColumns::One(0), Some(1)));
        assert!(!of(&["a.png", "dog"]).expect("no header").has_header);
        let error = of(&["width", "height"]).err().expect("refused").to_string();
        assert!(error.contains("`width`, `height`") && error.contains("help:"), "{error}");
    }
}
