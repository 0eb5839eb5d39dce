//! `affine`: a constant scale and offset, for all channels or one a channel (the last axis).

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, Normalize, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Activation, scale_shift, scale_shift_backward_input};

/// `y = x · scale + offset`; the lists have one element, or as many as the last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factors.
    pub scale: Vec<f32>,
    /// Terms.
    pub offset: Vec<f32>,
}

impl OpKind for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let channels = input.last().copied().unwrap_or(1);
        let fits = |len: usize| len == 1 || len == channels;
        let (scale, offset) = (self.scale.len(), self.offset.len());
        (fits(scale) && fits(offset))
            .then(|| input.clone())
            .ok_or_else(|| format!("{scale} factors and {offset} terms do not fit values of {input:?}"))
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let channels = inputs[0].last().copied().unwrap_or(1);
        let spread = |list: &[f32]| (0..channels).map(|channel| list[channel % list.len()]).collect();
        Box::new(ScaleShift {
            channels,
            scale: spread(&self.scale),
            offset: spread(&self.offset),
            statistics: None,
        })
    }
}

/// `y = x · scale + offset`, one of each a channel.
pub(super) struct ScaleShift {
    pub(super) channels: usize,
    pub(super) scale: Vec<f32>,
    pub(super) offset: Vec<f32>,
    /// Where they come from statistics that are loaded: from which, and how.
    pub(super) statistics: Option<Normalize>,
}

impl Instance for ScaleShift {
    fn load(&mut self, params: &[&[f32]]) {
        let Some(normalize) = &self.statistics else { return };
        let statistics = params[0].iter().zip(params[1]);
        for ((mean, variance), (scale, offset)) in statistics.zip(self.scale.iter_mut().zip(&mut self.offset))
        {
            (*scale, *offset) = normalize.channel(*mean, *variance);
        }
    }

    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        scale_shift(self.channels, inputs[0], &self.scale, &self.offset, Activation::Linear, output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn is_pixelwise(&self) -> bool {
        true
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
        fn backward_agrees_with_differences(pixels in 1usize..20, channels in 1usize..20, seed: u64, one: bool) {
            let len = if one { 1 } else { channels };
            let list = |begin: f32| (0..len).map(|index| begin + index as f32 / 4.0).collect();
            let op = Affine { scale: list(-0.7), offset: list(0.2) };
            Check::of(op, &[&[pixels, channels]]).linear().run(seed);
        }
    }
}
