//! Several labels in one cell of a list: `cat dog`, `cat|dog`, `cat;dog`, `cat,dog`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What stands between the labels of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Mark(char),
    Spaces,
}

/// Marks that stand between labels, the clearest first: the first that any cell has is the one.
const MARKS: [char; 3] = ['|', ';', ','];

impl Between {
    /// What stands between the labels of these cells, as far as can be told: spaces, where no cell has a mark.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mark = MARKS.into_iter().find(|mark| cells.clone().any(|cell| cell.contains(*mark)));
        mark.map_or(Self::Spaces, Self::Mark)
    }

    /// The labels of a cell; none of an empty one.
    pub(super) fn labels(self, cell: &str) -> Vec<&str> {
        let is_between = |c: char| match self {
            Self::Mark(mark) => c == mark,
            Self::Spaces => c.is_whitespace(),
        };
        cell.split(is_between).map(str::trim).filter(|label| !label.is_empty()).collect()
    }

    /// [`Between::labels`], borrowed from where the cell is.
    pub(super) fn labels_of(self, cell: Cow<'_, str>) -> Vec<Cow<'_, str>> {
        match cell {
            Cow::Borrowed(cell) => self.labels(cell).into_iter().map(Cow::Borrowed).collect(),
            Cow::Owned(cell) => {
                self.labels(&cell).into_iter().map(|label| Cow::Owned(label.to_owned())).collect()
            }
        }
    }

    /// For people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Mark(mark) => format!("`{mark}`"),
            Self::Spaces => "spaces".to_owned(),
        }
    }
}

/// What cells look like where nobody says what they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Evidence {
    /// Each is a label.
    One,
    /// Some hold several labels: there is a mark that is in no name, and of each such cell a part stands in another cell too.
    Several(Between),
    /// Some are made of others, by what may also be a part of a name: these.
    Unclear(Vec<String>),
}

pub(super) fn evidence(cells: &BTreeSet<&str>) -> Evidence {
    let between = Between::of(cells.iter().copied());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in cells {
        let labels: BTreeSet<&str> = between.labels(cell).into_iter().collect();
        labels.into_iter().for_each(|label| *counts.entry(label).or_default() += 1);
    }
    let several: Vec<Vec<&str>> =
        cells.iter().map(|cell| between.labels(cell)).filter(|labels| labels.len() > 1).collect();
    let is_clear = matches!(between, Between::Mark('|' | ';'));
    let recurs = |label: &&str| counts[label] > 1;
    if is_clear && !several.is_empty() && several.iter().all(|labels| labels.iter().any(recurs)) {
        return Evidence::Several(between);
    }
    if between == Between::Mark(',') && several.len() > 1 && several.iter().flatten().all(recurs) {
        return Evidence::Unclear(
            cells.iter().filter(|cell| cell.contains(',')).map(|cell| (*cell).to_owned()).collect(),
        );
    }
    let is_made_of_others = |cell: &&str| {
        MARKS.into_iter().map(Between::Mark).chain([Between::Spaces]).any(|between| {
            let labels = between.labels(cell);
            labels.len() > 1 && labels.iter().all(|label| cells.contains(label))
        })
    };
    let found: Vec<String> = cells.iter().copied().filter(is_made_of_others).map(str::to_owned).collect();
    if found.is_empty() { Evidence::One } else { Evidence::Unclear(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cells: &[&str]) -> Evidence {
        evidence(&cells.iter().copied().collect())
    }

    #[test]
    fn what_is_clear_is_taken_and_what_is_not_is_asked() {
        assert_eq!(told(&["cat", "dog"]), Evidence::One);
        assert_eq!(told(&["cat|dog", "cat|bird", "dog|bird"]), Evidence::Several(Between::Mark('|')));
        assert_eq!(told(&["cat;dog", "cat", "dog"]), Evidence::Several(Between::Mark(';')));
        assert_eq!(told(&["cat", "cat|dog", "dog|owl"]), Evidence::Several(Between::Mark('|')));
        let pairs = ["a,b", "a,c", "b,c"];
        assert_eq!(told(&pairs), Evidence::Unclear(pairs.map(str::to_owned).to_vec()));
        assert_eq!(told(&["Springfield, Illinois", "Springfield, Ohio", "Dayton, Ohio"]), Evidence::One);
        assert_eq!(told(&["cat", "dog", "cat dog"]), Evidence::Unclear(vec!["cat dog".to_owned()]));
        assert_eq!(told(&["cat", "dog", "dog,cat"]), Evidence::Unclear(vec!["dog,cat".to_owned()]));
        // names that hold what may stand between labels
        assert_eq!(told(&["golden retriever", "dog"]), Evidence::One);
        assert_eq!(told(&["n02085620|Chihuahua", "n02085782|Pug"]), Evidence::One);
    }

    #[test]
    fn the_clearest_mark_stands_between_labels() {
        let cells = ["red wine|glass", "beer, pale|glass"];
        let between = Between::of(cells.into_iter());
        assert_eq!(between.labels(cells[1]), ["beer, pale", "glass"]);
        assert!(between.labels("").is_empty());
        assert_eq!(Between::of(["a b"].into_iter()).labels(" a  b "), ["a", "b"]);
    }
}
