//! "None of these": how far a feature vector is from every class, and where to refuse it.
//!
//! The distance is Mahalanobis's with one covariance for all classes (Lee et al. 2018, "A simple unified framework for detecting
//! out-of-distribution samples", §2.1), shrunk as Ledoit and Wolf (2004) say. What lies outside the principal components counts
//! with the smallest variance inside. The threshold comes from rows that a fit on the other folds has not seen.

use crate::design::Design;
use crate::folds::folds;
use crate::interval::{Interval, wilson};
use crate::product::{columns, eigen, multiply};
use crate::standardise::read;
use crate::{FeatureTable, HeadError, Targets, log_sum_exp};
use faer::Mat;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The most principal components.
const COMPONENTS: usize = 128;
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

/// The energy of each row, `−ln Σ exp(logit)` (Liu et al. 2020, "Energy-based out-of-distribution detection"): high for what is
/// unlike any class. `logits` is `[rows, classes]`.
#[must_use]
pub fn energies(logits: &[f64], classes: usize) -> Vec<f64> {
    logits.chunks_exact(classes.max(1)).map(|row| -log_sum_exp(row)).collect()
}

/// Classes as normal distributions with one covariance. With `z = (x − centre) · scale` and `a = projectionᵀ z`, the squared distance
/// to a class is `Σ_k inverse_variances_k (a_k − mean_k)² + outside (|z|² − |a|²)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// `[width]`
    pub centre: Vec<f64>,
    /// `[width]`
    pub scale: Vec<f64>,
    /// `[width, components]`, orthonormal columns.
    pub projection: Vec<f32>,
    /// `[classes, components]`
    pub means: Vec<f32>,
    /// `[components]`
    pub inverse_variances: Vec<f64>,
    /// What a squared length outside the components counts.
    pub outside: f64,
    /// Squared distances above it are none of the classes.
    pub threshold: Threshold,
}

impl Novelty {
    /// Fits the classes, and a threshold that a share of about `share` of their own new rows will exceed. Rows of a group are left
    /// out together. `blocks` are the widths of the column blocks.
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
        let rows = labels.len();
        let (fold_of, count) = folds(&targets, groups, rows);
        let mut scores = vec![0.0; rows];
        for fold in 0..count {
            let (held, seen): (Vec<usize>, Vec<usize>) = (0..rows).partition(|row| fold_of[*row] == fold);
            let own: Vec<usize> = seen.iter().map(|row| labels[*row]).collect();
            let fitted = Self::fit_rows(&Rows { table: features, rows: &seen }, blocks, &own, classes)?;
            let distances = fitted.distances(&Rows { table: features, rows: &held })?;
            held.iter().zip(distances).for_each(|(row, distance)| scores[*row] = distance);
        }
        let mut whole = Self::fit_rows(features, blocks, labels, classes)?;
        whole.threshold = threshold(&scores, share)?;
        Ok(whole)
    }

    fn fit_rows(
        features: &dyn FeatureTable,
        blocks: &[usize],
        labels: &[usize],
        classes: usize,
    ) -> Result<Self, HeadError> {
        let design = Design::of(features, blocks, None, crate::design::HELD_BYTES)?;
        let (rows, size) = (design.rows(), design.rank().min(COMPONENTS));
        let all: Vec<usize> = (0..rows).collect();
        let rank = design.rank();
        let mut a = Vec::with_capacity(rows * size);
        for part in all.chunks(1024) {
            let part = design.coordinates(part)?;
            part.chunks_exact(rank.max(1)).for_each(|row| a.extend_from_slice(&row[..size]));
        }
        let means = class_means(&a, size, labels, classes);
        for (row, label) in a.chunks_exact_mut(size.max(1)).zip(labels) {
            row.iter_mut().zip(&means[label * size..]).for_each(|(value, mean)| *value -= mean);
        }
        let covariance = ledoit_wolf(&a, size, rows);
        let (turn, variances) = eigen(covariance.as_ref())?;
        let kept = variances.len();
        // first components, then turned to where the covariance is diagonal
        let directions = Mat::from_fn(rank, kept, |at, to| if at < size { turn[(at, to)] } else { 0.0 });
        let columns = design.kernel(directions.as_ref());
        let width = features.width();
        let projection = (0..width * kept).map(|place| columns[place % kept][place / kept] as f32).collect();
        let turned = |place: usize| -> f64 {
            let (class, to) = (place / kept, place % kept);
            (0..size).map(|at| means[class * size + at] * turn[(at, to)]).sum()
        };
        let smallest = variances.last().copied().unwrap_or(1.0);
        Ok(Self {
            centre: design.scaling.means.clone(),
            scale: design.scaling.scales.clone(),
            projection,
            // a class without rows in a fold is at no distance that counts
            means: (0..classes * kept).map(|place| turned(place) as f32).collect(),
            inverse_variances: variances.iter().map(|variance| 1.0 / variance).collect(),
            outside: 1.0 / smallest,
            threshold: Threshold { value: 0.0, refused: wilson(0.0, 0.0, LEVEL)? },
        })
    }

    /// The squared distance of each row to the nearest class, `[rows]`.
    ///
    /// # Errors
    /// [`HeadError::Size`] where the width is another one, and those of the table.
    pub fn distances(&self, features: &dyn FeatureTable) -> Result<Vec<f64>, HeadError> {
        let width = self.centre.len();
        if features.width() != width {
            let received = features.width();
            return Err(HeadError::Size { what: "the width of the features", expected: width, received });
        }
        let kept = self.inverse_variances.len();
        let mut values = vec![0.0; width];
        let mut found = Vec::with_capacity(features.rows());
        for row in 0..features.rows() {
            features.read(row..row + 1, &mut values)?;
            let (mut a, mut square) = (vec![0.0; kept], 0.0);
            for (column, value) in values.iter().enumerate() {
                let z = (f64::from(*value) - self.centre[column]) * self.scale[column];
                square += z * z;
                let directions = &self.projection[column * kept..(column + 1) * kept];
                a.iter_mut().zip(directions).for_each(|(a, direction)| *a += z * f64::from(*direction));
            }
            let inside: f64 = a.iter().map(|value| value * value).sum();
            let to_class = |mean: &[f32]| -> f64 {
                let places = a.iter().zip(mean).zip(&self.inverse_variances);
                places.map(|((value, mean), inverse)| (value - f64::from(*mean)).powi(2) * inverse).sum()
            };
            let nearest = self.means.chunks_exact(kept.max(1)).map(to_class).fold(f64::INFINITY, f64::min);
            let nearest = if nearest.is_finite() { nearest } else { 0.0 };
            found.push(nearest + self.outside * (square - inside).max(0.0));
        }
        Ok(found)
    }
}

