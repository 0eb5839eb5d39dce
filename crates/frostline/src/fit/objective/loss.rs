//! Losses, with Keras's reductions and clipping. Source: `keras/src/losses/losses.py` and the TensorFlow backend.

use frostline_engine::{LossInput, Squash, Suffix};
use std::fmt;
use std::str::FromStr;

/// Probabilities are kept 1e-7 from 0 and 1 before a logarithm, as in Keras, where it is an f32: 1 − 1e-7 is
/// 0.99999988 there, which shows in the logarithm of the rest.
const LEAST: f64 = 1e-7_f32 as f64;
const MOST: f64 = (1.0 - 1e-7_f32) as f64;

/// A loss by its Keras name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `−(t·log p + (1 − t)·log(1 − p))`, mean over the outputs.
    BinaryCrossentropy,
    /// `−Σ t·log p` over classes; targets are one-hot.
    CategoricalCrossentropy,
    /// `−log p` of the target's class.
    SparseCategoricalCrossentropy,
    /// `(t − y)²`, mean over the outputs.
    MeanSquaredError,
    /// `|t − y|`, mean over the outputs.
    MeanAbsoluteError,
}

const NAMES: &[(Loss, &str, &str)] = &[
    (Loss::BinaryCrossentropy, "binary_crossentropy", "bce"),
    (Loss::CategoricalCrossentropy, "categorical_crossentropy", "cce"),
    (Loss::SparseCategoricalCrossentropy, "sparse_categorical_crossentropy", "scce"),
    (Loss::MeanSquaredError, "mean_squared_error", "mse"),
    (Loss::MeanAbsoluteError, "mean_absolute_error", "mae"),
];

impl FromStr for Loss {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, long, short)| *long == name || *short == name);
        found.map(|(loss, ..)| *loss).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(_, long, _)| *long).collect();
            format!("there is no loss `{name}`; known are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(loss, ..)| loss == self).map_or("", |(_, name, _)| name);
        formatter.write_str(name)
    }
}

/// What a loss is given as outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// What comes out of a sigmoid, a softmax, or a regression.
    Probabilities,
    /// What goes into the sigmoid or softmax.
    Logits,
}

/// The targets of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a> {
    /// A class an image.
    Classes(&'a [u32]),
    /// For each label 1 where an image has it, else 0: `[images, width]`.
    Labels(&'a [f32]),
    /// `[images, width]`.
    Values(&'a [f32]),
}

impl Loss {
    /// Whether it compares the outputs of all classes with each other.
    pub fn is_over_classes(self) -> bool {
        matches!(self, Self::CategoricalCrossentropy | Self::SparseCategoricalCrossentropy)
    }

    /// Whether it can be computed from what goes into this squashing, which is exact where probabilities are near 0
    /// or 1.
    pub fn takes_logits_of(self, squash: Squash) -> bool {
        match self {
            Self::BinaryCrossentropy => squash == Squash::Sigmoid,
            Self::CategoricalCrossentropy | Self::SparseCategoricalCrossentropy => squash == Squash::Softmax,
            Self::MeanSquaredError | Self::MeanAbsoluteError => false,
        }
    }
}

/// What a loss is computed from, and where its gradient goes in.
pub(crate) struct Scored<'a> {
    /// `[images, width]`
    pub(crate) values: &'a [f32],
    pub(crate) outputs: Outputs,
    pub(crate) input: LossInput,
}

impl Loss {
    /// As Keras does: from the logits of a softmax or sigmoid where the loss takes them, which are kept beside its result; else
    /// from the model's output, which holds `outputs`.
    pub(crate) fn scored(self, suffix: &Suffix, images: usize, outputs: Outputs) -> Scored<'_> {
        match suffix.logits(images) {
            Some((values, squash)) if self.takes_logits_of(squash) => {
                Scored { values, outputs: Outputs::Logits, input: LossInput::Logits }
            }
            _ => Scored { values: suffix.output(images), outputs, input: LossInput::Output },
        }
    }
}

