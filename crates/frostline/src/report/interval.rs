//! How far a score of images that are not trained on may be off.

use crate::fit::{Evaluation, predicted_class, predicted_labels};
use frostline_data::{Example, Target};
use frostline_head::interval::{self, Interval};

/// Intervals hold the true value in this share of cases.
pub(super) const LEVEL: f64 = 0.95;

/// The ends of the 95 % interval of the share that is right (of labels: of which all are), by Wilson's formula; of numbers, of the mean
/// squared error. `None` where there are too few images, or where the outputs are no classes.
pub(super) fn interval(evaluation: &Evaluation, examples: &[Example]) -> Option<[f64; 2]> {
    let width = evaluation.outputs.len().checked_div(examples.len()).filter(|width| *width > 0)?;
    let targets = examples.iter().map(|example| &example.target);
    let rows = evaluation.outputs.chunks_exact(width).zip(targets);
    let found = match examples.first()?.target {
        Target::Value(_) => mean_squared_error(rows),
        Target::Class(_) | Target::Labels(_) => accuracy(rows).filter(|_| evaluation.report.is_some()),
    };
    found.map(|Interval { low, high, .. }| [low, high])
}

/// The share of rows whose class is right, or all of whose labels are; none where there are no rows.
pub(super) fn accuracy<'r>(rows: impl Iterator<Item = (&'r [f32], &'r Target)>) -> Option<Interval> {
    let (mut right, mut all) = (0.0, 0.0);
    for (row, target) in rows {
        right += f64::from(is_right(row, target));
        all += 1.0;
    }
    interval::wilson(right, all, LEVEL).ok()
}

/// The mean squared error of rows of numbers; none where there are too few.
pub(super) fn mean_squared_error<'r>(
    rows: impl Iterator<Item = (&'r [f32], &'r Target)>,
) -> Option<Interval> {
    let squares: Vec<f64> = rows
        .filter_map(|(row, target)| match target {
            Target::Value(values) => Some(square(row, values)),
            Target::Class(_) | Target::Labels(_) => None,
        })
        .collect();
    interval::mean_squared_error(&squares, LEVEL).ok()
}

/// Whether an image's class is right, or all its labels are. No number is.
pub(super) fn is_right(row: &[f32], target: &Target) -> bool {
    match target {
        Target::Class(class) => predicted_class(row) == *class,
        Target::Labels(labels) => predicted_labels(row) == *labels,
        Target::Value(_) => false,
    }
}

/// The mean squared error of one row.
pub(super) fn square(row: &[f32], values: &[f32]) -> f64 {
    let squares =
        row.iter().zip(values).map(|(found, value)| (f64::from(*found) - f64::from(*value)).powi(2));
    squares.sum::<f64>() / values.len().max(1) as f64
}
