//! Probabilities from logits, their log loss, and the temperature that makes them as sure as they are right.

use crate::{Kind, Targets};

/// Halvings and doublings of the temperature that are allowed.
const LIMIT: f64 = 10.0;
/// The search for the temperature ends at steps of this share.
const PRECISION: f64 = 1e-10;

/// The logarithm of the sum of exponentials, without overflow.
#[must_use]
pub fn log_sum_exp(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln()
}

/// `ln(1 + e^x)` without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Softmax of classes, sigmoid of labels, numbers as they are. `logits` is `[rows, outputs]`, and so is the result.
#[must_use]
pub fn probabilities(kind: Kind, logits: &[f64], outputs: usize) -> Vec<f64> {
    match kind {
        Kind::Classes => logits
            .chunks_exact(outputs.max(1))
            .flat_map(|row| {
                let total = log_sum_exp(row);
                row.iter().map(move |logit| (logit - total).exp())
            })
            .collect(),
        Kind::Labels => logits.iter().map(|logit| sigmoid(*logit)).collect(),
        Kind::Numbers => logits.to_vec(),
    }
}

/// The log loss of each row: `−ln p` of its class, or the mean of it over the labels. For numbers the mean squared error.
pub(crate) fn row_losses(targets: &Targets<'_>, logits: &[f64]) -> Vec<f64> {
    let outputs = targets.outputs();
    let loss = |(row, logits): (usize, &[f64])| match targets {
        Targets::Classes { labels, .. } => log_sum_exp(logits) - logits[labels[row]],
        Targets::Labels { .. } => {
            let one = |(output, logit): (usize, &f64)| softplus(*logit) - targets.value(row, output) * logit;
            logits.iter().enumerate().map(one).sum::<f64>() / outputs as f64
        }
        Targets::Numbers { .. } => {
            let one = |(output, value): (usize, &f64)| (value - targets.value(row, output)).powi(2);
            logits.iter().enumerate().map(one).sum::<f64>() / outputs as f64
        }
    };
    logits.chunks_exact(outputs).enumerate().map(loss).collect()
}

/// The mean with weights whose mean is 1.
pub(crate) fn mean(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let sum: f64 = match weights {
        Some(weights) => values.iter().zip(weights).map(|(value, weight)| value * weight).sum(),
        None => values.iter().sum(),
    };
    sum / values.len().max(1) as f64
}

/// The factor on the logits with the least log loss (Guo et al. 2017, "On calibration of modern neural networks", §4.2; the factor
/// is one over their temperature).
///
/// Targets are taken as a little less than sure, `1 − 1/(n + 2)`, as Platt (1999, "Probabilistic outputs for support vector
/// machines", §2.2) does: else logits that are always right would be taken times infinity. The loss is convex in the factor, so
/// its derivative has one zero, which is found by halving intervals of the logarithm.
pub(crate) fn temperature(targets: &Targets<'_>, logits: &[f64], weights: Option<&[f64]>) -> f64 {
    let outputs = targets.outputs();
    let doubt = 1.0 / ((logits.len() / outputs) as f64 + 2.0);
    let slope = |factor: f64| -> f64 {
        let row_slope = |(row, logits): (usize, &[f64])| -> f64 {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            weight
                * match targets {
                    Targets::Classes { labels, .. } => class_slope(logits, labels[row], factor, doubt),
                    _ => label_slope(logits, factor, doubt, |output| targets.value(row, output)),
                }
        };
        logits.chunks_exact(outputs).enumerate().map(row_slope).sum()
    };
    let (mut low, mut high) = (-LIMIT, LIMIT);
    while high - low > PRECISION {
        let middle = 0.5 * (low + high);
        if slope(middle.exp2()) > 0.0 { high = middle } else { low = middle }
    }
    (0.5 * (low + high)).exp2()
}

fn class_slope(logits: &[f64], label: usize, factor: f64, doubt: f64) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut total, mut expected) = (0.0, 0.0);
    for logit in logits {
        let share = (factor * (logit - largest)).exp();
        total += share;
        expected += share * logit;
    }
    let others = logits.iter().sum::<f64>() - logits[label];
    let target = (1.0 - doubt) * logits[label] + doubt * others / (logits.len() - 1).max(1) as f64;
    expected / total - target
}

fn label_slope(logits: &[f64], factor: f64, doubt: f64, value: impl Fn(usize) -> f64) -> f64 {
    let one = |(output, logit): (usize, &f64)| {
        let target = doubt + (1.0 - 2.0 * doubt) * value(output);
        logit * (sigmoid(factor * logit) - target)
    };
    logits.iter().enumerate().map(one).sum()
}
