//! Normalisation by statistics of the channels: the sums that statistics are made from, the scaling with its activation,
//! and the gradient.
//!
//! Sums run over pieces of a fixed number of rows in `f32` and add the pieces in `f64`, in order: one result always. The
//! other kernels read row after row, as the processor fetches ahead, in steps of a fixed number of channels.

use crate::activation::{Activation, for_known_variant};
use crate::dispatch::vectorized;
use crate::elementwise::add_scaled_channels;
use crate::matmul::Accumulate;

/// Rows that are summed in registers: one piece of a sum. Whoever hands `x` over in several parts gets the sums of the
/// whole, bit by bit, if all parts but the last have a multiple of so many rows.
pub const SUMMED_ROWS: usize = 32;

/// `L` numbers from `at` on.
#[inline(always)]
fn lanes<const L: usize>(numbers: &[f32], at: usize) -> &[f32; L] {
    numbers[at..at + L].try_into().expect("as many as asked for")
}

#[inline(always)]
fn lanes_mut<const L: usize>(numbers: &mut [f32], at: usize) -> &mut [f32; L] {
    (&mut numbers[at..at + L]).try_into().expect("as many as asked for")
}

/// Calls `$work::<LANES>($arguments…, first channel)` for columns of 32, 16, 8 and 1 channels.
macro_rules! in_columns {
    ($channels:expr, $work:ident($($argument:expr),*)) => {
        let mut first = 0;
        while first + 32 <= $channels {
            $work::<32>($($argument,)* first);
            first += 32;
        }
        while first + 16 <= $channels {
            $work::<16>($($argument,)* first);
            first += 16;
        }
        while first + 8 <= $channels {
            $work::<8>($($argument,)* first);
            first += 8;
        }
        while first < $channels {
            $work::<1>($($argument,)* first);
            first += 1;
        }
    };
}

vectorized! {
    /// `sum += Σ (x - shift)` and `sum_squares += Σ (x - shift)²` over the rows. With a shift near the mean, the variance
    /// `sum_squares / n - (sum / n)²` keeps its digits.
    ///
    /// * `x`: `[rows, channels]`
    /// * `shift`, `sum`, `sum_squares`: `[channels]`
    pub fn channel_sums(channels: usize, x: &[f32], shift: &[f32], sum: &mut [f64], sum_squares: &mut [f64]) {
        check(channels, x, &[shift.len(), sum.len(), sum_squares.len()]);
        for x in x.chunks(channels * SUMMED_ROWS) {
            in_columns!(channels, sums_of(channels, x, shift, sum, sum_squares));
        }
    }
}

#[inline(always)]
fn sums_of<const L: usize>(
    channels: usize,
    x: &[f32],
    shift: &[f32],
    sum: &mut [f64],
    sum_squares: &mut [f64],
    first: usize,
) {
    let shift = lanes::<L>(shift, first);
    let (mut sums, mut squares) = ([0.0f32; L], [0.0f32; L]);
    for at in (first..x.len()).step_by(channels) {
        let x = lanes::<L>(x, at);
        for l in 0..L {
            let d = x[l] - shift[l];
            sums[l] += d;
            squares[l] += d * d;
        }
    }
    add_to(&mut sum[first..first + L], &sums);
    add_to(&mut sum_squares[first..first + L], &squares);
}

#[inline(always)]
fn add_to(totals: &mut [f64], sums: &[f32]) {
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total += f64::from(*sum);
    }
}

vectorized! {
    /// `y = activation(x * scale + shift)`.
    ///
    /// * `x`, `y`: `[rows, channels]`
    /// * `scale`, `shift`: `[channels]`
    pub fn scale_shift(
        channels: usize, x: &[f32], scale: &[f32], shift: &[f32], activation: Activation, y: &mut [f32],
    ) {
        check(channels, x, &[scale.len(), shift.len()]);
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for_known_variant!(activation, f => {
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                in_columns!(channels, scaled(x, scale, shift, f, y));
            }
        });
    }
}

