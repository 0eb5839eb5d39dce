//! Labels that are likely wrong, by confident learning.
//!
//! Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", §3: a class's threshold is the mean
//! probability of the class over the rows that have its label. A row whose probability of another class reaches that class's
//! threshold, and is the largest of those that do, is likely mislabelled. As cleanlab does, rows whose label is also the most
//! likely class are spared.

use crate::interval::best;
use crate::{HeadError, Targets};
use serde::{Deserialize, Serialize};

/// Probabilities that miss a threshold by less still reach it, as in cleanlab.
const ROUNDING: f64 = 1e-6;

/// A row whose label is likely wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The row.
    pub row: usize,
    /// Its label.
    pub label: usize,
    /// The class it is likelier to be.
    pub likelier: usize,
    /// The probability of its label, out of sample.
    pub label_probability: f64,
    /// The probability of the likelier class.
    pub likelier_probability: f64,
}

/// The thresholds of the classes: the mean probability of the class over its rows. 1 for a class without rows.
///
/// # Errors
/// [`HeadError::Size`] where there are not `[rows, classes]` probabilities, and [`HeadError::NoSuchClass`].
pub fn thresholds(probabilities: &[f64], labels: &[usize], classes: usize) -> Result<Vec<f64>, HeadError> {
    let expected = labels.len().saturating_mul(classes);
    if probabilities.len() != expected {
        return Err(HeadError::Size { what: "the probabilities", expected, received: probabilities.len() });
    }
    if let Some(row) = labels.iter().position(|label| *label >= classes) {
        return Err(HeadError::NoSuchClass { row, class: labels[row], classes });
    }
    let (mut sums, mut counts) = (vec![0.0; classes], vec![0_usize; classes]);
    for (row, label) in labels.iter().enumerate() {
        sums[*label] += probabilities[row * classes + label];
        counts[*label] += 1;
    }
    let threshold = |(sum, count): (&f64, &usize)| if *count == 0 { 1.0 } else { sum / *count as f64 };
    Ok(sums.iter().zip(&counts).map(threshold).collect())
}

/// The rows whose labels are likely wrong, the most certain first: by the probability of the label less that of the likelier class.
///
/// `probabilities`, `[rows, classes]`, must be out of sample, as [`crate::Solved::probabilities`] are: a layer believes the labels it
/// was fitted to.
///
/// # Errors
/// As [`thresholds`].
pub fn find(probabilities: &[f64], labels: &[usize], classes: usize) -> Result<Vec<Suspect>, HeadError> {
    let thresholds = thresholds(probabilities, labels, classes)?;
    let mut found = Vec::new();
    for (row, (own, label)) in probabilities.chunks_exact(classes.max(1)).zip(labels).enumerate() {
        let confident = |class: &usize| own[*class] >= thresholds[*class] - ROUNDING;
        let likelier =
            (0..classes).filter(confident).max_by(|a, b| own[*a].total_cmp(&own[*b]).then(b.cmp(a)));
        if let Some(likelier) = likelier
            && likelier != *label
            && best(own) != *label
        {
            let (label_probability, likelier_probability) = (own[*label], own[likelier]);
            found.push(Suspect { row, label: *label, likelier, label_probability, likelier_probability });
        }
    }
    let margin = |suspect: &Suspect| suspect.label_probability - suspect.likelier_probability;
    found.sort_by(|a, b| margin(a).total_cmp(&margin(b)).then(a.row.cmp(&b.row)));
    Ok(found)
}

/// [`find`] for the targets and out-of-sample logits of a problem; nothing unless they are classes.
///
/// # Errors
/// As [`thresholds`].
pub fn of(solved: &crate::Solved, targets: &Targets<'_>) -> Result<Vec<Suspect>, HeadError> {
    match targets {
        Targets::Classes { labels, classes } => find(&solved.probabilities(), labels, *classes),
        _ => Ok(Vec::new()),
    }
}
