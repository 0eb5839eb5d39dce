//! `batch_norm`: `gamma · (x − mean) / √(variance + ε) + beta` a channel (the last axis).
//!
//! In training the mean and the biased variance of the batch and all positions are used, and the moving ones
//! follow them: `moving = moving · momentum + batch · (1 − momentum)`; in inference the moving ones are used.
//! Source: `keras.layers.BatchNormalization`; Ioffe and Szegedy 2015.

use super::parallel::{Pieces, image};
use super::{Backward, Cost, Forward, Instance, Mode, OpKind, one_of};
use crate::Shape;
use crate::compile::batch_norm_affine;
use frostline_kernels::{Activation, scale_shift};

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
}

impl BatchNorm {
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
        let values = inputs[0].iter().product::<usize>() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], batch: usize) -> Box<dyn Instance> {
        let channels = inputs[0].last().copied().unwrap_or(1);
        let zeros = || vec![0.0; channels];
        Box::new(Bound {
            op: self.clone(),
            channels,
            rows: inputs[0].iter().product::<usize>() / channels.max(1),
            mean: zeros(),
            variance: zeros(),
            inv_std: zeros(),
            scale: zeros(),
            shift: zeros(),
            totals: vec![0.0; 2 * channels],
            pieces: Pieces::with_sums(batch, 0, 0, 2 * channels),
        })
    }
}

struct Bound {
    op: BatchNorm,
    channels: usize,
    rows: usize,
    /// Of the last forward pass, as are the next four.
    mean: Vec<f32>,
    variance: Vec<f32>,
    inv_std: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    totals: Vec<f64>,
    pieces: Pieces,
}

impl Bound {
    fn batch_statistics(&mut self, args: &Forward<'_>) {
        let (channels, batch) = (self.channels, args.batch);
        let moving_mean = args.params[self.op.statistics()];
        self.pieces.sum_images(batch, |index, piece| {
            let (sum, squares) = piece.sums64.split_at_mut(channels);
            frostline_kernels::channel_sums(
                channels,
                image(args.inputs[0], batch, index),
                moving_mean,
                sum,
                squares,
            );
        });
        self.totals.fill(0.0);
        self.pieces.add_sums64(0, &mut self.totals);
        let count = (batch * self.rows) as f64;
        for channel in 0..channels {
            let shifted = self.totals[channel] / count;
            let variance = (self.totals[channels + channel] / count - shifted * shifted).max(0.0);
            self.mean[channel] = (f64::from(moving_mean[channel]) + shifted) as f32;
            self.variance[channel] = variance as f32;
        }
    }

    /// Scale, offset and 1/√(variance + ε) from the mean and variance at hand.
    fn derive(&mut self, params: &[&[f32]]) {
        for channel in 0..self.channels {
            let gamma = if self.op.scale { params[0][channel] } else { 1.0 };
            let beta = if self.op.center { params[usize::from(self.op.scale)][channel] } else { 0.0 };
            let inv_std = 1.0 / (f64::from(self.variance[channel]) + f64::from(self.op.epsilon)).sqrt();
            let scale = f64::from(gamma) * inv_std;
            self.inv_std[channel] = inv_std as f32;
            self.scale[channel] = scale as f32;
            self.shift[channel] = (f64::from(beta) - f64::from(self.mean[channel]) * scale) as f32;
        }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        // frozen prefixes fold this op away: what is left here need not be fast
        let affine = batch_norm_affine(&self.op, |index| params[index]);
        scale_shift(self.channels, inputs[0], &affine.scale, &affine.offset, Activation::Linear, output);
    }

