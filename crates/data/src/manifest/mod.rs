//! A CSV list: `path,label[,split]` with a header, paths relative to the file or to a folder that is named.

mod columns;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{DataError, Dataset, Example, Input, LabelKind, Reading, Split, Target};
use columns::{Columns, separator};
use files::file;

const HELP: &str = "the first line is `path,label` or `path,label,split`";
/// Whole numbers that are more kinds than this are taken for numbers.
const MOST_CLASSES: usize = 20;

/// A line of the list.
struct Line {
    number: u64,
    split: Split,
    path: String,
    label: String,
}

pub(super) fn read(source: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let folder = reading.root.as_deref().unwrap_or(source.parent().unwrap_or(Path::new("")));
    let (lines, has_parts) = lines(source, folder)?;
    let mut dataset =
        Dataset { source: source.to_path_buf(), class_names_known: true, has_parts, ..Dataset::default() };
    let numbers = numbers(source, &lines, reading, &mut dataset.warnings)?;
    if numbers.is_none() {
        let names: BTreeSet<&String> = lines.iter().map(|line| &line.label).collect();
        dataset.warnings.extend(combinations(&names));
        dataset.classes = names.into_iter().cloned().collect();
        // numbers in the order of numbers
        if dataset.classes.iter().all(|name| name.parse::<u64>().is_ok()) {
            dataset.classes.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
        }
    }
    let index: BTreeMap<&String, usize> =
        dataset.classes.iter().enumerate().map(|(index, name)| (name, index)).collect();
    let mut splits: [Vec<Example>; 3] = Default::default();
    for (row, line) in lines.iter().enumerate() {
        let target = match &numbers {
            Some(numbers) => Target::Value(vec![numbers[row]]),
            None => Target::Class(index[&line.label]),
        };
        let input = Input::File(file(folder, &line.path));
        splits[line.split as usize].push(Example { input, target, name: line.path.clone() });
    }
    for (split, examples) in Split::ALL.into_iter().zip(splits) {
        if !examples.is_empty() {
            dataset.set_split(split, examples);
        }
    }
    require_a_file(&dataset, folder)?;
    Ok(dataset)
}

/// The lines, and whether any says its part.
fn lines(source: &Path, folder: &Path) -> Result<(Vec<Line>, bool), DataError> {
    let refuse = |message: String, help: &str| DataError::source(source, message, help);
    let bytes = frostline_files::regular::read(source).map_err(|e| DataError::io(source, e))?;
    let separator = separator(&String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]));
    let mut table = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(separator)
        .has_headers(false)
        .from_reader(bytes.as_slice());
    let mut columns: Option<Columns> = None;
    let (mut lines, mut has_parts) = (Vec::<Line>::new(), false);
    for record in table.records() {
        let record = record.map_err(|error| match error.kind() {
            csv::ErrorKind::Utf8 { pos, .. } => refuse(
                format!("line {} is no UTF-8", pos.as_ref().map_or(0, csv::Position::line)),
                "save the list as UTF-8",
            ),
            _ => refuse(error.to_string(), HELP),
        })?;
        let columns = match &columns {
            Some(columns) => columns,
            None => {
                let found = Columns::of(source, &record, |path| file(folder, path).is_file())?;
                let has_header = found.has_header;
                let found = columns.insert(found);
                if has_header {
                    continue;
                }
                found
            }
        };
        let number = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or_default().to_owned();
        let part = columns.split.map(cell).unwrap_or_default();
        has_parts |= !part.is_empty();
        let split = match part.as_str() {
            "" => Split::Train,
            text => Split::from_user(text).ok_or_else(|| {
                refuse(format!("line {number}: there is no split `{text}`"), "it is `train`, `val` or `test`")
            })?,
        };
        let (path, label) = (cell(columns.path), cell(columns.label));
        if path.is_empty() || label.is_empty() {
            return Err(refuse(
                format!("line {number} has no path or no label"),
                "fill both, or remove the line",
            ));
        }
        lines.push(Line { number, split, path, label });
    }
    if lines.is_empty() {
        return Err(refuse("lists no image".to_owned(), HELP));
    }
    Ok((lines, has_parts))
}

/// The labels as numbers, where they are to be learned as such.
fn numbers(
    source: &Path,
    lines: &[Line],
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<f32>>, DataError> {
    if reading.task == Some(LabelKind::Classes) {
        return Ok(None);
    }
    let number = |line: &Line| line.label.parse().ok().filter(|v: &f32| v.is_finite());
    let numbers: Vec<Option<f32>> = lines.iter().map(number).collect();
    let count = numbers.iter().flatten().count();
    // a slip among numbers would turn every number into a class of its own
    if let Some(first) = numbers.iter().position(Option::is_none) {
        if 2 * count < lines.len() && reading.task.is_none() {
            return Ok(None);
        }
        let Line { number, label, .. } = &lines[first];
        return Err(DataError::source(
            source,
            format!(
                "line {number}: the label `{label}` is no finite number, {count} of {} labels are",
                lines.len()
            ),
            "mend or remove the line; where labels are classes, write names, as `class_3`",
        ));
    }
    let numbers: Vec<f32> = numbers.into_iter().flatten().collect();
    if reading.task.is_none() {
        if let Some(kinds) = few_whole(lines) {
            warnings.push(format!(
                "the labels are {kinds} whole numbers, each several times: they are learned as classes; the setting `task = numbers` learns them as numbers"
            ));
            return Ok(None);
        }
        warnings.push(
            "all labels are numbers, so that a number is learned, not a class; the setting `task = classes` learns classes"
                .to_owned(),
        );
    }
    Ok(Some(numbers))
}

/// How many kinds of labels there are, where all are whole numbers from 0 on, few, and each is there several times.
fn few_whole(lines: &[Line]) -> Option<usize> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(line.label.parse().ok()?).or_default() += 1;
    }
    let are_few = (2..=MOST_CLASSES).contains(&counts.len()) && counts.values().all(|count| *count > 1);
    are_few.then_some(counts.len())
}

