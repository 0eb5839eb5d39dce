//! `group norm`: normalisation by the statistics of an image's own blocks, the same in training and inference.
//! Source: Ba, Kiros, Hinton 2016 (layer normalisation); Wu and He 2018 (group normalisation).

use super::images::{each_image, image};
use super::{Backward, Cost, Forward, Instance, OpKind, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{
    Blocks, group_norm, group_norm_backward_gamma, group_norm_backward_input, sum_channels,
};

/// Input `[…, channels]`. Weights: with `scale` gamma, with `center` beta, `[channels]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNorm {
    /// The channels' groups: each has statistics of its own.
    pub groups: usize,
    /// Each pixel has statistics of its own too: layer normalisation.
    pub by_pixel: bool,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether there is a beta.
    pub center: bool,
}

impl GroupNorm {
    fn blocks(&self, input: &Shape) -> Blocks {
        let channels = input.last().copied().unwrap_or(1);
        let pixels = if self.by_pixel { 1 } else { input.iter().rev().skip(1).product() };
        Blocks { channels, pixels, width: channels / self.groups.max(1), epsilon: self.epsilon }
    }
}

impl OpKind for GroupNorm {
    fn name(&self) -> &'static str {
        "group norm"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let channels = input.last().copied().unwrap_or(0);
        if channels == 0 || self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err(format!("{channels} channels do not divide into {} groups", self.groups));
        }
        match params.iter().all(|shape| shape.as_slice() == [channels]) {
            true => Ok(input.clone()),
            false => Err(format!("weights of {params:?} do not fit values of {input:?}")),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: 3 * values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let blocks = self.blocks(&inputs[0]);
        Box::new(Bound {
            op: self.clone(),
            blocks,
            ones: vec![1.0; blocks.channels],
            zeros: vec![0.0; blocks.channels],
        })
    }
}

struct Bound {
    op: GroupNorm,
    blocks: Blocks,
    /// In place of weights that are not there.
    ones: Vec<f32>,
    zeros: Vec<f32>,
}

impl Bound {
    fn weights<'a>(&'a self, params: &[&'a [f32]]) -> (&'a [f32], &'a [f32]) {
        let mut params = params.iter().copied();
        let gamma = if self.op.scale { params.next() } else { None };
        let beta = if self.op.center { params.next() } else { None };
        (gamma.unwrap_or(&self.ones), beta.unwrap_or(&self.zeros))
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (gamma, beta) = self.weights(params);
        group_norm(self.blocks, inputs[0], gamma, beta, output);
    }

    fn is_pixelwise(&self) -> bool {
        self.op.by_pixel
    }

    fn forward(&self, args: Forward<'_>) {
        let (gamma, beta) = self.weights(args.params);
        group_norm(self.blocks, args.inputs[0], gamma, beta, args.output);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (blocks, x, dy) = (self.blocks, args.inputs[0], args.output_grad);
        let (gamma, _) = self.weights(args.params);
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(args.batch, dx.to_add(), |index, dx| {
                let (x, dy) = (image(x, args.batch, index), image(dy, args.batch, index));
                group_norm_backward_input(blocks, x, gamma, dy, dx);
            });
        }
        let mut grads = args.param_grads.iter_mut();
        if self.op.scale
            && let Some(Some(dgamma)) = grads.next()
        {
            group_norm_backward_gamma(blocks, x, dy, dgamma);
        }
        if self.op.center
            && let Some(Some(dbeta)) = grads.next()
        {
            sum_channels(blocks.channels, dy, dbeta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn backward_agrees_with_differences(
            pixels in 1usize..6, width in 2usize..20, groups in 1usize..4, by_pixel: bool, weights in 0usize..4, seed: u64,
        ) {
            let (scale, center) = (weights & 1 > 0, weights & 2 > 0);
            let groups = if by_pixel { 1 } else { groups };
            let op = GroupNorm { groups, by_pixel, epsilon: 0.1, scale, center };
            let channels = [width * groups];
            let shapes: Vec<&[usize]> = vec![&channels; usize::from(scale) + usize::from(center)];
            Check::of(op, &[&[pixels, 2, channels[0]]]).weights(&shapes).run(seed);
        }
    }
}