    fn forward(&mut self, args: Forward<'_>) {
        match args.mode {
            Mode::Training => self.batch_statistics(&args),
            Mode::Inference => {
                let statistics = self.op.statistics();
                self.mean.copy_from_slice(args.params[statistics]);
                self.variance.copy_from_slice(args.params[statistics + 1]);
            }
        }
        self.derive(args.params);
        let (channels, scale, shift) = (self.channels, &self.scale, &self.shift);
        self.pieces.each_image(args.batch, args.output, |index, y, _| {
            let x = image(args.inputs[0], args.batch, index);
            scale_shift(channels, x, scale, shift, Activation::Linear, y);
        });
    }

    fn backward(&mut self, args: Backward<'_, '_>) {
        let (channels, batch, dy) = (self.channels, args.batch, args.output_grad);
        let (mean, inv_std) = (&self.mean, &self.inv_std);
        let x = |index| image(args.inputs[0], batch, index);
        let trains_weights = args.param_grads.iter().any(Option::is_some);
        if trains_weights || args.mode == Mode::Training {
            self.pieces.sum_images(batch, |index, piece| {
                let (sum, product) = piece.sums64.split_at_mut(channels);
                let dy = image(dy, batch, index);
                frostline_kernels::batch_norm_backward_sums(
                    channels,
                    x(index),
                    dy,
                    mean,
                    inv_std,
                    sum,
                    product,
                );
            });
            self.totals.fill(0.0);
            self.pieces.add_sums64(0, &mut self.totals);
        }
        let (sum_dy, sum_dy_xhat) = self.totals.split_at(channels);
        let (gamma_at, beta_at) = (0, usize::from(self.op.scale));
        for (wanted, position, sums) in
            [(self.op.scale, gamma_at, sum_dy_xhat), (self.op.center, beta_at, sum_dy)]
        {
            if let (true, Some(grad)) = (wanted, args.param_grads[position].as_deref_mut()) {
                grad.iter_mut().zip(sums).for_each(|(grad, sum)| *grad += *sum as f32);
            }
        }
        let Some(dx) = args.input_grads[0].as_deref_mut() else { return };
        if args.mode == Mode::Inference {
            let scale = &self.scale;
            self.pieces.each_image(batch, dx, |index, dx, _| {
                frostline_kernels::scale_shift_backward_input(channels, image(dy, batch, index), scale, dx);
            });
            return;
        }
        // the forward pass's scale and shift are spent: their memory holds the means of the sums now
        let count = (batch * self.rows) as f64;
        for channel in 0..channels {
            self.shift[channel] = (sum_dy[channel] / count) as f32;
            self.variance[channel] = (sum_dy_xhat[channel] / count) as f32;
            self.scale[channel] = if self.op.scale { args.params[0][channel] } else { 1.0 };
        }
        let (gamma, mean_dy, mean_dy_xhat) = (&self.scale, &self.shift, &self.variance);
        self.pieces.each_image(batch, dx, |index, dx, _| {
            let dy = image(dy, batch, index);
            frostline_kernels::batch_norm_backward_input(
                channels,
                x(index),
                dy,
                mean,
                inv_std,
                gamma,
                mean_dy,
                mean_dy_xhat,
                dx,
            );
        });
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
        let op = BatchNorm { epsilon: 1e-3, momentum: 0.9, scale, center };
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
        let op = BatchNorm { epsilon: 1e-3, momentum: 0.9, scale: false, center: false };
        let shapes = [vec![1], vec![1]];
        let mut instance = op.bind(&[vec![2, 1]], &shapes, 2);
        let (mut mean, mut variance) = ([1.0], [2.0]);
        instance.forward(Forward {
            batch: 2,
            inputs: &[&[1.0, 2.0, 3.0, 6.0]],
            params: &[&mean, &variance],
            output: &mut [0.0; 4],
            mode: Mode::Training,
            seed: 0,
        });
        instance.update_state(0, &mut mean);
        instance.update_state(1, &mut variance);
        // the batch has mean 3 and biased variance 3.5
        assert!((mean[0] - 1.2).abs() < 1e-6 && (variance[0] - 2.15).abs() < 1e-6, "{mean:?} {variance:?}");
    }
}
