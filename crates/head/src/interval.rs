//! How far measured rates and errors can be from those on new data.

use crate::{HeadError, Targets};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// So many rows that share what they are predicted from tell as much as one by itself.
const SHARED: f64 = 1.5;
/// Bins of the expected calibration error.
const BINS: usize = 15;

/// A measured value and the interval that holds the true one in a share `level` of all samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// As measured.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The share, such as 0.95.
    pub level: f64,
}

/// Whether each row, or each label of each row, is right: the largest logit is that of the class, the first of equals; a logit above 0
/// says 1. Empty for numbers.
#[must_use]
pub fn is_right(targets: &Targets<'_>, logits: &[f64]) -> Vec<bool> {
    let outputs = targets.outputs().max(1);
    match targets {
        Targets::Classes { labels, .. } => {
            logits.chunks_exact(outputs).zip(*labels).map(|(row, label)| best(row) == *label).collect()
        }
        Targets::Labels { values, .. } => {
            logits.iter().zip(*values).map(|(logit, value)| (*logit > 0.0) == (*value > 0.5)).collect()
        }
        Targets::Numbers { .. } => Vec::new(),
    }
}

/// The place of the largest, the first of equals.
pub(crate) fn best(values: &[f64]) -> usize {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]).then(b.cmp(a))).unwrap_or(0)
}

/// Wilson's score interval for a share (Wilson 1927, "Probable inference, the law of succession, and statistical inference").
///
/// `found` of `all`, which may be sums of weights. Without any, the interval is from 0 to 1.
///
/// # Errors
/// [`HeadError::OutOfRange`] unless `0 <= found <= all` and `0 < level < 1`.
pub fn wilson(found: f64, all: f64, level: f64) -> Result<Interval, HeadError> {
    check_level(level)?;
    if !(found >= 0.0 && found <= all && all.is_finite()) {
        return Err(HeadError::OutOfRange {
            what: "the count",
            value: found,
            range: "from 0 to the number of rows",
        });
    }
    if all == 0.0 {
        return Ok(Interval { value: 0.5, low: 0.0, high: 1.0, level });
    }
    let z = normal_quantile(0.5 + 0.5 * level);
    let (share, square) = (found / all, z * z);
    let centre = (share + square / (2.0 * all)) / (1.0 + square / all);
    let half = z / (1.0 + square / all) * (share * (1.0 - share) / all + square / (4.0 * all * all)).sqrt();
    // the ends are exactly 0 and 1 there, but for rounding
    let low = if found == 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if found == all { 1.0 } else { (centre + half).min(1.0) };
    Ok(Interval { value: share, low, high, level })
}

/// The accuracy on new data, from whether rows are right out of sample.
///
/// Rows of one group are not independent: with `groups` the number of rows is divided by the design effect, the variance of the share
/// over groups over that of as many independent rows (Kish 1965, "Survey sampling", §5.4), where that is above 1. Folds and
/// leave-one-out share most rows, and penalties were chosen by them: the number is divided by 1.5 besides, which makes intervals a
/// fifth wider. Without that 89 % of those of the record (`docs/accuracy.md`) held the accuracy. It says nothing of data from another
/// source.
///
/// # Errors
/// As [`wilson`], and [`HeadError::Size`] where there is not a group a row.
pub fn accuracy(is_right: &[bool], groups: Option<&[usize]>, level: f64) -> Result<Interval, HeadError> {
    let (rows, found) = (is_right.len() as f64, is_right.iter().filter(|right| **right).count() as f64);
    let mut effect = 1.0_f64;
    if let Some(groups) = groups {
        if groups.len() != is_right.len() {
            return Err(HeadError::Size {
                what: "the groups",
                expected: is_right.len(),
                received: groups.len(),
            });
        }
        let share = found / rows.max(1.0);
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|row| groups[*row]);
        let sums = order.chunk_by(|a, b| groups[*a] == groups[*b]).map(|group| {
            group.iter().map(|row| f64::from(u8::from(is_right[*row])) - share).sum::<f64>().powi(2)
        });
        let independent = rows * share * (1.0 - share);
        if independent > 0.0 {
            effect = (sums.sum::<f64>() / independent).max(1.0);
        }
    }
    effect *= SHARED;
    wilson(found / effect, rows / effect, level)
}

/// The mean squared error on new data, from the squared errors of rows out of sample: Student's t interval of their mean, cut at 0.
///
/// # Errors
/// [`HeadError::TooFewRows`] below 2 and [`HeadError::OutOfRange`] for the level.
pub fn mean_squared_error(squares: &[f64], level: f64) -> Result<Interval, HeadError> {
    check_level(level)?;
    if squares.len() < 2 {
        return Err(HeadError::TooFewRows { rows: squares.len() });
    }
    let rows = squares.len() as f64;
    let value = squares.iter().sum::<f64>() / rows;
    let variance = squares.iter().map(|square| (square - value).powi(2)).sum::<f64>() / (rows - 1.0);
    let Ok(student) = StudentsT::new(0.0, 1.0, rows - 1.0) else {
        return Err(HeadError::TooFewRows { rows: squares.len() });
    };
    let half = student.inverse_cdf(0.5 + 0.5 * level) * (variance / rows).sqrt();
    Ok(Interval { value, low: (value - half).max(0.0), high: value + half, level })
}

/// The expected calibration error: the mean distance between confidence and accuracy over 15 bins of equal width, each weighted by its
/// rows (Guo et al. 2017, "On calibration of modern neural networks", §2). `probabilities` is `[rows, classes]`; confidence is the
/// largest of a row. 0 without rows.
///
/// # Errors
/// [`HeadError::Size`] where the sizes do not match.
pub fn expected_calibration_error(
    probabilities: &[f64],
    labels: &[usize],
    classes: usize,
) -> Result<f64, HeadError> {
    let expected = labels.len().saturating_mul(classes);
    if probabilities.len() != expected {
        return Err(HeadError::Size { what: "the probabilities", expected, received: probabilities.len() });
    }
    let mut gaps = [0.0_f64; BINS];
    for (row, label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        let found = best(row);
        // a bin holds its upper end
        let bin = ((row[found] * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        gaps[bin] += row[found] - f64::from(u8::from(found == *label));
    }
    Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / labels.len().max(1) as f64)
}

fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

fn check_level(level: f64) -> Result<(), HeadError> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(HeadError::OutOfRange {
        what: "the level",
        value: level,
        range: "a number between 0 and 1, such as 0.95",
    })
}