#[inline(always)]
fn scaled<const L: usize>(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    y: &mut [f32],
    first: usize,
) {
    let (scale, shift) = (lanes::<L>(scale, first), lanes::<L>(shift, first));
    let (x, y) = (lanes::<L>(x, first), lanes_mut::<L>(y, first));
    for l in 0..L {
        y[l] = activation.apply(x[l] * scale[l] + shift[l]);
    }
}

/// The gradient of [`scale_shift`] without activation, for its input: `dx += dy * scale`.
pub fn scale_shift_backward_input(channels: usize, dy: &[f32], scale: &[f32], dx: &mut [f32]) {
    add_scaled_channels(channels, dy, scale, dx);
}

/// A normalisation `y = activation(x * scale + shift)` whose scale and shift come from statistics: one number a channel.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// `gamma / √(variance + ε)`.
    pub scale: &'a [f32],
    /// `beta - mean * scale`.
    pub shift: &'a [f32],
    /// The mean that was used.
    pub mean: &'a [f32],
    /// Applied last.
    pub activation: Activation,
}

impl Normalization<'_> {
    fn check(&self, channels: usize, x: &[f32], lengths: &[usize]) {
        check(channels, x, &[self.scale.len(), self.shift.len(), self.mean.len()]);
        check(channels, x, lengths);
    }
}

vectorized! {
    /// `sum += Σ dz` and `sum_products += Σ dz * (x - mean)` over the rows, where `dz` is the gradient at the activation's
    /// input: what the gradients of `beta` and `gamma` and that of the input are made from.
    ///
    /// * `x`, `dy`: `[rows, channels]`
    /// * `sum`, `sum_products`: `[channels]`
    pub fn batch_norm_backward_sums(
        channels: usize, x: &[f32], dy: &[f32], norm: Normalization<'_>, sum: &mut [f64], sum_products: &mut [f64],
    ) {
        norm.check(channels, x, &[sum.len(), sum_products.len()]);
        assert_eq!(x.len(), dy.len(), "x and dy have one length");
        for_known_variant!(norm.activation, f => {
            for (x, dy) in x.chunks(channels * SUMMED_ROWS).zip(dy.chunks(channels * SUMMED_ROWS)) {
                in_columns!(channels, gradient_sums(channels, x, dy, norm, f, sum, sum_products));
            }
        });
    }
}

#[inline(always)]
fn gradient_sums<const L: usize>(
    channels: usize,
    x: &[f32],
    dy: &[f32],
    norm: Normalization<'_>,
    activation: Activation,
    sum: &mut [f64],
    sum_products: &mut [f64],
    first: usize,
) {
    let (scale, shift) = (lanes::<L>(norm.scale, first), lanes::<L>(norm.shift, first));
    let mean = lanes::<L>(norm.mean, first);
    let (mut sums, mut products) = ([0.0f32; L], [0.0f32; L]);
    for at in (first..x.len()).step_by(channels) {
        let (x, dy) = (lanes::<L>(x, at), lanes::<L>(dy, at));
        for l in 0..L {
            let dz = activation.backward(x[l] * scale[l] + shift[l], dy[l]);
            sums[l] += dz;
            products[l] += dz * (x[l] - mean[l]);
        }
    }
    add_to(&mut sum[first..first + L], &sums);
    add_to(&mut sum_products[first..first + L], &products);
}

vectorized! {
    /// The gradient for the input: `scale * dz - offset - (x - mean) * factor`, written to `dx` or added to it. With
    /// batch statistics over `n` rows `offset` is `scale * Σ dz / n`, and `factor` is
    /// `scale / (variance + ε) * Σ dz (x - mean) / n`; with given statistics both are 0.
    ///
    /// * `x`, `dy`, `dx`: `[rows, channels]`
    /// * `offset`, `factor`: `[channels]`
    pub fn batch_norm_backward_input(
        channels: usize, x: &[f32], dy: &[f32], norm: Normalization<'_>, offset: &[f32], factor: &[f32],
        dx: &mut [f32], accumulate: Accumulate,
    ) {
        norm.check(channels, x, &[offset.len(), factor.len()]);
        assert!(x.len() == dy.len() && x.len() == dx.len(), "x, dy and dx have one length");
        for_known_variant!(norm.activation, f => {
            let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
            if accumulate == Accumulate::Add {
                for ((x, dy), dx) in rows {
                    in_columns!(channels, input_gradient_added(x, dy, norm, f, offset, factor, dx));
                }
            } else {
                for ((x, dy), dx) in rows {
                    in_columns!(channels, input_gradient_stored(x, dy, norm, f, offset, factor, dx));
                }
            }
        });
    }
}

