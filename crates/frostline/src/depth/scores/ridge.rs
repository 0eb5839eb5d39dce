//! The ridge probe: labels read linearly from features, with the leave-one-out error in closed form.

use super::Features;
use super::spectrum::Spectrum;
use faer::{Mat, MatRef};

/// Regularisations that are tried, as powers of ten of the mean squared singular value.
const EXPONENTS: std::ops::RangeInclusive<i32> = -16..=16;
/// Of those powers, so many for each factor of ten.
const PER_DECADE: f64 = 4.0;

/// Features less their means, and the means.
pub(super) fn centred(features: Features<'_>) -> (Mat<f64>, Vec<f64>) {
    let mut means = vec![0.0; features.width];
    for row in features.rows() {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value));
    }
    means.iter_mut().for_each(|mean| *mean /= features.images().max(1) as f64);
    let value = |image: usize, column: usize| {
        f64::from(features.values[image * features.width + column]) - means[column]
    };
    (Mat::from_fn(features.images(), features.width, value), means)
}

/// What leave-one-out says of features: every image is predicted by a probe that was fitted on all others.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeProbe {
    /// The regularisation that was chosen, as a multiple of the mean squared singular value.
    pub strength: f64,
    /// For each image whether its class is found.
    pub is_right: Vec<bool>,
    /// For each image the mean squared error of its class indicators.
    pub errors: Vec<f64>,
}

impl RidgeProbe {
    /// The share of images whose class is found.
    pub fn accuracy(&self) -> f64 {
        self.is_right.iter().filter(|right| **right).count() as f64 / self.is_right.len().max(1) as f64
    }

    /// The mean of the errors, by which the regularisation is chosen.
    pub fn error(&self) -> f64 {
        self.errors.iter().sum::<f64>() / self.errors.len().max(1) as f64
    }
}

/// A fitted probe.
pub struct Ridge {
    /// What leave-one-out says of it.
    pub probe: RidgeProbe,
    means: Vec<f64>,
    /// One over the standard deviations.
    scales: Vec<f64>,
    /// `[width, classes]`
    weights: Mat<f64>,
    /// The shares of the classes.
    bias: Vec<f64>,
}

impl Ridge {
    /// Fits one-hot labels by least squares on features that are standardised over these images, with the penalty λ on the
    /// weights and none on the intercept.
    pub fn fit(features: Features<'_>, labels: &[usize], classes: usize) -> Self {
        let (x, means, scales) = standardised(features);
        let spectrum = Spectrum::of(x.as_ref());
        let LeftOut { probe, lambda, along, bias } = leave_one_out(&spectrum, labels, classes);
        let shrunk = Mat::from_fn(along.nrows(), classes, |index, class| {
            along[(index, class)] / (spectrum.squares[index] + lambda)
        });
        let weights = x.transpose() * (&spectrum.u * shrunk);
        Self { probe, means, scales, weights, bias }
    }

    /// The class of each image.
    pub fn predict(&self, features: Features<'_>) -> Vec<usize> {
        let width = features.width;
        let x = Mat::from_fn(features.images(), width, |image, column| {
            (f64::from(features.values[image * width + column]) - self.means[column]) * self.scales[column]
        });
        let scores = x * &self.weights;
        let class = |image| best(self.bias.len(), |class| scores[(image, class)] + self.bias[class]);
        (0..features.images()).map(class).collect()
    }
}

/// Features less their means, over their standard deviations; the means, and one over the deviations.
pub(in crate::depth) fn standardised(features: Features<'_>) -> (Mat<f64>, Vec<f64>, Vec<f64>) {
    let (mut x, means) = centred(features);
    let mut scales = Vec::with_capacity(features.width);
    for column in x.col_iter_mut() {
        let variance =
            column.as_ref().iter().map(|value| value * value).sum::<f64>() / features.images() as f64;
        // a constant feature says nothing
        let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 };
        column.iter_mut().for_each(|value| *value *= scale);
        scales.push(scale);
    }
    (x, means, scales)
}

