//! Columns that are not called so, and say which part each line is of.

use super::columns::{Columns, LabelColumns};
use crate::Split;
use csv::StringRecord;

/// Columns of which each cell so far is the name of a part, and those parts.
#[derive(Default)]
pub(super) struct Parts {
    columns: Vec<(usize, Vec<Split>)>,
}

impl Parts {
    /// Of the columns that are read as nothing else; none where a column is called as one of parts.
    pub(super) fn beside(columns: &Columns, first: &StringRecord) -> Self {
        if columns.split.is_some() || !columns.has_header {
            return Self::default();
        }
        let is_free = |at: &usize| *at != columns.path && columns.label != LabelColumns::One(*at);
        Self { columns: (0..first.len()).filter(is_free).map(|at| (at, Vec::new())).collect() }
    }

    /// The next line.
    pub(super) fn see(&mut self, record: &StringRecord) {
        self.columns.retain_mut(|(at, seen)| {
            let part = record.get(*at).and_then(Split::from_user);
            seen.extend(part);
            part.is_some()
        });
    }

    /// The column, and the part of each line, where it is one alone and names more than one part.
    pub(super) fn found(&self) -> Option<(usize, &[Split])> {
        let is_of_several =
            |parts: &&(usize, Vec<Split>)| parts.1.iter().any(|part| Some(part) != parts.1.first());
        let mut found = self.columns.iter().filter(is_of_several);
        let (at, parts) = found.next()?;
        found.next().is_none().then_some((*at, parts.as_slice()))
    }
}

/// The words by which lines name their parts.
#[derive(Default)]
pub(super) struct Words(Vec<(Split, String)>);

impl Words {
    /// More are not told.
    const MOST: usize = 8;

    /// The next line's; an empty cell is none.
    pub(super) fn see(&mut self, split: Split, word: &str) {
        let is_known = |(_, own): &(Split, String)| own.eq_ignore_ascii_case(word);
        if !word.is_empty() && self.0.len() < Self::MOST && !self.0.iter().any(is_known) {
            self.0.push((split, word.to_owned()));
        }
    }

    /// Parts that go by several words, of which one may have been meant for something else.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        Split::ALL.into_iter().filter_map(|split| {
            let own: Vec<String> = self
                .0
                .iter()
                .filter(|(other, _)| *other == split)
                .map(|(_, word)| format!("`{word}`"))
                .collect();
            (own.len() > 1)
                .then(|| format!("{} are all read as the {} part", own.join(" and "), split.name()))
        })
    }
}
