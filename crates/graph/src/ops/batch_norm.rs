//! `batch_norm`: `gamma · (x − mean) / √(variance + ε) + beta` a channel (the last axis).
//!
//! In training the mean and the biased variance of the batch and all positions are used, and the moving ones
//! follow them: `moving = moving · momentum + batch · (1 − momentum)`; in inference the moving ones are used.
//! Source: `keras.layers.BatchNormalization`; Ioffe and Szegedy 2015.

use super::{Affine, Backward, Cost, Forward, Instance, Mode, Observed, OpKind, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{
    Activation, Normalization, SUMMED_ROWS, batch_norm_backward_input, batch_norm_backward_sums,
    channel_sums, scale_shift, stream,
};

/// Weights: `gamma` with `scale`, `beta` with `center`, then the moving mean and variance; all `[channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// How much of the moving statistics stays at each step.
    pub momentum: f32,
    /// Whether there is a `gamma`.
    pub scale: bool,
    /// Whether there is a `beta`.
    pub center: bool,
    /// Applied to the result. Fusion sets it, in trainable suffixes.
    pub activation: Activation,
}

impl BatchNorm {
    /// `gamma · (x − mean) / √(variance + ε) + beta` as `scale · x + offset`.
    pub fn affine<'a>(&self, param: impl Fn(usize) -> &'a [f32]) -> Affine {
        let statistics = usize::from(self.scale) + usize::from(self.center);
        let (mean, variance) = (param(statistics), param(statistics + 1));
        let channel = |index: usize| {
            let gamma = if self.scale { f64::from(param(0)[index]) } else { 1.0 };
            let beta = if self.center { f64::from(param(usize::from(self.scale))[index]) } else { 0.0 };
            let scale = gamma / (f64::from(variance[index]) + f64::from(self.epsilon)).sqrt();
            (scale as f32, (beta - f64::from(mean[index]) * scale) as f32)
        };
        let (scale, offset) = (0..mean.len()).map(channel).unzip();
        Affine { scale, offset }
    }

    /// The position of the moving mean among the weights; the variance is behind it.
    fn statistics(&self) -> usize {
        usize::from(self.scale) + usize::from(self.center)
    }
}

impl OpKind for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let fits = params.len() == self.statistics() + 2
            && params.iter().all(|shape| shape.len() == 1 && shape.last() == input.last());
        fits.then(|| input.clone())
            .ok_or_else(|| format!("weights of {params:?} do not fit values of {input:?}"))
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let channels = inputs[0].last().copied().unwrap_or(1);
        let zeros = || vec![0.0; channels];
        Box::new(Bound {
            op: self.clone(),
            channels,
            rows: inputs[0].elements() / channels.max(1),
            mean: zeros(),
            variance: zeros(),
            scale: zeros(),
            shift: zeros(),
            offset: zeros(),
            factor: zeros(),
        })
    }
}

struct Bound {
    op: BatchNorm,
    channels: usize,
    /// Rows of one image.
    rows: usize,
    /// Of the last forward pass, as are the next three.
    mean: Vec<f32>,
    variance: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// Of the backward pass: see [`batch_norm_backward_input`].
    offset: Vec<f32>,
    factor: Vec<f32>,
}

