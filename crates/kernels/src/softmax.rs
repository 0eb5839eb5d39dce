//! Softmax over rows.

use crate::dispatch::vectorized;
use crate::exponential::exp;

vectorized! {
    /// `y = e^(x - max x) / Σ e^(x - max x)`, row by row.
    ///
    /// * `x`, `y`: `[rows, n]`
    pub fn softmax(n: usize, x: &[f32], y: &mut [f32]) {
        assert!(x.len() == y.len() && n > 0 && x.len().is_multiple_of(n), "x and y are whole rows of n");
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let max = x.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
            for (y, &x) in y.iter_mut().zip(x) {
                *y = exp(x - max);
            }
            let sum: f64 = y.iter().map(|&y| f64::from(y)).sum();
            let factor = (1.0 / sum) as f32;
            for y in y.iter_mut() {
                *y *= factor;
            }
        }
    }
}

vectorized! {
    /// `dx += y * (dy - Σ dy y)`, row by row; `y` is what [`softmax`] gave.
    ///
    /// * `y`, `dy`, `dx`: `[rows, n]`
    pub fn softmax_backward(n: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert!(y.len() == dy.len() && y.len() == dx.len(), "y, dy and dx have one length");
        assert!(n > 0 && y.len().is_multiple_of(n), "y is whole rows of n");
        for ((y, dy), dx) in y.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)) {
            let inner: f64 = y.iter().zip(dy).map(|(&y, &dy)| f64::from(y) * f64::from(dy)).sum();
            let inner = inner as f32;
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx += y * (dy - inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_gradient, dot, noise};

    #[test]
    fn rows_agree_with_f64_and_sum_to_one() {
        let x: Vec<f32> = noise(7 * 33, 1).iter().map(|x| x * 30.0).collect();
        let mut y = vec![0.0; x.len()];
        softmax(33, &x, &mut y);
        for (x, y) in x.chunks(33).zip(y.chunks(33)) {
            let sum: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
            for (&x, &y) in x.iter().zip(y) {
                assert!((f64::from(y) - f64::from(x).exp() / sum).abs() < 3e-7);
            }
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut y = [0.0; 3];
        softmax(3, &[1000.0, 1000.0, -1000.0], &mut y);
        assert_eq!(y, [0.5, 0.5, 0.0]);
        softmax(3, &[f32::NAN, 0.0, 1.0], &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let (x, dy) = (noise(15, 2), noise(15, 3));
        let mut y = vec![0.0; 15];
        softmax(5, &x, &mut y);
        let mut dx = vec![0.0; 15];
        softmax_backward(5, &y, &dy, &mut dx);
        assert_gradient(&x, &dx, 1e-2, |x| {
            let mut y = vec![0.0; 15];
            softmax(5, x, &mut y);
            dot(&y, &dy)
        });
    }
}
