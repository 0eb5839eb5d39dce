//! A CSV list: `path,label[,split]` with a header, paths relative to the file or to a folder that is named; or a path, and a
//! column of zeros and ones for each label.

mod columns;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::dataset::listed;
use super::exclude::Excluding;
use super::file_name::composed;
use super::several::{Between, Evidence, evidence};
use super::{DataError, Dataset, Example, Input, LabelKind, Reading, Split, Target};
use columns::{Columns, LabelColumns, none_of, separator};
use files::file;

const HELP: &str = "the first line is `path,label` or `path,label,split`";
/// Whole numbers that are more kinds than this are taken for numbers.
const MOST_CLASSES: usize = 20;

/// A line of the list.
struct Line {
    number: u64,
    split: Split,
    path: String,
    /// What the column of labels says; or the names of the columns that have a one here.
    label: Vec<String>,
}

/// The lines of a list.
struct Lines {
    lines: Vec<Line>,
    /// Whether any says its part.
    has_parts: bool,
    /// Where each label has a column of zeros and ones: their names.
    marks: Option<Vec<String>>,
}

/// What the labels of all lines are.
enum Targets {
    Numbers(Vec<f32>),
    /// A name a line.
    Classes(Vec<String>),
    /// Names a line.
    Labels(Vec<Vec<String>>),
}

