//! The lines of a list, as they are read: their texts lie one behind the other, since a list may have millions of them.

use super::HELP;
use super::columns::{Columns, LabelColumns, none_of, separator};
use super::files::file;
use super::parts::{Parts, Words};
use crate::file_name::composed;
use crate::{DataError, Split};
use std::path::Path;

/// A text within the texts of a list.
#[derive(Clone, Copy)]
struct Within {
    start: u32,
    len: u32,
}

/// A line of the list.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) split: Split,
    path: Within,
    /// What the column of labels says, where there is one.
    label: Within,
    /// Where columns of zeros and ones are, the place of its own among those of all lines.
    row: u32,
}

/// The lines of a list.
pub(super) struct Lines {
    pub(super) all: Vec<Line>,
    /// Whether any says its part.
    pub(super) has_parts: bool,
    /// What is to be told of how the columns were read.
    pub(super) notes: Vec<String>,
    /// Where each label has a column of zeros and ones: their names.
    pub(super) marks: Option<Vec<String>>,
    texts: String,
    /// Of all lines, for each mark whether there is a one.
    ones: Vec<bool>,
}

/// What a cell of a column of zeros and ones may be.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Zero,
    One,
    Other,
}

impl Mark {
    fn of(cell: &str) -> Self {
        match cell {
            "0" | "0.0" | "-1" | "False" | "false" | "FALSE" => Self::Zero,
            "1" | "1.0" | "True" | "true" | "TRUE" => Self::One,
            _ => Self::Other,
        }
    }
}

