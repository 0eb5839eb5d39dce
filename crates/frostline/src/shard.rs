//! One of several processes that share a job.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// `3/64`: the fourth of 64 processes. They are counted from 0, as job arrays count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// The shard `index` of `of`, where there is one.
    pub fn new(index: usize, of: usize) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Which it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn of(&self) -> usize {
        self.of
    }

    /// Its part of `count` things in a row: the parts follow each other, and differ by one thing at most.
    pub fn range(&self, count: usize) -> Range<usize> {
        let bound = |index: usize| (index as u128 * count as u128 / self.of as u128) as usize;
        bound(self.index)..bound(self.index + 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((index, of)) if of > 0 => Self::new(index, of)
                .ok_or_else(|| format!("shards are counted from 0: of {of} the last is {}/{of}", of - 1)),
            _ => Err("give I/N, as 0/4, 1/4, 2/4, 3/4 for four processes".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_in_its_order() {
        for count in [0, 1, 3, 64, 1000] {
            for of in [1, 3, 7, 64] {
                let parts = (0..of).filter_map(|index| Shard::new(index, of)).map(|shard| shard.range(count));
                let all: Vec<usize> = parts.clone().flatten().collect();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
                let lengths: Vec<usize> = parts.map(|part| part.len()).collect();
                let [least, most] =
                    [lengths.iter().min(), lengths.iter().max()].map(|one| *one.expect("a part"));
                assert!(most - least <= 1, "{lengths:?}");
            }
        }
    }

    #[test]
    fn shards_are_counted_from_zero() {
        assert_eq!("3/4".parse(), Ok(Shard { index: 3, of: 4 }));
        for wrong in ["4/4", "1", "0/0", "-1/4", "a/b", "1/4/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