macro_rules! input_gradient {
    ($name:ident, |$dx:ident, $value:ident| $store:expr) => {
        #[inline(always)]
        fn $name<const L: usize>(
            x: &[f32],
            dy: &[f32],
            norm: Normalization<'_>,
            activation: Activation,
            offset: &[f32],
            factor: &[f32],
            dx: &mut [f32],
            first: usize,
        ) {
            let (scale, shift) = (lanes::<L>(norm.scale, first), lanes::<L>(norm.shift, first));
            let mean = lanes::<L>(norm.mean, first);
            let (offset, factor) = (lanes::<L>(offset, first), lanes::<L>(factor, first));
            let (x, dy, dx) = (lanes::<L>(x, first), lanes::<L>(dy, first), lanes_mut::<L>(dx, first));
            for l in 0..L {
                let dz = activation.backward(x[l] * scale[l] + shift[l], dy[l]);
                let $value = scale[l] * dz - offset[l] - (x[l] - mean[l]) * factor[l];
                let $dx = &mut dx[l];
                $store;
            }
        }
    };
}
input_gradient!(input_gradient_stored, |dx, value| *dx = value);
input_gradient!(input_gradient_added, |dx, value| *dx += value);

fn check(channels: usize, x: &[f32], lengths: &[usize]) {
    assert!(channels > 0 && x.len().is_multiple_of(channels), "x is whole rows");
    assert!(lengths.iter().all(|&len| len == channels), "there is one number a channel");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_gradient, noise};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_agree_with_f64(rows in 0usize..70, channels in 1usize..150, seed in any::<u64>()) {
            let x = noise(rows * channels, seed);
            let dy = noise(rows * channels, seed ^ 1);
            let (shift, inv_std) = (noise(channels, seed ^ 2), noise(channels, seed ^ 3));
            let mut totals = [vec![1.0; channels], vec![2.0; channels], vec![3.0; channels], vec![4.0; channels]];
            let mut expected = totals.clone();
            for i in 0..x.len() {
                let c = i % channels;
                let d = f64::from(x[i]) - f64::from(shift[c]);
                expected[0][c] += d;
                expected[1][c] += d * d;
                expected[2][c] += f64::from(dy[i]);
                expected[3][c] += f64::from(dy[i]) * d;
            }
            let [sum, squares, sum_dy, sum_dy_xhat] = &mut totals;
            channel_sums(channels, &x, &shift, sum, squares);
            let norm = Normalization { scale: &inv_std, shift: &shift, mean: &shift, activation: Activation::Linear };
            batch_norm_backward_sums(channels, &x, &dy, norm, sum_dy, sum_dy_xhat);
            for (total, expected) in totals.iter().flatten().zip(expected.iter().flatten()) {
                prop_assert!((total - expected).abs() < 1e-6 * (rows + 1) as f64, "{} not {}", total, expected);
            }
        }
    }

    #[test]
    fn a_large_mean_does_not_spoil_the_variance() {
        let x: Vec<f32> = noise(1000, 5).iter().map(|x| x + 10_000.0).collect();
        let (mut sum, mut squares) = ([0.0], [0.0]);
        channel_sums(1, &x, &[10_000.0], &mut sum, &mut squares);
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / 1000.0;
        let truth = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 1000.0;
        let variance = squares[0] / 1000.0 - (sum[0] / 1000.0).powi(2);
        assert!((variance / truth - 1.0).abs() < 1e-5);
    }

    #[test]
    fn scale_shift_is_what_it_says() {
        let mut y = [0.0; 4];
        scale_shift(2, &[1.0, 2.0, -3.0, 4.0], &[2.0, 3.0], &[0.5, -1.0], Activation::relu6(), &mut y);
        assert_eq!(y, [2.5, 5.0, 0.0, 6.0]);
        let mut dx = [1.0; 4];
        scale_shift_backward_input(2, &[1.0, 2.0, 3.0, 4.0], &[2.0, 3.0], &mut dx);
        assert_eq!(dx, [3.0, 7.0, 7.0, 13.0]);
    }

    /// `Σ dy f(gamma x̂)` in f64, the statistics taken from `x`; `f` is linear or SiLU.
    fn objective(channels: usize, x: &[f32], gamma: &[f32], dy: &[f32], activation: Activation) -> f64 {
        let rows = x.len() / channels;
        let column = |c: usize| (0..rows).map(move |r| f64::from(x[r * channels + c]));
        let apply = |z: f64| if activation == Activation::Linear { z } else { z / (1.0 + (-z).exp()) };
        let of_channel = |c: usize| {
            let mean = column(c).sum::<f64>() / rows as f64;
            let variance = column(c).map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
            let scale = f64::from(gamma[c]) / (variance + EPSILON).sqrt();
            let each = column(c).enumerate();
            each.map(|(r, x)| f64::from(dy[r * channels + c]) * apply((x - mean) * scale)).sum::<f64>()
        };
        (0..channels).map(of_channel).sum()
    }

    const EPSILON: f64 = 1e-3;

    #[test]
    fn batch_norm_gradient_agrees_with_finite_differences() {
        for (channels, activation) in
            [(5, Activation::Linear), (41, Activation::Linear), (5, Activation::Silu), (41, Activation::Silu)]
        {
            let rows = 9;
            let (x, dy) = (noise(rows * channels, 1), noise(rows * channels, 2));
            let gamma: Vec<f32> = noise(channels, 3).iter().map(|gamma| gamma + 1.0).collect();
            let (mut sum, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
            channel_sums(channels, &x, &vec![0.0; channels], &mut sum, &mut squares);
            let mean: Vec<f32> = sum.iter().map(|s| (s / rows as f64) as f32).collect();
            let variance = |c: usize| squares[c] / rows as f64 - (sum[c] / rows as f64).powi(2) + EPSILON;
            let scale: Vec<f32> =
                (0..channels).map(|c| gamma[c] * variance(c).sqrt().recip() as f32).collect();
            let shift: Vec<f32> = (0..channels).map(|c| -mean[c] * scale[c]).collect();
            let norm = Normalization { scale: &scale, shift: &shift, mean: &mean, activation };
            let (mut sum, mut products) = (vec![0.0; channels], vec![0.0; channels]);
            batch_norm_backward_sums(channels, &x, &dy, norm, &mut sum, &mut products);
            let scaled = |c: usize, value: f64| scale[c] * (value / rows as f64) as f32;
            let offset: Vec<f32> = (0..channels).map(|c| scaled(c, sum[c])).collect();
            let factor: Vec<f32> = (0..channels).map(|c| scaled(c, products[c] / variance(c))).collect();
            let mut dx = vec![f32::NAN; x.len()];
            let overwrite = Accumulate::Overwrite;
            batch_norm_backward_input(channels, &x, &dy, norm, &offset, &factor, &mut dx, overwrite);
            assert_gradient(&x, &dx, 3e-3, |x| objective(channels, x, &gamma, &dy, activation));
            let mut added = vec![1.0; x.len()];
            batch_norm_backward_input(channels, &x, &dy, norm, &offset, &factor, &mut added, Accumulate::Add);
            assert!(added.iter().zip(&dx).all(|(added, dx)| *added == 1.0 + dx));
            let of_gamma = |c: usize| (products[c] * variance(c).sqrt().recip()) as f32;
            let dgamma: Vec<f32> = (0..channels).map(of_gamma).collect();
            assert_gradient(&gamma, &dgamma, 1e-2, |gamma| objective(channels, &x, gamma, &dy, activation));
        }
    }
}
