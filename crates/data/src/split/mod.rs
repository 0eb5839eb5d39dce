//! Holding out a part of the training examples, stratified by class.

mod spread;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use super::random::Random;
use super::{DataError, Example, Target};

pub use spread::spread;

/// Splits `examples` into the indices that are kept and those that are held out, both ascending.
///
/// Each class gives `round(fraction * count)` of its examples, but at least one to each side if it has two or more;
/// a class with one example keeps it. Examples with several labels are split by the rarest of them. Examples with numbers for
/// targets are split at random as one class. The
/// choice within a class depends on `seed`, the class and its count alone, so another class's images do not move it.
/// `fraction` lies in (0, 1).
pub fn holdout(
    examples: &[Example],
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    holdout_by(examples, fraction, seed, &|_| None)
}

/// [`holdout`] that leaves examples of one content on one side, whatever their classes: a class then gives at most its
/// share, and less where the rest are copies of one another.
pub(super) fn holdout_by(
    examples: &[Example],
    fraction: f64,
    seed: u64,
    content: &dyn Fn(&Example) -> Option<blake3::Hash>,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::setting(
            format!("`{fraction}` is no fraction to hold out"),
            "give a number between 0 and 1, as in the setting `val = 0.2`",
        ));
    }
    let mut strata: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    // where the copies of a class lie in its list
    let mut copies: HashMap<(Option<usize>, blake3::Hash), usize> = HashMap::new();
    let contents: Vec<Option<blake3::Hash>> = examples.iter().map(content).collect();
    for (index, class) in strata_of(examples).into_iter().enumerate() {
        let groups = strata.entry(class).or_default();
        let own = groups.len();
        match contents[index].map_or(own, |content| *copies.entry((class, content)).or_insert(own)) {
            at if at < own => groups[at].push(index),
            _ => groups.push(vec![index]),
        }
    }
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    // the side of each content: that of the first class that has it
    let mut sides: HashMap<blake3::Hash, bool> = HashMap::new();
    for (class, mut groups) in strata {
        let share = match groups.iter().map(Vec::len).sum::<usize>() {
            0 | 1 => 0,
            n => ((n as f64 * fraction).round() as usize).clamp(1, n - 1),
        };
        let key = class.map_or(u64::MAX, |c| c as u64);
        Random::new("holdout", [seed, key, 0]).shuffle(&mut groups);
        let given = |group: &Vec<usize>| contents[group[0]].and_then(|content| sides.get(&content).copied());
        let decided: Vec<Option<bool>> = groups.iter().map(given).collect();
        let held_count = |index: usize| if decided[index] == Some(true) { groups[index].len() } else { 0 };
        let mut taken: usize = (0..groups.len()).map(held_count).sum();
        let mut is_held: Vec<bool> = Vec::new();
        for (group, decided) in groups.iter().zip(&decided) {
            let fits = taken + group.len() <= share;
            is_held.push(decided.unwrap_or(fits));
            taken += if decided.is_none() && fits { group.len() } else { 0 };
        }
        let open = (0..groups.len()).filter(|index| decided[*index].is_none());
        if taken == 0
            && share > 0
            && groups.len() > 1
            && let Some(smallest) = open.min_by_key(|index| groups[*index].len())
        {
            is_held[smallest] = true;
        }
        for (group, is_held) in groups.into_iter().zip(is_held) {
            if let Some(content) = contents[group[0]] {
                sides.entry(content).or_insert(is_held);
            }
            if is_held { &mut held } else { &mut kept }.extend(group);
        }
    }
    kept.sort_unstable();
    held.sort_unstable();
    Ok((kept, held))
}

/// The class of each example by which it is split: of several labels the rarest, and none for numbers.
fn strata_of<E: Borrow<Example>>(examples: &[E]) -> Vec<Option<usize>> {
    let mut with_label: BTreeMap<usize, usize> = BTreeMap::new();
    for example in examples {
        if let Target::Labels(labels) = &example.borrow().target {
            labels.iter().for_each(|label| *with_label.entry(*label).or_default() += 1);
        }
    }
    let stratum = |example: &E| match &example.borrow().target {
        Target::Class(class) => Some(*class),
        // so that the rare ones are on both sides
        Target::Labels(labels) => labels.iter().copied().min_by_key(|label| (with_label[label], *label)),
        Target::Value(_) => None,
    };
    examples.iter().map(stratum).collect()
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
    use crate::{Input, Split};

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
    fn examples_of_one_content_stay_on_one_side_and_others_as_they_were() {
        let all = examples(&[30, 20, 2]);
        let apart = |example: &Example| Some(blake3::hash(example.name.as_bytes()));
        assert_eq!(holdout_by(&all, 0.2, 3, &apart).unwrap(), holdout(&all, 0.2, 3).unwrap());
        // each photo of the first class twice, one in two classes, the last class one photo alone
        let photo = |index: usize| match index {
            0..30 => index / 2,
            30 => 0,
            50.. => 50,
            _ => index,
        };
        let content = |example: &Example| match example.input {
            Input::Row { row, .. } => Some(blake3::hash(&photo(row).to_le_bytes())),
            Input::File(_) | Input::Picture(_) | Input::Packed(_) => None,
        };
        let mut sides = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let (kept, held) = holdout_by(&all, 0.2, seed, &content).unwrap();
            assert_eq!(kept.len() + held.len(), 52);
            let photos = |indices: &[usize]| -> std::collections::BTreeSet<usize> {
                indices.iter().map(|index| photo(*index)).collect()
            };
            assert!(photos(&kept).is_disjoint(&photos(&held)), "seed {seed}");
            let counts = per_class(&all, &held, 3);
            assert!(counts[0] == 6 && (4..=5).contains(&counts[1]) && counts[2] == 0, "{counts:?}");
            sides.insert(held.contains(&30));
        }
        assert_eq!(sides.len(), 2, "the photo of two classes is never held out, or always");
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
