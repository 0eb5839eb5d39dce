//! Holding out a part of the training examples, stratified by class.

use std::collections::BTreeMap;

use super::random::Random;
use super::{DataError, Example, Target};

/// Splits `examples` into the indices that are kept and those that are held out, both ascending.
///
/// Each class gives `round(fraction * count)` of its examples, but at least one to each side if it has two or more;
/// a class with one example keeps it. Examples with numbers for targets are split at random as one class. The
/// choice within a class depends on `seed`, the class and its count alone, so another class's images do not move it.
/// `fraction` lies in (0, 1).
pub fn holdout(
    examples: &[Example],
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::setting(
            format!("`{fraction}` is no fraction to hold out"),
            "give a number between 0 and 1, as in `--val 0.2`",
        ));
    }
    let mut strata: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        let class = match example.target {
            Target::Class(class) => Some(class),
            Target::Value(_) => None,
        };
        strata.entry(class).or_default().push(index);
    }
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for (class, mut members) in strata {
        let count = match members.len() {
            0 | 1 => 0,
            n => ((n as f64 * fraction).round() as usize).clamp(1, n - 1),
        };
        let key = class.map_or(u64::MAX, |c| c as u64);
        Random::new("holdout", [seed, key, 0]).shuffle(&mut members);
        held.extend_from_slice(&members[..count]);
        kept.extend_from_slice(&members[count..]);
    }
    kept.sort_unstable();
    held.sort_unstable();
    Ok((kept, held))
}

/// `0..n` in an order that `seed` and `epoch` decide.
pub fn shuffled(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Random::new("epoch", [seed, epoch, 0]).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Input, Split};

    fn examples(counts: &[usize]) -> Vec<Example> {
        let labels = counts.iter().enumerate().flat_map(|(class, &n)| vec![class; n]);
        let example = |(row, class)| Example {
            input: Input::Row { split: Split::Train, row },
            target: Target::Class(class),
            name: format!("x_train[{row}]"),
        };
        labels.enumerate().map(example).collect()
    }

    fn per_class(examples: &[Example], indices: &[usize], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &i in indices {
            if let Target::Class(c) = examples[i].target {
                counts[c] += 1;
            }
        }
        counts
    }

    #[test]
    fn each_class_gives_its_share_and_keeps_at_least_one_on_each_side() {
        let all = examples(&[100, 10, 2, 1]);
        let (kept, held) = holdout(&all, 0.2, 7).unwrap();
        assert_eq!(per_class(&all, &held, 4), [20, 2, 1, 0]);
        assert_eq!(per_class(&all, &kept, 4), [80, 8, 1, 1]);
        let (kept, _) = holdout(&all, 0.99, 7).unwrap();
        assert_eq!(per_class(&all, &kept, 4), [1, 1, 1, 1]);
    }

    #[test]
    fn the_seed_decides_and_the_parts_are_disjoint() {
        let all = examples(&[30, 30]);
        let (kept, held) = holdout(&all, 0.3, 1).unwrap();
        assert_eq!((kept.clone(), held.clone()), holdout(&all, 0.3, 1).unwrap());
        assert_ne!(held, holdout(&all, 0.3, 2).unwrap().1);
        let mut both = [kept, held].concat();
        both.sort_unstable();
        assert_eq!(both, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_are_split_at_random() {
        let mut all = examples(&[40]);
        for (i, e) in all.iter_mut().enumerate() {
            e.target = Target::Value(vec![i as f32]);
        }
        let (kept, held) = holdout(&all, 0.25, 0).unwrap();
        assert_eq!((kept.len(), held.len()), (30, 10));
    }

    #[test]
    fn a_fraction_outside_zero_and_one_is_an_error() {
        for fraction in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(holdout(&examples(&[4]), fraction, 0).is_err());
        }
    }
}
