//! What the features and the predictions of left-out images tell about the data.

use super::head::refused;
use super::left_out::LeftOut;
use frostline_data::Example;
use frostline_graph::Result;
use frostline_head::FeatureTable;
use serde::Serialize;

/// Two images are near duplicates where they are nearer than this share of how near an image's nearest other one usually is. Of
/// photos of food, different ones are at .64 at least; one and itself as a JPEG of quality 60 at .20 to .46, and without a margin
/// of 3 % at .30 to .65.
const NEAR: f64 = 0.5;
/// An image is far from all others where its nearest one is farther than the third quartile of such distances by so many times the
/// distance between the quartiles (Tukey 1977, "Exploratory data analysis").
const FAR: f64 = 1.5;
/// Of the images that confident learning finds, those are told whose label is at most so likely, and another class at least so:
/// where classes are hard to tell apart, most of the others are errors of the head.
const UNLIKELY: f64 = 0.05;
const LIKELY: f64 = 0.7;
/// More images than this are not compared with one another.
const MOST: usize = 20_000;

/// A training image whose label is likely wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Its name.
    pub image: String,
    /// Its label.
    pub label: String,
    /// The class that it looks like.
    pub likelier: String,
    /// The probabilities of both, by a head that has not seen it.
    pub probabilities: [f64; 2],
}

/// What was found in the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Images whose label is likely wrong, the most certain first (confident learning, Northcutt et al. 2021).
    pub mislabelled: Vec<Suspect>,
    /// Pairs of images that are nearly the same, the nearest first.
    pub near_duplicates: Vec<[String; 2]>,
    /// Images that are far from all others, the farthest first.
    pub far: Vec<String>,
}

/// The images whose labels are likely wrong.
pub fn mislabelled(left_out: &[LeftOut], classes: &[String]) -> Vec<Suspect> {
    let probabilities: Vec<f64> =
        left_out.iter().flat_map(|one| one.probabilities.iter().map(|share| f64::from(*share))).collect();
    let labels: Vec<usize> = left_out.iter().map(|one| one.label).collect();
    let width = left_out.first().map_or(0, |one| one.probabilities.len());
    // what was solved has probabilities for each class
    let found = frostline_head::mislabelled::find(&probabilities, &labels, width).unwrap_or_default();
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let suspect = |one: &frostline_head::mislabelled::Suspect| Suspect {
        image: left_out[one.row].name.clone(),
        label: name(one.label),
        likelier: name(one.likelier),
        probabilities: [one.label_probability, one.likelier_probability],
    };
    let is_sure = |one: &&frostline_head::mislabelled::Suspect| {
        one.label_probability <= UNLIKELY && one.likelier_probability >= LIKELY
    };
    found.iter().filter(is_sure).map(suspect).collect()
}

/// Near duplicates and far images of examples, by the distances of their features. `groups`: copies have one number, and are known
/// already.
///
/// Errors: features that cannot be read.
pub(super) fn neighbours(
    examples: &[&Example],
    features: &dyn FeatureTable,
    groups: &[usize],
) -> Result<(Vec<[String; 2]>, Vec<String>)> {
    if !(4..=MOST).contains(&examples.len()) {
        return Ok(Default::default());
    }
    let found =
        frostline_head::neighbours::nearest(features, &[features.width()], groups).map_err(refused)?;
    let nearest: Vec<(usize, usize, f64)> = found
        .into_iter()
        .enumerate()
        .filter_map(|(one, nearest)| nearest.map(|(other, distance)| (one, other, distance)))
        .collect();
    let (near, far) = near_and_far(&nearest);
    let name = |index: usize| examples[index].name.clone();
    let near = near.into_iter().map(|[one, other]| [name(one), name(other)]).collect();
    Ok((near, far.into_iter().map(name).collect()))
}

/// The pairs that are near and the images that are far, of images with their nearest ones and the distances between them.
fn near_and_far(nearest: &[(usize, usize, f64)]) -> (Vec<[usize; 2]>, Vec<usize>) {
    let mut usual: Vec<f64> = nearest.iter().map(|(.., distance)| *distance).collect();
    usual.sort_by(f64::total_cmp);
    let quartile = |quarters: usize| usual.get(usual.len() * quarters / 4).copied();
    let (Some(lower), Some(usual), Some(upper)) = (quartile(1), quartile(2), quartile(3)) else {
        return Default::default();
    };
    let fence = upper + FAR * (upper - lower);
    let mut near: Vec<(usize, usize, f64)> = nearest
        .iter()
        .filter(|(.., distance)| *distance < NEAR * usual)
        .map(|(one, other, distance)| (*one.min(other), *one.max(other), *distance))
        .collect();
    near.sort_by(|a, b| a.2.total_cmp(&b.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    near.dedup_by_key(|(a, b, _)| (*a, *b));
    let mut far: Vec<(usize, f64)> = nearest
        .iter()
        .filter(|(.., distance)| *distance > fence)
        .map(|(one, _, distance)| (*one, *distance))
        .collect();
    far.sort_by(|a, b| b.1.total_cmp(&a.1));
    (near.into_iter().map(|(a, b, _)| [a, b]).collect(), far.into_iter().map(|(one, _)| one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use frostline_data::{Input, Split, Target};
    use frostline_head::InMemory;

    #[test]
    fn copies_and_strangers_are_found() {
        // a grid of points, one that is nearly another, one far away
        let mut features: Vec<f32> = (0..36).flat_map(|at| [(at % 6) as f32, (at / 6) as f32]).collect();
        features.extend([2.01, 3.01]);
        features.extend([40.0, 40.0]);
        let named = |index: usize| Example {
            name: index.to_string(),
            input: Input::Row { split: Split::Train, row: index },
            target: Target::Class(0),
        };
        let examples: Vec<Example> = (0..38).map(named).collect();
        let examples: Vec<&Example> = examples.iter().collect();
        let table = InMemory { values: &features, width: 2 };
        let found = |groups: &[usize]| neighbours(&examples, &table, groups).expect("numbers");
        let mut groups: Vec<usize> = (0..38).collect();
        let (near, far) = found(&groups);
        assert_eq!(near, [["20".to_owned(), "36".to_owned()]]);
        assert_eq!(far, ["37"]);
        // a copy that is known is none
        groups[36] = 20;
        assert!(found(&groups).0.is_empty());
    }

    #[test]
    fn a_wrong_label_is_found() {
        let one = |name: &str, label: usize, share: f32| LeftOut {
            name: name.to_owned(),
            label,
            probabilities: vec![share, 1.0 - share],
        };
        let images = [one("a", 0, 0.9), one("b", 0, 0.8), one("c", 1, 0.1), one("d", 1, 0.96)];
        let found = mislabelled(&images, &["x".to_owned(), "y".to_owned()]);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].image, &*found[0].likelier), ("d", "x"));
    }
}