/// A loss with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossSetting {
    /// Which.
    pub loss: Loss,
    /// Targets are drawn this far towards the even distribution, in `[0, 1)`.
    pub label_smoothing: f32,
}

impl LossSetting {
    /// The loss of a batch: Keras's `sum_over_batch_size`, `Σ weight · loss / images`.
    ///
    /// * `outputs`: `[images, width]`
    /// * `sample_weights`: `[images]`
    /// * `gradient`: `[images, width]`, overwritten with the loss's gradient by the outputs
    pub fn evaluate(
        &self,
        outputs: &[f32],
        from: Outputs,
        width: usize,
        targets: &Targets<'_>,
        sample_weights: Option<&[f32]>,
        mut gradient: Option<&mut [f32]>,
    ) -> f64 {
        let images = outputs.len() / width.max(1);
        let mut total = 0.0;
        let mut row_gradient = vec![0.0; width];
        for (image, row) in outputs.chunks_exact(width).enumerate() {
            let weight = sample_weights.map_or(1.0, |weights| f64::from(weights[image])) / images as f64;
            let target = |output: usize| self.target(targets, image, width, output);
            total += weight * self.row(row, from, target, &mut row_gradient);
            if let Some(gradient) = &mut gradient {
                let gradient = &mut gradient[image * width..][..width];
                gradient.iter_mut().zip(&row_gradient).for_each(|(to, from)| *to = (weight * from) as f32);
            }
        }
        total
    }

    /// The target of one output, smoothed.
    fn target(&self, targets: &Targets<'_>, image: usize, width: usize, output: usize) -> f64 {
        let plain = match targets {
            Targets::Labels(values) | Targets::Values(values) => f64::from(values[image * width + output]),
            Targets::Classes(classes) if width == 1 => f64::from(classes[image]),
            Targets::Classes(classes) => f64::from(u8::from(classes[image] as usize == output)),
        };
        let smoothing = f64::from(self.label_smoothing);
        match self.loss {
            Loss::BinaryCrossentropy => plain * (1.0 - smoothing) + 0.5 * smoothing,
            Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy => {
                plain * (1.0 - smoothing) + smoothing / width as f64
            }
            _ => plain,
        }
    }

