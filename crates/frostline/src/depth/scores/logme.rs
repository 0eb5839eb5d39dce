//! LogME: the logarithm of the evidence of a Bayesian linear model that reads each class from the features.

use super::Features;
use super::spectrum::Spectrum;
use faer::Mat;
use std::f64::consts::TAU;

/// The fixed point is found in a few steps.
const STEPS: usize = 11;
/// It is found when the ratio of the two precisions changes by less than this share.
const CLOSE: f64 = 1e-3;
/// Keeps the precisions finite where the features say everything.
const FLOOR: f64 = 1e-5;

/// LogME of features and labels: the mean over classes of the largest log evidence an image, by the fixed point iteration
/// of You et al. 2021 (arXiv 2110.10545, algorithm 3), as the authors' code computes it. It grows with the width of the
/// features, so it compares cuts of the same width at best.
pub fn logme(features: Features<'_>, labels: &[usize], classes: usize) -> f64 {
    let (n, d) = (features.images() as f64, features.width as f64);
    let x = Mat::from_fn(features.images(), features.width, |image, column| {
        f64::from(features.values[image * features.width + column])
    });
    let Spectrum { u, squares } = Spectrum::of(x.as_ref());
    let evidence = |class: usize| {
        let is_class: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label == class))).collect();
        // what of the targets lies along each singular vector, and what lies along none
        let along: Vec<f64> = (0..squares.len())
            .map(|column| u.col(column).iter().zip(&is_class).map(|(u, y)| u * y).sum::<f64>().powi(2))
            .collect();
        let apart = is_class.iter().sum::<f64>() - along.iter().sum::<f64>();
        let each = || squares.iter().zip(&along);
        // alpha: precision of the weights; beta: of the noise
        let (mut alpha, mut beta, mut weights, mut residual) = (1.0_f64, 1.0_f64, 0.0, 0.0);
        for _ in 0..STEPS {
            let ratio = alpha / beta;
            let gamma: f64 = squares.iter().map(|square| square / (square + ratio)).sum();
            weights = each().map(|(square, along)| square * along / (ratio + square).powi(2)).sum();
            residual =
                each().map(|(square, along)| along / (1.0 + square / ratio).powi(2)).sum::<f64>() + apart;
            alpha = gamma / (weights + FLOOR);
            beta = (n - gamma) / (residual + FLOOR);
            if (alpha / beta - ratio).abs() / ratio <= CLOSE {
                break;
            }
        }
        let determinant: f64 = squares.iter().map(|square| (alpha + beta * square).ln()).sum();
        let fit = beta * residual + alpha * weights;
        (d * alpha.ln() + n * beta.ln() - determinant - fit - n * TAU.ln()) / (2.0 * n)
    };
    (0..classes).map(evidence).sum::<f64>() / classes as f64
}