/// NaN for classes without rows: no distance to them is the least.
fn class_means(a: &[f64], size: usize, labels: &[usize], classes: usize) -> Vec<f64> {
    let (mut sums, mut counts) = (vec![0.0; classes * size], vec![0.0; classes]);
    for (row, label) in a.chunks_exact(size.max(1)).zip(labels) {
        crate::standardise::add(&mut sums[label * size..(label + 1) * size], row);
        counts[*label] += 1.0;
    }
    sums.iter().enumerate().map(|(place, sum)| sum / counts[place / size]).collect()
}

/// The covariance of rows of mean 0, drawn to a multiple of the identity (Ledoit and Wolf 2004, "A well-conditioned estimator for
/// large-dimensional covariance matrices"), as in scikit-learn's `ledoit_wolf`.
fn ledoit_wolf(a: &[f64], size: usize, rows: usize) -> Mat<f64> {
    if size == 0 {
        return Mat::zeros(0, 0);
    }
    let count = rows as f64;
    let a = columns(a, size);
    let mut covariance = Mat::zeros(size, size);
    multiply(covariance.as_mut(), a, a.transpose());
    covariance *= faer::Scale(1.0 / count);
    let dimensions = size.max(1) as f64;
    let mean = (0..size).map(|at| covariance[(at, at)]).sum::<f64>() / dimensions;
    let norm: f64 = (0..size).map(|c| covariance.col(c).iter().map(|v| v * v).sum::<f64>()).sum();
    let fourth: f64 = (0..rows).map(|row| a.col(row).iter().map(|v| v * v).sum::<f64>().powi(2)).sum();
    let noise = (fourth / count - norm) / (dimensions * count);
    let spread = norm / dimensions - mean * mean;
    let shrinkage = if spread > 0.0 { (noise / spread).clamp(0.0, 1.0) } else { 1.0 };
    // rows that equal their class's mean leave nothing to measure with
    let floor = if mean > 0.0 { mean * 1e-6 } else { 1.0 };
    Mat::from_fn(size, size, |row, column| {
        let own = (1.0 - shrinkage) * covariance[(row, column)];
        if row == column { own + shrinkage * mean + floor } else { own }
    })
}

/// Some rows of a table.
struct Rows<'a> {
    table: &'a dyn FeatureTable,
    rows: &'a [usize],
}

impl FeatureTable for Rows<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn width(&self) -> usize {
        self.table.width()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), HeadError> {
        read(self.table, &self.rows[rows], out)
    }
}