/// What leave-one-out says of ridge regression with a kernel, `[images, images]`, whose rows and columns have the mean 0.
pub fn kernel_ridge(kernel: MatRef<'_, f64>, labels: &[usize], classes: usize) -> RidgeProbe {
    leave_one_out(&Spectrum::of_kernel(kernel), labels, classes).probe
}

struct LeftOut {
    probe: RidgeProbe,
    lambda: f64,
    /// The labels less the shares of the classes, along the singular vectors: `[rank, classes]`.
    along: Mat<f64>,
    /// The shares of the classes.
    bias: Vec<f64>,
}

/// λ has the least leave-one-out squared error. With the centred features' singular vectors `U` and values `s`, the predictions
/// of the training images are `H y`, where `H = 11ᵀ/n + U diag(s²/(s² + λ)) Uᵀ`, and those of a probe without image `i` differ
/// from its label by `(y_i − (H y)_i) / (1 − H_ii)` (Allen 1974). The intercept's `1/n` is part of `H`: without it the error
/// seems to fall with λ for ever where there are more features than images.
fn leave_one_out(spectrum: &Spectrum, labels: &[usize], classes: usize) -> LeftOut {
    let images = labels.len();
    let share = |class: usize| labels.iter().filter(|label| **label == class).count() as f64 / images as f64;
    let bias: Vec<f64> = (0..classes).map(share).collect();
    let target = |image: usize, class: usize| f64::from(u8::from(labels[image] == class)) - bias[class];
    let y = Mat::from_fn(images, classes, target);
    let along = spectrum.u.transpose() * &y;
    let rank = spectrum.squares.len();
    let mean_square = (spectrum.squares.iter().sum::<f64>() / rank.max(1) as f64).max(f64::MIN_POSITIVE);
    let lambda_of = |exponent: i32| mean_square * 10_f64.powf(f64::from(exponent) / PER_DECADE);
    let (lambda, residuals) = EXPONENTS
        .map(lambda_of)
        .map(|lambda| (lambda, residuals(spectrum, &along, &y, lambda)))
        .min_by(|(_, a), (_, b)| a.squared_norm_l2().total_cmp(&b.squared_norm_l2()))
        .expect("several are tried");
    // the prediction is what is left of the label once the residual is taken away
    let is_right = |image: usize| {
        let score = |class: usize| target(image, class) + bias[class] - residuals[(image, class)];
        best(classes, score) == labels[image]
    };
    let is_right: Vec<bool> = (0..images).map(is_right).collect();
    let errors = residuals.row_iter().map(|row| row.squared_norm_l2() / classes as f64).collect();
    LeftOut { probe: RidgeProbe { strength: lambda / mean_square, is_right, errors }, lambda, along, bias }
}

/// Leave-one-out residuals, `[images, classes]`.
fn residuals(spectrum: &Spectrum, along: &Mat<f64>, y: &Mat<f64>, lambda: f64) -> Mat<f64> {
    let kept: Vec<f64> = spectrum.squares.iter().map(|square| square / (square + lambda)).collect();
    let shrunk =
        Mat::from_fn(along.nrows(), along.ncols(), |index, class| kept[index] * along[(index, class)]);
    let fitted = &spectrum.u * shrunk;
    let images = y.nrows();
    let intercept = 1.0 / images as f64;
    let leverage = |image: usize| {
        let own = spectrum.u.row(image).iter().zip(&kept).map(|(u, kept)| u * u * kept).sum::<f64>();
        (1.0 - intercept - own).max(f64::EPSILON)
    };
    let leverages: Vec<f64> = (0..images).map(leverage).collect();
    Mat::from_fn(images, y.ncols(), |image, class| {
        (y[(image, class)] - fitted[(image, class)]) / leverages[image]
    })
}

/// The class with the highest score, the first of equals.
fn best(classes: usize, score: impl Fn(usize) -> f64) -> usize {
    (0..classes).max_by(|a, b| score(*a).total_cmp(&score(*b)).then(b.cmp(a))).unwrap_or(0)
}
