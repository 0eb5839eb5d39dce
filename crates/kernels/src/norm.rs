//! Normalisation by statistics of the channels: the sums that statistics are made from, the scaling, and the gradient.
//!
//! Sums run over pieces of a fixed number of rows in `f32` and add the pieces in `f64`, in order: one result always.

use crate::activation::{Activation, for_known_variant};
use crate::dispatch::vectorized;
use crate::elementwise::add_scaled_channels;

/// Channels that are summed side by side, and rows that make one piece.
const COLUMNS: usize = 64;
const ROWS: usize = 16;

vectorized! {
    /// `sum += Σ (x - shift)` and `sum_squares += Σ (x - shift)²` over the rows. With a shift near the mean, the variance
    /// `sum_squares / n - (sum / n)²` keeps its digits.
    ///
    /// * `x`: `[rows, channels]`
    /// * `shift`, `sum`, `sum_squares`: `[channels]`
    pub fn channel_sums(channels: usize, x: &[f32], shift: &[f32], sum: &mut [f64], sum_squares: &mut [f64]) {
        check(channels, x, &[shift.len(), sum.len(), sum_squares.len()]);
        for piece in x.chunks(channels * ROWS) {
            for first in (0..channels).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(channels);
                let (mut sums, mut squares) = ([0.0f32; COLUMNS], [0.0f32; COLUMNS]);
                for x in piece.chunks_exact(channels) {
                    let each = sums.iter_mut().zip(&mut squares).zip(&x[first..end]).zip(&shift[first..end]);
                    for (((sum, square), &x), &shift) in each {
                        let d = x - shift;
                        *sum += d;
                        *square += d * d;
                    }
                }
                for (total, sum) in sum[first..end].iter_mut().zip(sums) {
                    *total += f64::from(sum);
                }
                for (total, square) in sum_squares[first..end].iter_mut().zip(squares) {
                    *total += f64::from(square);
                }
            }
        }
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
                for (((y, &x), &scale), &shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = f.apply(x * scale + shift);
                }
            }
        });
    }
}

/// The gradient of [`scale_shift`] without activation, for its input: `dx += dy * scale`.
pub fn scale_shift_backward_input(channels: usize, dy: &[f32], scale: &[f32], dx: &mut [f32]) {
    add_scaled_channels(channels, dy, scale, dx);
}

vectorized! {
    /// `sum_dy += Σ dy` and `sum_dy_xhat += Σ dy * (x - mean) * inv_std` over the rows: the gradients of `beta` and
    /// `gamma`, and what the input's gradient is made from.
    ///
    /// * `x`, `dy`: `[rows, channels]`
    /// * the others: `[channels]`
    pub fn batch_norm_backward_sums(
        channels: usize, x: &[f32], dy: &[f32], mean: &[f32], inv_std: &[f32], sum_dy: &mut [f64],
        sum_dy_xhat: &mut [f64],
    ) {
        check(channels, x, &[mean.len(), inv_std.len(), sum_dy.len(), sum_dy_xhat.len()]);
        assert_eq!(x.len(), dy.len(), "x and dy have one length");
        for (x, dy) in x.chunks(channels * ROWS).zip(dy.chunks(channels * ROWS)) {
            for first in (0..channels).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(channels);
                let (mut sums, mut products) = ([0.0f32; COLUMNS], [0.0f32; COLUMNS]);
                for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
                    let inputs = x[first..end].iter().zip(&dy[first..end]).zip(&mean[first..end]);
                    for ((sum, product), ((&x, &dy), &mean)) in sums.iter_mut().zip(&mut products).zip(inputs) {
                        *sum += dy;
                        *product += dy * (x - mean);
                    }
                }
                for (total, sum) in sum_dy[first..end].iter_mut().zip(sums) {
                    *total += f64::from(sum);
                }
                let scaled = products.iter().zip(&inv_std[first..end]);
                for (total, (&product, &inv_std)) in sum_dy_xhat[first..end].iter_mut().zip(scaled) {
                    *total += f64::from(product) * f64::from(inv_std);
                }
            }
        }
    }
}

