//! A CSV list: `path,label[,split]` with a header, paths relative to the file or to a folder that is named; or a path, and a
//! column of zeros and ones for each label.

mod columns;
mod files;
mod lines;
mod parts;
mod repeated;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::dataset::listed;
use super::exclude::Excluding;
use super::file_name::{composed, is_composed};
use super::several::{Between, Evidence, evidence};
use super::{DataError, Dataset, Example, Input, LabelKind, Reading, Split, Target};
pub(super) use columns::LABELS;
use files::file;
use lines::{Line, Lines};
use repeated::Repeated;

const HELP: &str = "the first line is `path,label` or `path,label,split`";
/// Whole numbers that are more kinds than this are taken for numbers.
const MOST_CLASSES: usize = 20;

/// What the labels of all lines are.
enum Targets<'a> {
    Numbers(Vec<f32>),
    /// A name a line.
    Classes(Vec<Cow<'a, str>>),
    /// Names a line.
    Labels(Vec<Vec<Cow<'a, str>>>),
}

pub(super) fn read(source: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let folder = reading.root.as_deref().unwrap_or(source.parent().unwrap_or(Path::new("")));
    let mut lines = Lines::read(source, folder)?;
    let has_parts = lines.has_parts;
    let mut dataset =
        Dataset { source: source.to_path_buf(), class_names_known: true, has_parts, ..Dataset::default() };
    dataset.warnings.append(&mut lines.notes);
    let mut excluding = Excluding::by(&reading.exclude);
    lines.retain(|lines, line| {
        let is_out = excluding.path(&as_composed(lines.path(line)))
            || match lines.marks {
                Some(_) => lines.ones(line).any(|label| excluding.class(label)),
                None => excluding.class(lines.label(line)),
            };
        !is_out
    });
    dataset.warnings.extend(excluding.told("lines"));
    if lines.all.is_empty() {
        return Err(DataError::source(source, "has no line that is not excluded", "exclude less"));
    }
    let targets = match &lines.marks {
        Some(names) => marked(source, &lines, names, reading, &mut dataset.warnings)?,
        None => targets(source, &lines, reading, &mut dataset.warnings)?,
    };
    dataset.classes = names(&targets, lines.marks.as_deref());
    let index: BTreeMap<&str, usize> =
        dataset.classes.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let in_split = |split: Split| lines.all.iter().filter(|line| line.split == split).count();
    let mut splits: [Vec<Example>; 3] = Split::ALL.map(|split| Vec::with_capacity(in_split(split)));
    // where a line names one label, an image that has several stands in as many
    let one_a_line = match &targets {
        Targets::Labels(names) => lines.marks.is_none() && names.iter().all(|own| own.len() < 2),
        Targets::Classes(_) | Targets::Numbers(_) => false,
    };
    let mut repeated = Repeated::of(&lines, one_a_line);
    for (row, line) in lines.all.iter().enumerate() {
        let target = match &targets {
            Targets::Numbers(numbers) => Target::Value(vec![numbers[row]]),
            Targets::Classes(names) => Target::Class(index[&*names[row]]),
            Targets::Labels(names) => {
                let labels: BTreeSet<usize> = names[row].iter().map(|name| index[&**name]).collect();
                Target::Labels(labels.into_iter().collect())
            }
        };
        let path = lines.path(line);
        let examples = &mut splits[line.split as usize];
        if repeated.joins(line.split, path, &target, examples) {
            continue;
        }
        let mut file = file(folder, path);
        // joining leaves room for more
        file.shrink_to_fit();
        let input = Input::File(file);
        examples.push(Example { input, target, name: path.to_owned() });
    }
    dataset.warnings.extend(repeated.told());
    for (split, examples) in Split::ALL.into_iter().zip(splits) {
        if !examples.is_empty() {
            dataset.set_split(split, examples);
        }
    }
    require_a_file(&dataset, folder)?;
    Ok(dataset)
}

/// The classes or labels, in their order: that of columns; else of names, of numbers that stand for classes as numbers.
fn names(targets: &Targets<'_>, marks: Option<&[String]>) -> Vec<String> {
    let mut found: Vec<String> = match (targets, marks) {
        (Targets::Numbers(_), _) => return Vec::new(),
        (_, Some(marks)) => return marks.to_vec(),
        (Targets::Classes(names), None) => {
            names.iter().collect::<BTreeSet<_>>().into_iter().map(|name| name.clone().into_owned()).collect()
        }
        (Targets::Labels(names), None) => {
            let names: BTreeSet<_> = names.iter().flatten().collect();
            names.into_iter().map(|name| name.clone().into_owned()).collect()
        }
    };
    if found.iter().all(|name| name.parse::<u64>().is_ok()) {
        found.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
    }
    found
}

/// What the labels in one column are.
fn targets<'a>(
    source: &Path,
    lines: &'a Lines,
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Targets<'a>, DataError> {
    let cells = || lines.all.iter().map(|line| as_composed(lines.label(line)));
    let split = |between: Between| -> Vec<Vec<Cow<'a, str>>> {
        cells().map(|cell| between.labels_of(cell)).collect()
    };
    if reading.task == Some(LabelKind::Labels) {
        let between = Between::of(lines.all.iter().map(|line| lines.label(line)));
        warnings.push(format!("several labels in a cell are taken to be separated by {}", between.words()));
        return Ok(Targets::Labels(split(between)));
    }
    if let Some(line) = lines.all.iter().find(|line| lines.label(line).is_empty()) {
        return Err(DataError::source(
            source,
            format!("line {} has no label", line.number),
            "fill it, or remove the line; where images may have several labels or none, give the setting `task = labels`",
        ));
    }
    if reading.task.is_none()
        && let Some(refusal) = foreign_cells(lines)
    {
        let (what, help) = refusal;
        let line = &lines.all[0];
        return Err(DataError::source(
            source,
            format!("line {}: the label `{}` {what}", line.number, lines.label(line)),
            help,
        ));
    }
    if let Some(numbers) = numbers(source, lines, reading, warnings)? {
        return Ok(Targets::Numbers(numbers));
    }
    if reading.task == Some(LabelKind::Classes) {
        return Ok(Targets::Classes(cells().collect()));
    }
    let cells: Vec<Cow<'a, str>> = cells().collect();
    let kinds: BTreeSet<&str> = cells.iter().map(|cell| &**cell).collect();
    match evidence(&kinds) {
        Evidence::One => {
            if kinds.len() == cells.len() && kinds.len() > 2 {
                warnings.push(format!(
                    "each of the {} labels stands in one line alone: where the column holds no classes, name that of the labels `label`",
                    kinds.len()
                ));
            }
            Ok(Targets::Classes(cells))
        }
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

/// What labels are, and what to do, where all are written as another program writes numbers or lists.
fn foreign_cells(lines: &Lines) -> Option<(&'static str, &'static str)> {
    let all = |is_one: &dyn Fn(&str) -> bool| lines.all.iter().all(|line| is_one(lines.label(line)));
    let is_number = |cell: &str| cell.parse::<f32>().is_ok();
    let has_comma = |cell: &str| is_number(&cell.replacen(',', ".", 1));
    if all(&has_comma) && !all(&is_number) {
        return Some((
            "looks like a number with a decimal comma",
            "write a point, as 3.5; where labels are classes, give the setting `task = classes`",
        ));
    }
    if all(&|cell| cell.strip_suffix('%').is_some_and(is_number)) {
        return Some(("is a number of percent", "leave `%` out"));
    }
    if all(&|cell| cell.starts_with('[') && cell.ends_with(']')) {
        return Some((
            "is a list as Python writes it",
            "put `|` between labels, as cat|dog, and give the setting `task = labels`",
        ));
    }
    None
}

/// What columns of zeros and ones say.
fn marked<'a>(
    source: &Path,
    lines: &'a Lines,
    names: &[String],
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Targets<'a>, DataError> {
    let listed = listed(names);
    let one = |line: &Line| match (lines.ones(line).next(), lines.ones(line).count()) {
        (Some(name), 1) => Ok(Cow::Borrowed(name)),
        (_, count) => Err(DataError::source(
            source,
            format!("line {} has a one in {count} of the columns {listed}", line.number),
            "give the setting `task = labels` where an image may have several labels, or none",
        )),
    };
    let is_one_hot = lines.all.iter().all(|line| lines.ones(line).count() == 1);
    match reading.task {
        Some(LabelKind::Numbers) => Err(DataError::source(
            source,
            format!("has no column of numbers to learn, but the columns {listed} with zeros and ones"),
            "name one column `label`, or leave the setting `task` out",
        )),
        Some(LabelKind::Classes) => {
            Ok(Targets::Classes(lines.all.iter().map(one).collect::<Result<_, _>>()?))
        }
        None if is_one_hot => {
            warnings.push(format!(
                "each line has a one in one of the columns {listed}: they are learned as classes; the setting `task = labels` learns them as labels of which an image may have several"
            ));
            Ok(Targets::Classes(lines.all.iter().map(one).collect::<Result<_, _>>()?))
        }
        _ => {
            warnings.push(format!(
                "the columns {listed} hold zeros and ones: each is a label that an image may have"
            ));
            let names = |line: &Line| lines.ones(line).map(Cow::Borrowed).collect();
            Ok(Targets::Labels(lines.all.iter().map(names).collect()))
        }
    }
}