/// Labels that are several other labels in one cell.
fn combinations(names: &BTreeSet<&String>) -> Option<String> {
    let parts = |name: &str| {
        name.split(['|', ';', ',', ' '])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let is_made_of_others = |name: &&&String| {
        let parts = parts(name);
        parts.len() > 1 && parts.iter().all(|part| names.contains(part))
    };
    let found: Vec<String> = names.iter().filter(is_made_of_others).map(|name| format!("`{name}`")).collect();
    (!found.is_empty()).then(|| {
        format!(
            "the labels {} are made of other labels: each of them is learned as a class of its own; for several labels an image give an `.npz` with a column of zeros and ones for each",
            found.join(", ")
        )
    })
}

/// Errors where not one of the files is there: then the paths are wrong, and no image is damaged.
fn require_a_file(dataset: &Dataset, folder: &Path) -> Result<(), DataError> {
    let paths: Vec<_> = super::check::files(dataset).into_iter().map(|(_, _, path)| path).collect();
    if paths.iter().any(|path| path.exists()) {
        return Ok(());
    }
    let count = paths.len();
    let first = paths.first().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    let first = first.unwrap_or_default();
    Err(DataError::source(
        &dataset.source,
        format!("none of its {count} files is found; the first was looked for at `{}`", first.display()),
        format!(
            "paths are relative to `{}`: mend them, or name another folder with the setting `root`",
            folder.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate as data;

    fn read_text(text: &str) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("a.png"), b"x").unwrap();
        data::open(&path)
    }

    #[test]
    fn labels_that_are_words_are_classes() {
        let dataset = read_text("path,label,split\na.png,dog,train\nb.png,cat,\nc.png,dog,test\n").unwrap();
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(dataset.train.len(), 2);
        assert_eq!(dataset.test.as_ref().unwrap()[0].target, Target::Class(1));
        assert!(dataset.val.is_none());
    }

    #[test]
    fn labels_that_are_numbers_are_values() {
        let dataset = read_text("path,label\na.png,1.5\nb.png,-2\n").unwrap();
        assert!(dataset.is_regression());
        assert_eq!(dataset.train[1].target, Target::Value(vec![-2.0]));
    }

    #[test]
    fn a_label_that_is_no_number_among_numbers_does_not_turn_them_all_into_classes() {
        for bad in ["nan", "inf", "unknown", "1,5x"] {
            let text = format!("path,label\na.png,1.5\nb.png,\"{bad}\"\nc.png,-2\n");
            let error = read_text(&text).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains(&format!("`{bad}`")), "{error}");
            assert!(error.contains("help:"), "{error}");
        }
        let names = read_text("path,label\na.png,1\nb.png,two\nc.png,three\n").unwrap();
        assert_eq!(names.classes, ["1", "three", "two"]);
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        let error = read_text("width,label\n1,x\n").unwrap_err().to_string();
        assert!(error.contains("no column of paths") && error.contains("`width`, `label`"), "{error}");
        let error = read_text("path,label,split\na.png,x,trian\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("`trian`"), "{error}");
        assert!(read_text("path,label\n").unwrap_err().to_string().contains("lists no image"));
    }

    #[test]
    fn whole_numbers_that_are_few_are_classes() {
        let read = |kind: Option<LabelKind>, text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("list.csv");
            std::fs::write(&path, text).unwrap();
            std::fs::write(folder.path().join("a.png"), b"x").unwrap();
            data::open_as(&path, &Reading { task: kind, ..Reading::default() }).unwrap()
        };
        let text = "path,label\na.png,10\na.png,2\nb.png,10\nb.png,2\n";
        let classes = read(None, text);
        assert_eq!(classes.classes, ["2", "10"]);
        assert!(
            classes.warnings.iter().any(|line| line.contains("task = numbers")),
            "{:?}",
            classes.warnings
        );
        assert!(read(Some(LabelKind::Numbers), text).is_regression());
        // ages, or counts
        let many: String = (0..40).map(|age| format!("a.png,{age}\nb.png,{age}\n")).collect();
        assert!(read(None, &format!("path,label\n{many}")).is_regression());
        assert_eq!(read(Some(LabelKind::Classes), &format!("path,label\n{many}")).classes.len(), 40);
        // each alone
        assert!(read(None, "path,label\na.png,1\nb.png,2\n").is_regression());
    }

    #[test]
    fn several_labels_in_a_cell_are_told() {
        let dataset = read_text("path,label\na.png,cat\na.png,dog\nb.png,cat dog\n").unwrap();
        assert!(dataset.warnings.iter().any(|line| line.contains("`cat dog`")), "{:?}", dataset.warnings);
        assert!(read_text("path,label\na.png,golden retriever\na.png,dog\n").unwrap().warnings.is_empty());
    }

    #[test]
    fn where_no_file_is_found_the_place_is_told() {
        let error = read_text("path,label\ndata/x.png,cat\ndata/y.png,dog\n").unwrap_err().to_string();
        assert!(error.contains("none of its 2 files is found") && error.contains("data/x.png"), "{error}");
        assert!(error.contains("`root`"), "{error}");
    }
}
