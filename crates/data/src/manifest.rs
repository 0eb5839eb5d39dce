//! A CSV list: `path,label[,split]` with a header, paths relative to the file.

use std::path::Path;

use super::{DataError, Dataset, Example, Input, Split, Target};

const HELP: &str = "the first line is `path,label` or `path,label,split`";

pub(super) fn read(source: &Path) -> Result<Dataset, DataError> {
    let refuse = |message: String, help: &str| DataError::source(source, message, help);
    let file = frostline_files::regular::open(source).map_err(|e| DataError::io(source, e))?;
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = table.headers().map_err(|e| refuse(e.to_string(), HELP))?.clone();
    let column = |names: &[&str]| {
        header.iter().position(|h| names.contains(&h.trim_start_matches('\u{feff}').to_lowercase().as_str()))
    };
    let missing = |name: &str| refuse(format!("has no column `{name}`"), HELP);
    let path_column = column(&["path"]).ok_or_else(|| missing("path"))?;
    let label_column = column(&["label", "value"]).ok_or_else(|| missing("label"))?;
    let split_column = column(&["split"]);
    let mut has_parts = false;
    let (mut rows, mut lines) = (Vec::<(Split, String, String)>::new(), Vec::new());
    for record in table.records() {
        let record = record.map_err(|error| match error.kind() {
            csv::ErrorKind::Utf8 { pos, .. } => refuse(
                format!("line {} is no UTF-8", pos.as_ref().map_or(0, csv::Position::line)),
                "save the list as UTF-8",
            ),
            _ => refuse(error.to_string(), HELP),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or_default().to_owned();
        let part = split_column.map(cell).unwrap_or_default();
        has_parts |= !part.is_empty();
        let split = match part.as_str() {
            "" => Split::Train,
            text => Split::from_user(text).ok_or_else(|| {
                refuse(format!("line {line}: there is no split `{text}`"), "it is `train`, `val` or `test`")
            })?,
        };
        let (path, label) = (cell(path_column), cell(label_column));
        if path.is_empty() || label.is_empty() {
            return Err(refuse(
                format!("line {line} has no path or no label"),
                "fill both, or remove the line",
            ));
        }
        rows.push((split, path, label));
        lines.push(line);
    }
    if rows.is_empty() {
        return Err(refuse("lists no image".to_owned(), HELP));
    }
    let mut dataset =
        Dataset { source: source.to_path_buf(), class_names_known: true, has_parts, ..Dataset::default() };
    let number = |label: &str| label.parse().ok().filter(|v: &f32| v.is_finite());
    let numbers: Option<Vec<f32>> = rows.iter().map(|(_, _, label)| number(label)).collect();
    let others: Vec<usize> = (0..rows.len()).filter(|row| number(&rows[*row].2).is_none()).collect();
    // a slip among numbers would turn every number into a class of its own
    if let [first, ..] = others[..]
        && 2 * others.len() <= rows.len()
    {
        let (label, line, count) = (&rows[first].2, lines[first], rows.len() - others.len());
        return Err(refuse(
            format!(
                "line {line}: the label `{label}` is no finite number, {count} of {} labels are",
                rows.len()
            ),
            "mend or remove the line; where labels are classes, write names, as `class_3`",
        ));
    }
    if numbers.is_some() {
        dataset.warnings.push(
            "all labels are numbers, so that a number is learned, not a class; for classes write names, as `class_3`"
                .to_owned(),
        );
    } else {
        let names: std::collections::BTreeSet<&String> = rows.iter().map(|(_, _, label)| label).collect();
        dataset.classes = names.into_iter().cloned().collect();
    }
    let folder = source.parent().unwrap_or(Path::new(""));
    let mut splits: [Vec<Example>; 3] = Default::default();
    for (row, (split, path, label)) in rows.into_iter().enumerate() {
        let target = match &numbers {
            Some(numbers) => Target::Value(vec![numbers[row]]),
            None => Target::Class(dataset.classes.binary_search(&label).unwrap_or_default()),
        };
        splits[split as usize].push(Example { input: Input::File(folder.join(&path)), target, name: path });
    }
    for (split, examples) in Split::ALL.into_iter().zip(splits) {
        if !examples.is_empty() {
            dataset.set_split(split, examples);
        }
    }
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate as data;

    fn read_text(text: &str) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
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
        let error = read_text("file,label\na.png,x\n").unwrap_err().to_string();
        assert!(error.contains("no column `path`"), "{error}");
        let error = read_text("path,label,split\na.png,x,trian\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("`trian`"), "{error}");
        assert!(read_text("path,label\n").unwrap_err().to_string().contains("lists no image"));
    }
}