impl Lines {
    /// Reads a list whose paths are relative to `folder`.
    pub(super) fn read(source: &Path, folder: &Path) -> Result<Self, DataError> {
        let refuse = |message: String, help: &str| DataError::source(source, message, help);
        let bytes = frostline_files::regular::read(source).map_err(|e| DataError::io(source, e))?;
        if u32::try_from(bytes.len()).is_err() {
            return Err(refuse("is a list of more than 4 GiB".to_owned(), "cut it into several lists"));
        }
        let separator = separator(&String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]));
        let mut table = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(separator)
            .has_headers(false)
            .from_reader(bytes.as_slice());
        let mut columns: Option<Columns> = None;
        let count = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let mut lines = Self {
            all: Vec::with_capacity(count),
            has_parts: false,
            notes: Vec::new(),
            marks: None,
            texts: String::with_capacity(bytes.len()),
            ones: Vec::new(),
        };
        let (mut parts, mut words) = (Parts::default(), Words::default());
        let (mut header, mut marks): (Vec<String>, Vec<Mark>) = Default::default();
        let mut record = csv::StringRecord::new();
        while table.read_record(&mut record).map_err(|error| match error.kind() {
            csv::ErrorKind::Utf8 { pos, .. } => refuse(
                format!("line {} is no UTF-8", pos.as_ref().map_or(0, csv::Position::line)),
                "save the list as UTF-8",
            ),
            _ => refuse(error.to_string(), HELP),
        })? {
            let columns = match &columns {
                Some(columns) => columns,
                None => {
                    let found = Columns::of(source, &record, |path| file(folder, path).is_file())?;
                    let has_header = found.has_header;
                    header = record.iter().map(str::to_owned).collect();
                    lines.notes.extend(found.note(&header));
                    parts = Parts::beside(&found, &record);
                    let found = columns.insert(found);
                    if has_header {
                        continue;
                    }
                    found
                }
            };
            let number = record.position().map_or(0, csv::Position::line);
            let cell = |column: usize| record.get(column).unwrap_or_default();
            let part = columns.split.map(|split| cell(split.at)).unwrap_or_default();
            lines.has_parts |= !part.is_empty();
            let split = match (part, columns.split) {
                (text, Some(column)) if !text.is_empty() => column.part(text).ok_or_else(|| {
                    refuse(
                        format!("line {number}: there is no split `{text}`"),
                        "it is `train`, `val` or `test`",
                    )
                })?,
                _ => Split::Train,
            };
            if columns.split.is_some_and(|column| column.flag.is_none()) {
                words.see(split, part);
            }
            parts.see(&record);
            let path = cell(columns.path);
            if path.is_empty() {
                return Err(refuse(format!("line {number} has no path"), "fill it, or remove the line"));
            }
            let label = match &columns.label {
                LabelColumns::One(label) => cell(*label),
                LabelColumns::Marks(of) => {
                    marks.extend(of.iter().map(|(at, _)| Mark::of(cell(*at))));
                    ""
                }
            };
            let row = lines.all.len() as u32;
            let (path, label) = (lines.text(source, path)?, lines.text(source, label)?);
            lines.all.push(Line { number: number as u32, split, path, label, row });
        }
        if lines.all.is_empty() {
            return Err(refuse("lists no image".to_owned(), HELP));
        }
        lines.notes.extend(words.told());
        lines.take_parts(&parts, &header);
        if let Some(LabelColumns::Marks(columns)) = columns.map(|columns| columns.label) {
            lines.mark(source, &header, &columns, &marks)?;
        }
        Ok(lines)
    }

    /// Takes the parts from a column whose cells name them all, where no column is called so.
    fn take_parts(&mut self, parts: &Parts, header: &[String]) {
        let Some((column, found)) = parts.found() else { return };
        self.has_parts = true;
        self.all.iter_mut().zip(found).for_each(|(line, split)| line.split = *split);
        let name = header.get(column).map_or("", String::as_str);
        self.notes.push(format!("the column `{name}` says which part a line is of"));
    }

    /// Keeps a text.
    fn text(&mut self, source: &Path, text: &str) -> Result<Within, DataError> {
        let start = self.texts.len();
        self.texts.push_str(text);
        // a file of less has no longer texts
        match (u32::try_from(start), u32::try_from(text.len())) {
            (Ok(start), Ok(len)) => Ok(Within { start, len }),
            _ => Err(DataError::source(source, "holds too much text", "cut it into several lists")),
        }
    }

    /// Takes the columns of which each cell is a zero or a one for those of labels. `marks`: of all lines, column by column.
    fn mark(
        &mut self,
        source: &Path,
        header: &[String],
        columns: &[(usize, String)],
        marks: &[Mark],
    ) -> Result<(), DataError> {
        let rows = || marks.chunks_exact(columns.len().max(1));
        let is_marked = |at: &usize| rows().all(|row| row[*at] != Mark::Other);
        let marked: Vec<usize> = (0..columns.len()).filter(is_marked).collect();
        if marked.len() < 2 {
            return Err(none_of(source, "labels", header));
        }
        self.ones = rows().flat_map(|row| marked.iter().map(|at| row[*at] == Mark::One)).collect();
        self.marks = Some(marked.into_iter().map(|at| composed(&columns[at].1)).collect());
        Ok(())
    }

    pub(super) fn path(&self, line: &Line) -> &str {
        self.at(line.path)
    }

    /// What the column of labels says.
    pub(super) fn label(&self, line: &Line) -> &str {
        self.at(line.label)
    }

    fn at(&self, Within { start, len }: Within) -> &str {
        &self.texts[start as usize..][..len as usize]
    }

    /// The names of the columns that have a one here.
    pub(super) fn ones<'a>(&'a self, line: &Line) -> impl Iterator<Item = &'a str> {
        let names = self.marks.as_deref().unwrap_or_default();
        let own = self.ones.chunks_exact(names.len().max(1)).nth(line.row as usize).unwrap_or_default();
        names.iter().zip(own).filter(|(_, one)| **one).map(|(name, _)| name.as_str())
    }

    /// Leaves lines out.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&Self, &Line) -> bool) {
        let mut all = std::mem::take(&mut self.all);
        all.retain(|line| is_kept(self, line));
        self.all = all;
    }
}