impl Bound {
    fn normalization(&self) -> Normalization<'_> {
        let (scale, shift, mean) = (&self.scale, &self.shift, &self.mean);
        Normalization { scale, shift, mean, activation: self.op.activation }
    }

    fn inv_std(&self, channel: usize) -> f64 {
        1.0 / (f64::from(self.variance[channel]) + f64::from(self.op.epsilon)).sqrt()
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        // frozen prefixes fold this op away: what is left here need not be fast
        let affine = self.op.affine(|index| params[index]);
        scale_shift(self.channels, inputs[0], &affine.scale, &affine.offset, self.op.activation, output);
    }

    fn sums_len(&self) -> usize {
        2 * self.channels
    }

    fn observe(&self, seen: Observed<'_>, sums: &mut [f64]) {
        let (sum, squares) = sums.split_at_mut(self.channels);
        let shift = seen.params[self.op.statistics()];
        let (channels, x) = (self.channels, seen.input);
        match seen.stored {
            Some(to) => stream(x, to, channels * SUMMED_ROWS, |part| {
                channel_sums(channels, &x[part], shift, sum, squares);
            }),
            None => channel_sums(channels, x, shift, sum, squares),
        }
    }

    fn begin_forward(&mut self, sums: &[f64], batch: usize, params: &[&[f32]], mode: Mode) {
        let (moving_mean, moving_variance) = (params[self.op.statistics()], params[self.op.statistics() + 1]);
        let count = (batch * self.rows) as f64;
        for channel in 0..self.channels {
            (self.mean[channel], self.variance[channel]) = match mode {
                Mode::Inference => (moving_mean[channel], moving_variance[channel]),
                Mode::Training => {
                    let shifted = sums[channel] / count;
                    let variance = sums[self.channels + channel] / count - shifted * shifted;
                    ((f64::from(moving_mean[channel]) + shifted) as f32, variance.max(0.0) as f32)
                }
            };
            let gamma = if self.op.scale { params[0][channel] } else { 1.0 };
            let beta = if self.op.center { params[usize::from(self.op.scale)][channel] } else { 0.0 };
            let scale = f64::from(gamma) * self.inv_std(channel);
            self.scale[channel] = scale as f32;
            self.shift[channel] = (f64::from(beta) - f64::from(self.mean[channel]) * scale) as f32;
        }
    }

    fn is_pixelwise(&self) -> bool {
        true
    }

    fn forward(&self, args: Forward<'_>) {
        let activation = self.op.activation;
        scale_shift(self.channels, args.inputs[0], &self.scale, &self.shift, activation, args.output);
    }

    fn sums_backward(&self, mode: Mode, trains: bool) -> bool {
        trains || mode == Mode::Training
    }

    fn observe_backward(&self, seen: Observed<'_>, sums: &mut [f64]) {
        let (sum, products) = sums.split_at_mut(self.channels);
        let norm = self.normalization();
        let (channels, x, dy) = (self.channels, seen.input, seen.output_grad);
        match seen.stored {
            Some(to) => stream(dy, to, channels * SUMMED_ROWS, |part| {
                batch_norm_backward_sums(channels, &x[part.clone()], &dy[part], norm, sum, products);
            }),
            None => batch_norm_backward_sums(channels, x, dy, norm, sum, products),
        }
    }

    fn begin_backward(
        &mut self,
        sums: &[f64],
        batch: usize,
        _: &[&[f32]],
        param_grads: &mut [Option<&mut [f32]>],
        mode: Mode,
    ) {
        self.offset.fill(0.0);
        self.factor.fill(0.0);
        if sums.is_empty() {
            return;
        }
        let (gamma_at, beta_at) = (0, usize::from(self.op.scale));
        let count = (batch * self.rows) as f64;
        for channel in 0..self.channels {
            let (sum, products) = (sums[channel], sums[self.channels + channel]);
            let inv_std = self.inv_std(channel);
            if let (true, Some(grad)) = (self.op.scale, &mut param_grads[gamma_at]) {
                grad[channel] += (products * inv_std) as f32;
            }
            if let (true, Some(grad)) = (self.op.center, &mut param_grads[beta_at]) {
                grad[channel] += sum as f32;
            }
            if mode == Mode::Training {
                let scale = f64::from(self.scale[channel]);
                self.offset[channel] = (scale * sum / count) as f32;
                self.factor[channel] = (scale * inv_std * inv_std * products / count) as f32;
            }
        }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let Some(dx) = &mut args.input_grads[0] else { return };
        let (dx, accumulate) = dx.parts();
        let (norm, offset, factor) = (self.normalization(), &self.offset, &self.factor);
        let (x, dy) = (args.inputs[0], args.output_grad);
        batch_norm_backward_input(self.channels, x, dy, norm, offset, factor, dx, accumulate);
    }

    fn update_state(&self, index: usize, value: &mut [f32]) {
        let statistics = self.op.statistics();
        let batch = if index == statistics { &self.mean } else { &self.variance };
        if index >= statistics {
            for (moving, batch) in value.iter_mut().zip(batch) {
                *moving = *moving * self.op.momentum + batch * (1.0 - self.op.momentum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    fn check(channels: usize, [scale, center]: [bool; 2], pixels: usize) -> Check {
        let op = BatchNorm { epsilon: 1e-3, momentum: 0.9, scale, center, activation: Activation::Linear };
        let weights: Vec<&[usize]> =
            vec![std::slice::from_ref(&channels); usize::from(scale) + usize::from(center)];
        Check::of(op, &[&[pixels, channels]]).weights(&weights).statistics(channels)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences_by_the_moving_statistics(
            pixels in 1usize..10, channels in 1usize..20, weights: [bool; 2], seed: u64,
        ) {
            check(channels, weights, pixels).linear().run(seed);
        }

        // of two numbers a channel the gradient is zero but for epsilon
        #[test]
        fn backward_agrees_with_differences_by_the_statistics_of_the_batch(
            pixels in 2usize..10, channels in 1usize..20, images in 2usize..5, weights: [bool; 2], seed: u64,
        ) {
            check(channels, weights, pixels).training().images(images).run(seed);
        }
    }

    #[test]
    fn moving_statistics_follow_those_of_the_batch() {
        let activation = Activation::Linear;
        let op = BatchNorm { epsilon: 1e-3, momentum: 0.9, scale: false, center: false, activation };
        let shapes = [vec![1], vec![1]];
        let mut instance = op.bind(&[vec![2, 1]], &shapes, 2);
        let (mut mean, mut variance) = ([1.0], [2.0]);
        let (x, mut sums) = ([1.0, 2.0, 3.0, 6.0], [0.0; 2]);
        let params: [&[f32]; 2] = [&mean, &variance];
        instance.observe(
            Observed { batch: 2, input: &x, output_grad: &[], params: &params, stored: None },
            &mut sums,
        );
        instance.begin_forward(&sums, 2, &params, Mode::Training);
        instance.update_state(0, &mut mean);
        instance.update_state(1, &mut variance);
        // the batch has mean 3 and biased variance 3.5
        assert!((mean[0] - 1.2).abs() < 1e-6 && (variance[0] - 2.15).abs() < 1e-6, "{mean:?} {variance:?}");
    }
}