pub(super) fn read(source: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let folder = reading.root.as_deref().unwrap_or(source.parent().unwrap_or(Path::new("")));
    let Lines { mut lines, has_parts, marks } = lines(source, folder)?;
    let mut dataset =
        Dataset { source: source.to_path_buf(), class_names_known: true, has_parts, ..Dataset::default() };
    let mut excluding = Excluding::by(&reading.exclude);
    lines.retain(|line| {
        !(excluding.path(&composed(&line.path)) || line.label.iter().any(|label| excluding.class(label)))
    });
    dataset.warnings.extend(excluding.told("lines"));
    if lines.is_empty() {
        return Err(DataError::source(source, "has no line that is not excluded", "exclude less"));
    }
    let targets = match &marks {
        Some(names) => marked(source, &lines, names, reading, &mut dataset.warnings)?,
        None => targets(source, &lines, reading, &mut dataset.warnings)?,
    };
    dataset.classes = names(&targets, marks.as_deref());
    let index: BTreeMap<&String, usize> =
        dataset.classes.iter().enumerate().map(|(index, name)| (name, index)).collect();
    let mut splits: [Vec<Example>; 3] = Default::default();
    for (row, line) in lines.iter().enumerate() {
        let target = match &targets {
            Targets::Numbers(numbers) => Target::Value(vec![numbers[row]]),
            Targets::Classes(names) => Target::Class(index[&names[row]]),
            Targets::Labels(names) => {
                let labels: BTreeSet<usize> = names[row].iter().map(|name| index[name]).collect();
                Target::Labels(labels.into_iter().collect())
            }
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

/// The classes or labels, in their order: that of columns; else of names, of numbers that stand for classes as numbers.
fn names(targets: &Targets, marks: Option<&[String]>) -> Vec<String> {
    let mut found: Vec<String> = match (targets, marks) {
        (Targets::Numbers(_), _) => return Vec::new(),
        (_, Some(marks)) => return marks.to_vec(),
        (Targets::Classes(names), None) => {
            names.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
        }
        (Targets::Labels(names), None) => {
            names.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect()
        }
    };
    if found.iter().all(|name| name.parse::<u64>().is_ok()) {
        found.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
    }
    found
}

/// What the labels in one column are.
fn targets(
    source: &Path,
    lines: &[Line],
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Targets, DataError> {
    let cell = |line: &Line| composed(line.label.first().map_or("", String::as_str));
    let cells: Vec<String> = lines.iter().map(cell).collect();
    let split = |between: Between| -> Vec<Vec<String>> {
        cells.iter().map(|cell| between.labels(cell).into_iter().map(str::to_owned).collect()).collect()
    };
    if reading.task == Some(LabelKind::Labels) {
        let between = Between::of(cells.iter().map(String::as_str));
        warnings.push(format!("several labels in a cell are taken to be separated by {}", between.words()));
        return Ok(Targets::Labels(split(between)));
    }
    if let Some(line) = lines.iter().find(|line| line.label.iter().all(String::is_empty)) {
        return Err(DataError::source(
            source,
            format!("line {} has no label", line.number),
            "fill it, or remove the line; where images may have several labels or none, give the setting `task = labels`",
        ));
    }
    if let Some(numbers) = numbers(source, lines, reading, warnings)? {
        return Ok(Targets::Numbers(numbers));
    }
    if reading.task == Some(LabelKind::Classes) {
        return Ok(Targets::Classes(cells));
    }
    match evidence(&cells.iter().collect()) {
        Evidence::One => Ok(Targets::Classes(cells)),
        Evidence::Several(between) => {
            warnings.push(format!(
                "cells hold several labels, separated by {}: an image may have each of them; the setting `task = classes` learns each combination as a class of its own",
                between.words()
            ));
            Ok(Targets::Labels(split(between)))
        }
        Evidence::Unclear(made_of_others) => Err(DataError::source(
            source,
            format!(
                "the labels {} are made of other labels, and it is not clear whether each is one",
                listed(&made_of_others)
            ),
            "give the setting `task = labels` where an image may have several labels, or the setting `task = classes` where each of them is a class of its own",
        )),
    }
}

/// What columns of zeros and ones say.
fn marked(
    source: &Path,
    lines: &[Line],
    names: &[String],
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Targets, DataError> {
    let listed = listed(names);
    let one = |line: &Line| match line.label.as_slice() {
        [name] => Ok(name.clone()),
        others => Err(DataError::source(
            source,
            format!("line {} has a one in {} of the columns {listed}", line.number, others.len()),
            "give the setting `task = labels` where an image may have several labels, or none",
        )),
    };
    let is_one_hot = lines.iter().all(|line| line.label.len() == 1);
    match reading.task {
        Some(LabelKind::Numbers) => Err(DataError::source(
            source,
            format!("has no column of numbers to learn, but the columns {listed} with zeros and ones"),
            "name one column `label`, or leave the setting `task` out",
        )),
        Some(LabelKind::Classes) => Ok(Targets::Classes(lines.iter().map(one).collect::<Result<_, _>>()?)),
        None if is_one_hot => {
            warnings.push(format!(
                "each line has a one in one of the columns {listed}: they are learned as classes; the setting `task = labels` learns them as labels of which an image may have several"
            ));
            Ok(Targets::Classes(lines.iter().map(one).collect::<Result<_, _>>()?))
        }
        _ => {
            warnings.push(format!(
                "the columns {listed} hold zeros and ones: each is a label that an image may have"
            ));
            Ok(Targets::Labels(lines.iter().map(|line| line.label.clone()).collect()))
        }
    }
}

/// Reads the lines.
fn lines(source: &Path, folder: &Path) -> Result<Lines, DataError> {
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
    let (mut header, mut cells): (Vec<String>, Vec<Vec<String>>) = Default::default();
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
                header = record.iter().map(str::to_owned).collect();
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
        let path = cell(columns.path);
        if path.is_empty() {
            return Err(refuse(format!("line {number} has no path"), "fill it, or remove the line"));
        }
        let label = match &columns.label {
            LabelColumns::One(label) => vec![cell(*label)],
            LabelColumns::Marks(marks) => {
                cells.push(marks.iter().map(|(at, _)| cell(*at)).collect());
                Vec::new()
            }
        };
        lines.push(Line { number, split, path, label });
    }
    if lines.is_empty() {
        return Err(refuse("lists no image".to_owned(), HELP));
    }
    let marks = match columns.map(|columns| columns.label) {
        Some(LabelColumns::Marks(marks)) => Some(of_marks(source, &header, &marks, &cells, &mut lines)?),
        _ => None,
    };
    Ok(Lines { lines, has_parts, marks })
}

/// The labels that have columns of zeros and ones, which the lines are given. `cells`: a line's, column by column.
fn of_marks(
    source: &Path,
    header: &[String],
    columns: &[(usize, String)],
    cells: &[Vec<String>],
    lines: &mut [Line],
) -> Result<Vec<String>, DataError> {
    let mark = |cell: &str| match cell {
        "0" | "0.0" => Some(false),
        "1" | "1.0" => Some(true),
        _ => None,
    };
    let is_marked = |at: &usize| cells.iter().all(|line| mark(&line[*at]).is_some());
    let marked: Vec<usize> = (0..columns.len()).filter(is_marked).collect();
    if marked.len() < 2 {
        return Err(none_of(source, "labels", header));
    }
    for (line, cells) in lines.iter_mut().zip(cells) {
        let has = |at: &&usize| mark(&cells[**at]) == Some(true);
        line.label = marked.iter().filter(has).map(|at| composed(&columns[*at].1)).collect();
    }
    Ok(marked.into_iter().map(|at| composed(&columns[at].1)).collect())
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
    let number = |line: &Line| line.label[0].parse().ok().filter(|v: &f32| v.is_finite());
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
                "line {number}: the label `{}` is no finite number, {count} of {} labels are",
                label[0],
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
        *counts.entry(line.label[0].parse().ok()?).or_default() += 1;
    }
    let are_few = (2..=MOST_CLASSES).contains(&counts.len()) && counts.values().all(|count| *count > 1);
    are_few.then_some(counts.len())
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

    fn read_as(task: Option<LabelKind>, text: &str) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("a.png"), b"x").unwrap();
        data::open_as(&path, &Reading { task, ..Reading::default() })
    }

    fn labels_of(dataset: &Dataset) -> Vec<Target> {
        dataset.train.iter().map(|example| example.target.clone()).collect()
    }

    #[test]
    fn several_labels_in_a_cell_are_asked_for_or_taken_but_never_without_a_word() {
        let text = "path,label\na.png,cat\na.png,dog\nb.png,cat dog\nb.png,dog cat\n";
        let error = read_as(None, text).unwrap_err().to_string();
        assert!(error.contains("`cat dog`") && error.contains("task = labels"), "{error}");
        assert_eq!(read_as(Some(LabelKind::Classes), text).unwrap().classes.len(), 4);
        let several = read_as(Some(LabelKind::Labels), text).unwrap();
        assert_eq!(
            (several.classes.as_slice(), several.kind()),
            (["cat", "dog"].map(str::to_owned).as_slice(), LabelKind::Labels)
        );
        let both = Target::Labels(vec![0, 1]);
        assert_eq!(
            labels_of(&several),
            [Target::Labels(vec![0]), Target::Labels(vec![1]), both.clone(), both.clone()]
        );
        let marked = read_as(None, "path,label\na.png,cat|dog\na.png,cat\nb.png,dog|cat\n").unwrap();
        assert_eq!(labels_of(&marked), [both.clone(), Target::Labels(vec![0]), both]);
        assert!(marked.warnings[0].contains("task = classes"), "{:?}", marked.warnings);
        assert!(read_text("path,label\na.png,golden retriever\na.png,dog\n").unwrap().warnings.is_empty());
    }

    #[test]
    fn an_image_may_have_none_of_the_labels() {
        let text = "path,label\na.png,cat;dog\na.png,\nb.png,cat\n";
        assert!(read_as(None, text).unwrap_err().to_string().contains("line 3 has no label"));
        let dataset = read_as(Some(LabelKind::Labels), text).unwrap();
        assert_eq!(dataset.train[1].target, Target::Labels(Vec::new()));
        assert!(dataset.summary().contains("1 with none"), "{}", dataset.summary());
    }

    #[test]
    fn columns_of_zeros_and_ones_are_labels_or_classes() {
        let text = "file,width,dog,cat\na.png,10,1,0\na.png,11,1,1\nb.png,12,0,0\n";
        let dataset = read_as(None, text).unwrap();
        assert_eq!(dataset.classes, ["dog", "cat"]);
        assert_eq!(
            labels_of(&dataset),
            [Target::Labels(vec![0]), Target::Labels(vec![0, 1]), Target::Labels(Vec::new())]
        );
        assert!(dataset.warnings[0].contains("each is a label"), "{:?}", dataset.warnings);
        assert!(read_as(Some(LabelKind::Classes), text).unwrap_err().to_string().contains("line 3"));
        let one_hot = "file,dog,cat\na.png,1,0\na.png,0,1\n";
        assert_eq!(labels_of(&read_as(None, one_hot).unwrap()), [Target::Class(0), Target::Class(1)]);
        let both = read_as(Some(LabelKind::Labels), one_hot).unwrap();
        assert_eq!(labels_of(&both), [Target::Labels(vec![0]), Target::Labels(vec![1])]);
        assert!(
            read_as(None, "file,width,height\na.png,10,20\n")
                .unwrap_err()
                .to_string()
                .contains("no column of labels")
        );
    }

    #[test]
    fn some_of_the_classes_are_taken_in_the_order_that_is_said() {
        let read = |reading: Reading| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("list.csv");
            std::fs::write(&path, "path,label\na.png,cat\na.png,dog\na.png,bird\nx/b.png,dog\n").unwrap();
            std::fs::write(folder.path().join("a.png"), b"x").unwrap();
            data::open_as(&path, &reading)
        };
        let classes = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let two = read(Reading { classes: classes(&["dog", "bird"]), ..Reading::default() }).unwrap();
        assert_eq!(
            (two.classes.as_slice(), two.train.len()),
            (["dog", "bird"].map(str::to_owned).as_slice(), 3)
        );
        assert_eq!(two.train[1].target, Target::Class(1));
        let error = read(Reading { classes: classes(&["dog", "cow"]), ..Reading::default() })
            .unwrap_err()
            .to_string();
        assert!(error.contains("no class `cow`") && error.contains("`bird`, `cat`, `dog`"), "{error}");
        let exclude = data::Exclude::new(vec!["x".parse().unwrap(), "cat".parse().unwrap()]);
        let rest = read(Reading { exclude, ..Reading::default() }).unwrap();
        assert_eq!((rest.classes.len(), rest.train.len()), (2, 2));
    }

    #[test]
    fn numbers_stand_for_the_classes_of_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, "path,label\na.png,2\na.png,0\n").unwrap();
        std::fs::write(folder.path().join("a.png"), b"x").unwrap();
        let names = ["cat", "dog", "eel"].map(str::to_owned);
        let dataset = data::open_for(&path, &names).unwrap();
        assert_eq!(
            (&dataset.train[0].target, &dataset.train[1].target),
            (&Target::Class(2), &Target::Class(0))
        );
        assert!(dataset.warnings[0].contains("from 0 for `cat`"), "{:?}", dataset.warnings);
        let own = ["2", "0", "1"].map(str::to_owned);
        assert_eq!(data::open_for(&path, &own).unwrap().train[0].target, Target::Class(0));
        assert!(data::open_for(&path, &names[..2]).is_err());
    }

    #[test]
    fn accents_may_be_written_in_two_ways() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(folder.path().join("cafe\u{301}.png"), b"x").unwrap();
        std::fs::write(
            &path,
            "path,label\ncaf\u{e9}.png,ol\u{e9}\ncaf\u{e9}.png,ole\u{301}\ncaf\u{e9}.png,no\n",
        )
        .unwrap();
        let dataset = data::open(&path).unwrap();
        assert_eq!(dataset.classes, ["no", "ol\u{e9}"]);
        let Input::File(file) = &dataset.train[0].input else { panic!() };
        assert!(file.is_file());
        let known = ["ole\u{301}", "no"].map(str::to_owned);
        assert_eq!(data::open_for(&path, &known).unwrap().train[0].target, Target::Class(0));
    }

    #[test]
    fn where_no_file_is_found_the_place_is_told() {
        let error = read_text("path,label\ndata/x.png,cat\ndata/y.png,dog\n").unwrap_err().to_string();
        assert!(error.contains("none of its 2 files is found") && error.contains("data/x.png"), "{error}");
        assert!(error.contains("`root`"), "{error}");
    }
}