vectorized! {
    /// `dx += gamma * inv_std * (dy - mean_dy - x̂ * mean_dy_xhat)` with `x̂ = (x - mean) * inv_std`.
    ///
    /// * `x`, `dy`, `dx`: `[rows, channels]`
    /// * the others: `[channels]`; `mean_dy` and `mean_dy_xhat` are the sums of [`batch_norm_backward_sums`] divided by
    ///   the number of rows that the statistics were taken over
    pub fn batch_norm_backward_input(
        channels: usize, x: &[f32], dy: &[f32], mean: &[f32], inv_std: &[f32], gamma: &[f32], mean_dy: &[f32],
        mean_dy_xhat: &[f32], dx: &mut [f32],
    ) {
        check(channels, x, &[mean.len(), inv_std.len(), gamma.len(), mean_dy.len(), mean_dy_xhat.len()]);
        assert!(x.len() == dy.len() && x.len() == dx.len(), "x, dy and dx have one length");
        for ((x, dy), dx) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels)) {
            for c in 0..channels {
                let x_hat = (x[c] - mean[c]) * inv_std[c];
                dx[c] += gamma[c] * inv_std[c] * (dy[c] - mean_dy[c] - x_hat * mean_dy_xhat[c]);
            }
        }
    }
}

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
                expected[3][c] += f64::from(dy[i]) * d * f64::from(inv_std[c]);
            }
            let [sum, squares, sum_dy, sum_dy_xhat] = &mut totals;
            channel_sums(channels, &x, &shift, sum, squares);
            batch_norm_backward_sums(channels, &x, &dy, &shift, &inv_std, sum_dy, sum_dy_xhat);
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

    /// `Σ dy (gamma x̂ + beta)` in f64, the statistics taken from `x`.
    fn batch_norm_objective(channels: usize, x: &[f32], gamma: &[f32], dy: &[f32], epsilon: f64) -> f64 {
        let rows = x.len() / channels;
        let column = |c: usize| (0..rows).map(move |r| f64::from(x[r * channels + c]));
        (0..channels)
            .map(|c| {
                let mean = column(c).sum::<f64>() / rows as f64;
                let variance = column(c).map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
                let each = column(c).enumerate().map(|(r, x)| f64::from(dy[r * channels + c]) * (x - mean));
                each.sum::<f64>() * f64::from(gamma[c]) / (variance + epsilon).sqrt()
            })
            .sum()
    }

    #[test]
    fn batch_norm_gradient_agrees_with_finite_differences() {
        let (rows, channels, epsilon) = (9, 5, 1e-3);
        let (x, dy, gamma) = (noise(45, 1), noise(45, 2), noise(channels, 3));
        let (mut sum, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
        channel_sums(channels, &x, &vec![0.0; channels], &mut sum, &mut squares);
        let mean: Vec<f32> = sum.iter().map(|s| (s / rows as f64) as f32).collect();
        let inv_std: Vec<f32> = (0..channels)
            .map(|c| {
                (squares[c] / rows as f64 - (sum[c] / rows as f64).powi(2) + epsilon).sqrt().recip() as f32
            })
            .collect();
        let (mut sum_dy, mut sum_dy_xhat) = (vec![0.0; channels], vec![0.0; channels]);
        batch_norm_backward_sums(channels, &x, &dy, &mean, &inv_std, &mut sum_dy, &mut sum_dy_xhat);
        let means = |sums: &[f64]| sums.iter().map(|s| (s / rows as f64) as f32).collect::<Vec<_>>();
        let mut dx = vec![0.0; x.len()];
        let (mean_dy, mean_dy_xhat) = (means(&sum_dy), means(&sum_dy_xhat));
        batch_norm_backward_input(
            channels,
            &x,
            &dy,
            &mean,
            &inv_std,
            &gamma,
            &mean_dy,
            &mean_dy_xhat,
            &mut dx,
        );
        assert_gradient(&x, &dx, 1e-2, |x| batch_norm_objective(channels, x, &gamma, &dy, epsilon));
        let dgamma: Vec<f32> = sum_dy_xhat.iter().map(|&s| s as f32).collect();
        assert_gradient(&gamma, &dgamma, 0.1, |gamma| {
            batch_norm_objective(channels, &x, gamma, &dy, epsilon)
        });
    }
}
