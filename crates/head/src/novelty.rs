//! "None of these": how unlike a feature vector is to every class, and where to refuse it.
//!
//! The score is 1 less the largest cosine between the standardised vector and the mean of a class. On photos of a class that was left
//! out of the training (food and drawings, features of two networks, ten photos a class) it told those from photos of the other
//! classes with an area under the curve of .67, .86, .67 and .84; Mahalanobis's distance with one shrunk covariance for all classes
//! (Lee et al. 2018) had .62, .67, .63 and .66, the energy of the logits (Liu et al. 2020) .63, .85, .63 and .83, the largest
//! probability .65, .85, .63 and .82.

use crate::design::HELD_BYTES;
use crate::interval::{Interval, wilson};
use crate::standardise::Scaling;
use crate::{FeatureTable, HeadError, Targets};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How sure the interval of the refused share is.
const LEVEL: f64 = 0.95;

/// A score above which a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The score.
    pub value: f64,
    /// The share of new rows of the classes that is expected to be refused, from rows out of sample, with its interval.
    pub refused: Interval,
}

/// The least score such that new rows of the same kind exceed it with a probability of at most `share`: the
/// `⌈(n + 1)(1 − share)⌉`-th smallest (Vovk et al. 2005, split conformal prediction), or the largest where there are too few.
///
/// # Errors
/// [`HeadError::OutOfRange`] unless `0 <= share < 1` and all scores are numbers, and [`HeadError::TooFewRows`] without scores.
pub fn threshold(scores: &[f64], share: f64) -> Result<Threshold, HeadError> {
    if !(0.0..1.0).contains(&share) {
        return Err(HeadError::OutOfRange {
            what: "the share to refuse",
            value: share,
            range: "from 0 to below 1",
        });
    }
    if let Some(value) = scores.iter().copied().find(|score| score.is_nan()) {
        return Err(HeadError::OutOfRange { what: "a score", value, range: "numbers" });
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((scores.len() as f64 + 1.0) * (1.0 - share)).ceil() as usize;
    let Some(value) = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied() else {
        return Err(HeadError::TooFewRows { rows: 0 });
    };
    let above = scores.iter().filter(|score| **score > value).count();
    Ok(Threshold { value, refused: wilson(above as f64, scores.len() as f64, LEVEL)? })
}

/// The classes by the directions of their means. With `z = (x − centre) · scale` a row's score is `1 − max_c cos(z, mean_c)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// `[width]`
    pub centre: Vec<f64>,
    /// `[width]`
    pub scale: Vec<f64>,
    /// `[classes, width]`, of length 1; 0 for a class without rows.
    pub means: Vec<f32>,
    /// Scores above it are none of the classes.
    pub threshold: Threshold,
}

