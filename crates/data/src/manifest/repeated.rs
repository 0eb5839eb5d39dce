//! Images that stand in several lines: with several labels each line may hold one of them.

use super::lines::Lines;
use crate::{Example, Split, Target};
use std::collections::{BTreeMap, BTreeSet};

/// The images that a list names more than once.
pub(super) struct Repeated<'a> {
    /// Where in its part each of them was put, by part and path.
    places: BTreeMap<(Split, &'a str), Option<usize>>,
    /// Whether each line names one label of those that an image may have.
    one_a_line: bool,
    /// How many were given more labels by a later line, and how many stand there with other classes.
    joined: BTreeSet<&'a str>,
    contradicted: BTreeSet<&'a str>,
}

impl<'a> Repeated<'a> {
    pub(super) fn of(lines: &'a Lines, one_a_line: bool) -> Self {
        let mut all: Vec<(Split, &str)> =
            lines.all.iter().map(|line| (line.split, lines.path(line))).collect();
        all.sort_unstable();
        let places = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| (pair[0], None)).collect();
        Self { places, one_a_line, joined: BTreeSet::new(), contradicted: BTreeSet::new() }
    }

    /// Adds the labels of a later line to those of the image, which is among its part's already; false where it is to be put there.
    pub(super) fn joins(
        &mut self,
        split: Split,
        path: &'a str,
        target: &Target,
        examples: &mut [Example],
    ) -> bool {
        let Some(place) = self.places.get_mut(&(split, path)) else { return false };
        let Some(own) = place.and_then(|place| examples.get_mut(place)) else {
            *place = Some(examples.len());
            return false;
        };
        match (&mut own.target, target) {
            (Target::Labels(own), Target::Labels(more)) if self.one_a_line => {
                let all: BTreeSet<usize> = own.iter().chain(more).copied().collect();
                *own = all.into_iter().collect();
                self.joined.insert(path);
                true
            }
            (Target::Class(own), Target::Class(other)) if own != other => {
                self.contradicted.insert(path);
                false
            }
            _ => false,
        }
    }

    pub(super) fn told(&self) -> Option<String> {
        match (self.joined.len(), self.contradicted.first()) {
            (0, None) => None,
            (0, Some(first)) => Some(format!(
                "images stand in several lines with different classes ({}, the first is `{first}`): the setting `task = labels` takes those for labels of one image",
                self.contradicted.len()
            )),
            (joined, _) => {
                Some(format!("images that stand in several lines ({joined}) have the labels of all of them"))
            }
        }
    }
}
