//! The range that values lie in, and the warning when it is not the range that a model was trained on.

use rayon::prelude::*;

/// The smallest and the largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValueRange {
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

impl ValueRange {
    /// What images hold: 0 to 255.
    pub const BYTES: ValueRange = ValueRange { min: 0.0, max: 255.0 };

    /// The range of `values`; `min > max` where there are none.
    pub fn of(values: &[f32]) -> Self {
        let none = Self { min: f32::INFINITY, max: f32::NEG_INFINITY };
        values.iter().fold(none, |r, &v| Self { min: r.min.min(v), max: r.max.max(v) })
    }

    /// The range of many values, on all threads.
    ///
    /// Error: the position of the first that is no finite number.
    pub fn of_finite(values: &[f32]) -> Result<Self, usize> {
        const PIECE: usize = 1 << 16;
        let piece = |(index, piece): (usize, &[f32])| match piece.iter().all(|value| value.is_finite()) {
            true => Ok(Self::of(piece)),
            false => Err(index * PIECE + piece.iter().position(|value| !value.is_finite()).unwrap_or(0)),
        };
        let of_pieces: Vec<Result<Self, usize>> = values.par_chunks(PIECE).enumerate().map(piece).collect();
        of_pieces.into_iter().try_fold(Self::of(&[]), |all, piece| Ok(all.or(piece?)))
    }

    /// The range of both.
    pub fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// A warning where values that were seen, over a whole batch or dataset, do not fit what the model `expected`:
    /// they leave its range by more than a tenth of its width (as 0 to 255 for a model that takes −1 to 1), or they
    /// fill less than a twentieth of it (as pixels that were divided by 255 twice). A tenth is allowed because
    /// bicubic kernels overshoot.
    pub fn warning(self, expected: Self) -> Option<String> {
        if self.min > self.max {
            return None;
        }
        let width = expected.max - expected.min;
        let outside = self.min < expected.min - 0.1 * width || self.max > expected.max + 0.1 * width;
        let narrow = self.max - self.min < 0.05 * width;
        (outside || narrow).then(|| {
            format!(
                "the input values lie in [{}, {}], but the model was trained on values in [{}, {}]\n\
                 help: preprocess as in training: the setting `preprocess = tf`, `unit`, `torch`, `caffe` or `none`",
                self.min, self.max, expected.min, expected.max
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TF: ValueRange = ValueRange { min: -1.0, max: 1.0 };

    #[test]
    fn raw_pixels_for_a_model_of_minus_one_to_one_are_warned_of() {
        let warning = ValueRange { min: 0.0, max: 255.0 }.warning(TF).unwrap();
        assert!(warning.contains("[0, 255]") && warning.contains("[-1, 1]") && warning.contains("help:"));
    }

    #[test]
    fn pixels_scaled_twice_are_warned_of() {
        assert!(ValueRange { min: -1.0, max: -0.992 }.warning(TF).is_some());
    }

    #[test]
    fn values_in_range_are_not() {
        assert_eq!(ValueRange::of(&[-1.0, 0.3, 0.9]).warning(TF), None);
        assert_eq!(ValueRange::of(&[]).warning(TF), None);
    }
}