impl Novelty {
    /// Fits the classes, and a threshold that a share of about `share` of their own new rows will exceed: each row is scored by the
    /// means of all others, without those of its group. `blocks` are the widths of the column blocks.
    ///
    /// # Errors
    /// As [`crate::solve`] for classes, and as [`threshold`].
    pub fn fit(
        features: &dyn FeatureTable,
        blocks: &[usize],
        labels: &[usize],
        classes: usize,
        groups: Option<&[usize]>,
        share: f64,
    ) -> Result<Self, HeadError> {
        let targets = Targets::Classes { labels, classes };
        crate::Problem { features, blocks, targets, weights: None, groups }.check()?;
        threshold(&[0.0], share)?;
        let scaling = Scaling::of(features, blocks, None)?;
        let (rows, width) = (labels.len(), features.width());
        let at_once = (HELD_BYTES / (8 * width).max(1)).clamp(1, rows);
        let all: Vec<usize> = (0..rows).collect();
        let group_of = |row: usize| groups.map_or(row, |groups| groups[row]);
        // a group's part of the sum of a class; only groups of several rows are kept
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        all.iter().for_each(|row| *sizes.entry(group_of(*row)).or_default() += 1);
        let mut sums = vec![0.0; classes * width];
        let mut of_group: HashMap<(usize, usize), Vec<f64>> = HashMap::new();
        let (mut counts, mut in_group) = (vec![0; classes], HashMap::<(usize, usize), usize>::new());
        for part in all.chunks(at_once) {
            let z = scaling.read(features, part)?;
            for (row, z) in part.iter().zip(z.chunks_exact(width)) {
                let label = labels[*row];
                counts[label] += 1;
                *in_group.entry((group_of(*row), label)).or_default() += 1;
                crate::standardise::add(&mut sums[label * width..(label + 1) * width], z);
                if sizes[&group_of(*row)] > 1 {
                    let own = of_group.entry((group_of(*row), label)).or_insert_with(|| vec![0.0; width]);
                    crate::standardise::add(own, z);
                }
            }
        }
        let mut scores = Vec::with_capacity(rows);
        for part in all.chunks(at_once) {
            let z = scaling.read(features, part)?;
            for (row, z) in part.iter().zip(z.chunks_exact(width)) {
                let group = group_of(*row);
                let is_alone = sizes[&group] == 1;
                let left = (rows - sizes[&group]).max(1) as f64;
                // without the group the centre is elsewhere: all others move by that, too
                let mut moved = vec![0.0; width];
                match is_alone {
                    true => crate::standardise::add(&mut moved, z),
                    false => (0..classes)
                        .filter_map(|class| of_group.get(&(group, class)))
                        .for_each(|own| crate::standardise::add(&mut moved, own)),
                }
                moved.iter_mut().for_each(|value| *value /= left);
                let z_moved: Vec<f64> = z.iter().zip(&moved).map(|(z, moved)| z + moved).collect();
                let to_class = |class: usize| {
                    let sum = &sums[class * width..(class + 1) * width];
                    let (own, gone) = match of_group.get(&(group, class)) {
                        Some(own) => (Some(own.as_slice()), in_group[&(group, class)]),
                        None if is_alone && labels[*row] == class => (Some(z), 1),
                        None => (None, 0),
                    };
                    let others = (counts[class] - gone) as f64;
                    let own = |at: usize| own.map_or(0.0, |own| own[at]);
                    cosine(&z_moved, (0..width).map(|at| sum[at] - own(at) + others * moved[at]))
                };
                scores.push(1.0 - (0..classes).map(to_class).fold(f64::NEG_INFINITY, f64::max));
            }
        }
        let mut means = Vec::with_capacity(sums.len());
        for sum in sums.chunks_exact(width) {
            let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            means.extend(sum.iter().map(|value| if length > 0.0 { (value / length) as f32 } else { 0.0 }));
        }
        let threshold = threshold(&scores, share)?;
        Ok(Self { centre: scaling.means, scale: scaling.scales, means, threshold })
    }

    /// The score of each row, `[rows]`, from 0 to 2.
    ///
    /// # Errors
    /// [`HeadError::Size`] where the width is another one, and those of the table.
    pub fn scores(&self, features: &dyn FeatureTable) -> Result<Vec<f64>, HeadError> {
        let width = self.centre.len();
        if features.width() != width {
            let received = features.width();
            return Err(HeadError::Size { what: "the width of the features", expected: width, received });
        }
        let mut values = vec![0.0; width];
        let mut found = Vec::with_capacity(features.rows());
        for row in 0..features.rows() {
            features.read(row..row + 1, &mut values)?;
            let places = values.iter().zip(&self.centre).zip(&self.scale);
            let z: Vec<f64> =
                places.map(|((value, centre), scale)| (f64::from(*value) - centre) * scale).collect();
            let to_class = |mean: &[f32]| cosine(&z, mean.iter().map(|value| f64::from(*value)));
            let nearest =
                self.means.chunks_exact(width.max(1)).map(to_class).fold(f64::NEG_INFINITY, f64::max);
            found.push(1.0 - nearest);
        }
        Ok(found)
    }
}

/// The cosine between two vectors; 0 where one is 0.
fn cosine(a: &[f64], b: impl Iterator<Item = f64>) -> f64 {
    let (mut product, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        product += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    if of_a > 0.0 && of_b > 0.0 { product / (of_a * of_b).sqrt() } else { 0.0 }
}