    /// The loss of one image and its gradient by the image's outputs.
    fn row(&self, row: &[f32], from: Outputs, target: impl Fn(usize) -> f64, gradient: &mut [f64]) -> f64 {
        let width = row.len() as f64;
        let values = || row.iter().map(|value| f64::from(*value)).enumerate();
        let mut loss = 0.0;
        match (self.loss, from) {
            (Loss::MeanSquaredError, _) => {
                for (output, value) in values() {
                    let error = value - target(output);
                    loss += error * error / width;
                    gradient[output] = 2.0 * error / width;
                }
            }
            (Loss::MeanAbsoluteError, _) => {
                for (output, value) in values() {
                    let error = value - target(output);
                    loss += error.abs() / width;
                    gradient[output] = if error == 0.0 { 0.0 } else { error.signum() / width };
                }
            }
            (Loss::BinaryCrossentropy, Outputs::Probabilities) => {
                for (output, value) in values() {
                    let (target, clipped) = (target(output), value.clamp(LEAST, MOST));
                    loss -= (target * clipped.ln() + (1.0 - target) * (1.0 - clipped).ln()) / width;
                    let slope = (1.0 - target) / (1.0 - clipped) - target / clipped;
                    gradient[output] = if clipped == value { slope / width } else { 0.0 };
                }
            }
            (Loss::BinaryCrossentropy, Outputs::Logits) => {
                for (output, value) in values() {
                    let target = target(output);
                    loss += (value.max(0.0) - value * target + (-value.abs()).exp().ln_1p()) / width;
                    gradient[output] = (1.0 / (1.0 + (-value).exp()) - target) / width;
                }
            }
            (Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy, Outputs::Logits) => {
                let largest = values().map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = values().map(|(_, value)| (value - largest).exp()).sum();
                let targets: f64 = (0..row.len()).map(&target).sum();
                for (output, value) in values() {
                    let target = target(output);
                    loss -= target * (value - largest - sum.ln());
                    gradient[output] = targets * (value - largest).exp() / sum - target;
                }
            }
            (Loss::CategoricalCrossentropy, Outputs::Probabilities) => {
                let sum: f64 = values().map(|(_, value)| value).sum();
                let mut weighted = 0.0;
                for (output, value) in values() {
                    let (target, scaled) = (target(output), value / sum);
                    let clipped = scaled.clamp(LEAST, MOST);
                    loss -= target * clipped.ln();
                    gradient[output] = if clipped == scaled { -target / clipped } else { 0.0 };
                    weighted += gradient[output] * scaled;
                }
                gradient.iter_mut().for_each(|gradient| *gradient = (*gradient - weighted) / sum);
            }
            (Loss::SparseCategoricalCrossentropy, Outputs::Probabilities) => {
                // Keras takes the logarithm of the clipped probabilities for logits
                let clip = |value: f64| value.clamp(LEAST, MOST);
                let sum: f64 = values().map(|(_, value)| clip(value)).sum();
                for (output, value) in values() {
                    let (target, clipped) = (target(output), clip(value));
                    loss -= target * (clipped / sum).ln();
                    gradient[output] = if clipped == value { 1.0 / sum - target / clipped } else { 0.0 };
                }
            }
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences in f32 outputs: the error is that of rounding the outputs, about 1e-4.
    const TOLERANCE: f64 = 2e-3;

    #[test]
    fn gradients_agree_with_finite_differences() {
        let classes = [2u32, 0, 1];
        let probabilities = [0.2f32, 0.5, 0.3, 0.6, 0.3, 0.1, 0.25, 0.35, 0.4];
        let logits = [0.4f32, -1.2, 2.0, 0.1, 0.0, -0.7, 1.5, 0.3, -0.2];
        let weights = [1.0f32, 2.0, 0.5];
        for (loss, ..) in NAMES {
            for from in [Outputs::Probabilities, Outputs::Logits] {
                let outputs = if from == Outputs::Logits { logits } else { probabilities };
                let setting = LossSetting { loss: *loss, label_smoothing: 0.1 };
                let value = |outputs: &[f32]| {
                    setting.evaluate(outputs, from, 3, &Targets::Classes(&classes), Some(&weights), None)
                };
                let mut gradient = [0.0; 9];
                setting.evaluate(
                    &outputs,
                    from,
                    3,
                    &Targets::Classes(&classes),
                    Some(&weights),
                    Some(&mut gradient),
                );
                for index in 0..9 {
                    let step = 1e-3f32;
                    let (mut above, mut below) = (outputs, outputs);
                    above[index] += step;
                    below[index] -= step;
                    let slope = (value(&above) - value(&below)) / f64::from(above[index] - below[index]);
                    let difference = (slope - f64::from(gradient[index])).abs();
                    assert!(difference < TOLERANCE * (1.0 + slope.abs()), "{loss} {from:?} {index}: {slope}");
                }
            }
        }
    }

    #[test]
    fn certain_and_wrong_is_finite() {
        for from in [Outputs::Probabilities, Outputs::Logits] {
            let setting = LossSetting { loss: Loss::BinaryCrossentropy, label_smoothing: 0.0 };
            let outputs = if from == Outputs::Logits { [-200.0, 200.0] } else { [0.0, 1.0] };
            let loss = setting.evaluate(&outputs, from, 1, &Targets::Classes(&[1, 0]), None, None);
            assert!(loss.is_finite() && loss > 10.0);
        }
    }
}