/// The text with its accents one with their letters.
fn as_composed(text: &str) -> Cow<'_, str> {
    if is_composed(text) { Cow::Borrowed(text) } else { Cow::Owned(composed(text)) }
}

/// The labels as numbers, where they are to be learned as such.
fn numbers(
    source: &Path,
    lines: &Lines,
    reading: &Reading,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<f32>>, DataError> {
    if reading.task == Some(LabelKind::Classes) {
        return Ok(None);
    }
    let number = |line: &Line| lines.label(line).parse().ok().filter(|v: &f32| v.is_finite());
    let numbers: Vec<Option<f32>> = lines.all.iter().map(number).collect();
    let count = numbers.iter().flatten().count();
    // a slip among numbers would turn every number into a class of its own
    if let Some(first) = numbers.iter().position(Option::is_none) {
        if 2 * count < lines.all.len() && reading.task.is_none() {
            return Ok(None);
        }
        let line = &lines.all[first];
        return Err(DataError::source(
            source,
            format!(
                "line {}: the label `{}` is no finite number, {count} of {} labels are",
                line.number,
                lines.label(line),
                lines.all.len()
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
fn few_whole(lines: &Lines) -> Option<usize> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for line in &lines.all {
        *counts.entry(lines.label(line).parse().ok()?).or_default() += 1;
    }
    let are_few = (2..=MOST_CLASSES).contains(&counts.len()) && counts.values().all(|count| *count > 1);
    are_few.then_some(counts.len())
}

/// Errors where not one of the files is there: then the paths are wrong, and no image is damaged.
fn require_a_file(dataset: &Dataset, folder: &Path) -> Result<(), DataError> {
    let paths = || dataset.examples().filter_map(|(_, example)| example.input.path());
    if paths().any(Path::exists) {
        return Ok(());
    }
    let count = paths().count();
    let first = paths().next().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
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
