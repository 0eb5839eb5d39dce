//! `normalize`: `(x − mean) / max(√variance, 1e-7)` a channel, or its inverse. The statistics never train.
//! Source: `keras.layers.Normalization`.

use super::affine::ScaleShift;
use super::{Cost, Instance, OpKind, one_of};
use crate::{Extents, Shape};

/// Weights: mean and variance, `[channels]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalize {
    /// Undo the normalisation instead.
    pub invert: bool,
}

impl Normalize {
    /// The layer as a scale and an offset a channel.
    pub fn affine(&self, mean: &[f32], variance: &[f32]) -> (Vec<f32>, Vec<f32>) {
        mean.iter().zip(variance).map(|(mean, variance)| self.channel(*mean, *variance)).unzip()
    }

    pub(super) fn channel(&self, mean: f32, variance: f32) -> (f32, f32) {
        let deviation = variance.sqrt().max(1e-7);
        if self.invert { (deviation, mean) } else { (1.0 / deviation, -mean / deviation) }
    }
}

impl OpKind for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let fits =
            params.len() == 2 && params.iter().all(|shape| shape.len() == 1 && shape.last() == input.last());
        fits.then(|| input.clone())
            .ok_or_else(|| format!("statistics of {params:?} do not fit values of {input:?}"))
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let channels = inputs[0].last().copied().unwrap_or(1);
        let (scale, offset) = (vec![1.0; channels], vec![0.0; channels]);
        Box::new(ScaleShift { channels, scale, offset, statistics: Some(self.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(pixels in 1usize..20, channels in 1usize..20, invert: bool, seed: u64) {
            Check::of(Normalize { invert }, &[&[pixels, channels]]).statistics(channels).linear().run(seed);
        }
    }
}
