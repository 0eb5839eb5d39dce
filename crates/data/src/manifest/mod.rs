//! A CSV list: `path,label[,split]` with a header, paths relative to the file or to a folder that is named; or a path, and a
//! column of zeros and ones for each label.

mod columns;
mod files;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::dataset::listed;
use super::exclude::Excluding;
use super::file_name::composed;
use super::several::{Between, Evidence, evidence};
use super::{DataError, Dataset, Example, Input, LabelKind, Reading, Split, Target};
pub(super) use columns::LABELS;
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
    let path = |(_, example): (Split, &'_ Example)| match &example.input {
        Input::File(path) => Some(path.clone()),
        _ => None,
    };
    let paths: Vec<PathBuf> = dataset.examples().filter_map(path).collect();
    if paths.iter().any(|path| path.exists()) {
        return Ok(());
    }
    let count = paths.len();
    let first = paths.first().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
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
