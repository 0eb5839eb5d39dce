//! `normalize`: `(x − mean) / max(√variance, 1e-7)` a channel, or its inverse. The statistics never train.
//! Source: `keras.layers.Normalization`.

use super::images::{each_image, image};
use super::{Backward, Cost, Forward, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Activation, scale_shift, scale_shift_backward_input};

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

    fn channel(&self, mean: f32, variance: f32) -> (f32, f32) {
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
        Box::new(Bound { op: self.clone(), channels, scale, offset })
    }
}

struct Bound {
    op: Normalize,
    channels: usize,
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Instance for Bound {
    fn load(&mut self, params: &[&[f32]]) {
        let (scale, offset) = (&mut self.scale, &mut self.offset);
        let channels = params[0].iter().zip(params[1]).zip(scale.iter_mut().zip(offset));
        channels.for_each(|((mean, variance), (scale, offset))| {
            (*scale, *offset) = self.op.channel(*mean, *variance);
        });
    }

    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        scale_shift(self.channels, inputs[0], &self.scale, &self.offset, Activation::Linear, output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads { inputs: false, output: false, either: false }
    }

    fn is_pixelwise(&self) -> bool {
        true
    }

    fn forward(&self, args: Forward<'_>) {
        let (channels, scale, offset) = (self.channels, &self.scale, &self.offset);
        each_image(args.batch, args.output, |index, y| {
            let x = image(args.inputs[0], args.batch, index);
            scale_shift(channels, x, scale, offset, Activation::Linear, y);
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (channels, scale, batch) = (self.channels, &self.scale, args.batch);
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                scale_shift_backward_input(channels, image(args.output_grad, batch, index), scale, dx);
            });
        }
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
