//! What the features and the predictions of left-out images tell about the data.

use super::outcome::LeftOut;
use rayon::prelude::*;
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

/// Near duplicates and far images of `features`, `[names, width]`, by the distances of standardised features. `is_same` tells
/// copies, which are known already.
pub(super) fn neighbours(
    names: &[String],
    features: &[f32],
    width: usize,
    is_same: &(dyn Fn(usize, usize) -> bool + Sync),
) -> (Vec<[String; 2]>, Vec<String>) {
    let count = names.len();
    if !(4..=MOST).contains(&count) || width == 0 {
        return Default::default();
    }
    let z = standardised(features, count, width);
    let row = |index: usize| &z[index * width..][..width];
    let distance = |a: usize, b: usize| {
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        row(a).iter().zip(row(b)).map(square).sum::<f64>().sqrt()
    };
    // of each image its nearest other one, and that distance
    let nearest: Vec<(usize, f64)> = (0..count)
        .into_par_iter()
        .map(|one| {
            let others = (0..count).filter(|other| *other != one && !is_same(one, *other));
            let distances = others.map(|other| (other, distance(one, other)));
            distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((one, f64::NAN))
        })
        .collect();
    let mut usual: Vec<f64> =
        nearest.iter().map(|(_, distance)| *distance).filter(|one| !one.is_nan()).collect();
    usual.sort_by(f64::total_cmp);
    let quartile = |quarters: usize| usual.get(usual.len() * quarters / 4).copied();
    let (Some(lower), Some(usual), Some(upper)) = (quartile(1), quartile(2), quartile(3)) else {
        return Default::default();
    };
    let fence = upper + FAR * (upper - lower);
    let mut near: Vec<(usize, usize, f64)> = nearest
        .iter()
        .enumerate()
        .filter(|(_, (_, distance))| *distance < NEAR * usual)
        .map(|(one, (other, distance))| (one.min(*other), one.max(*other), *distance))
        .collect();
    near.sort_by(|a, b| a.2.total_cmp(&b.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    near.dedup_by_key(|(a, b, _)| (*a, *b));
    let mut far: Vec<(usize, f64)> = nearest
        .iter()
        .enumerate()
        .filter(|(_, (_, distance))| *distance > fence)
        .map(|(one, (_, distance))| (one, *distance))
        .collect();
    far.sort_by(|a, b| b.1.total_cmp(&a.1));
    (
        near.into_iter().map(|(a, b, _)| [names[a].clone(), names[b].clone()]).collect(),
        far.into_iter().map(|(one, _)| names[one].clone()).collect(),
    )
}

/// Less the mean of each column, over its deviation and half the mean deviation: columns that hardly vary are not blown up.
fn standardised(features: &[f32], count: usize, width: usize) -> Vec<f32> {
    let (mut mean, mut square) = (vec![0.0; width], vec![0.0; width]);
    for row in features.chunks_exact(width) {
        for ((mean, square), value) in mean.iter_mut().zip(&mut square).zip(row) {
            *mean += f64::from(*value) / count as f64;
            *square += f64::from(*value).powi(2) / count as f64;
        }
    }
    let deviation: Vec<f64> =
        mean.iter().zip(&square).map(|(mean, square)| (square - mean * mean).max(0.0).sqrt()).collect();
    let usual = 0.5 * deviation.iter().sum::<f64>() / width as f64;
    let scale = |column: usize| (deviation[column] + usual).max(f64::MIN_POSITIVE);
    let z = |(index, value): (usize, &f32)| {
        let column = index % width;
        ((f64::from(*value) - mean[column]) / scale(column)) as f32
    };
    features.iter().enumerate().map(z).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_strangers_are_found() {
        // a grid of points, one that is nearly another, one far away
        let mut features: Vec<f32> = (0..36).flat_map(|at| [(at % 6) as f32, (at / 6) as f32]).collect();
        features.extend([2.01, 3.01]);
        features.extend([40.0, 40.0]);
        let names: Vec<String> = (0..38).map(|index| index.to_string()).collect();
        let (near, far) = neighbours(&names, &features, 2, &|_, _| false);
        assert_eq!(near, [["20".to_owned(), "36".to_owned()]]);
        assert_eq!(far, ["37"]);
        // a copy that is known is none
        let same = |a: usize, b: usize| (a, b) == (20, 36) || (a, b) == (36, 20);
        assert!(neighbours(&names, &features, 2, &same).0.is_empty());
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
