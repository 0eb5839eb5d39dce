//! How far a score of held-out images may be off.

use crate::fit::{Evaluation, predicted_class, predicted_labels};
use frostline_data::{Example, Target};
use frostline_head::interval::{self, Interval};

/// Intervals hold the true value in this share of cases.
const LEVEL: f64 = 0.95;

/// The ends of the 95 % interval of the share that is right (of labels: of which all are), by Wilson's formula; of numbers, of the mean
/// squared error. `None` where there are too few images, or where the outputs are no classes.
pub(super) fn interval(evaluation: &Evaluation, examples: &[Example]) -> Option<[f64; 2]> {
    let width = evaluation.outputs.len().checked_div(examples.len()).filter(|width| *width > 0)?;
    let rows = || evaluation.outputs.chunks_exact(width).zip(examples);
    let squares: Vec<f64> = rows()
        .filter_map(|(row, example)| match &example.target {
            Target::Value(values) => {
                let square = |(found, value): (&f32, &f32)| (f64::from(*found) - f64::from(*value)).powi(2);
                Some(row.iter().zip(values).map(square).sum::<f64>() / values.len().max(1) as f64)
            }
            Target::Class(_) | Target::Labels(_) => None,
        })
        .collect();
    let found = match squares.is_empty() {
        false => interval::mean_squared_error(&squares, LEVEL),
        true => {
            evaluation.report.as_ref()?;
            let is_right = |(row, example): &(&[f32], &Example)| match &example.target {
                Target::Class(class) => predicted_class(row) == *class,
                Target::Labels(labels) => predicted_labels(row) == *labels,
                Target::Value(_) => false,
            };
            interval::wilson(rows().filter(is_right).count() as f64, examples.len() as f64, LEVEL)
        }
    };
    found.ok().map(|Interval { low, high, .. }| [low, high])
}
