//! Sums, products and the like, element by element; and the same between an image and one number a channel.

use crate::dispatch::vectorized;

/// Channels that are summed side by side, and rows that are summed in f32 before the sum is added up.
const COLUMNS: usize = 64;
const ROWS: usize = 32;

macro_rules! binary {
    ($(#[$meta:meta])* $name:ident, |$a:ident, $b:ident| $value:expr) => {
        vectorized! {
            $(#[$meta])*
            pub fn $name(a: &[f32], b: &[f32], y: &mut [f32]) {
                assert!(a.len() == b.len() && a.len() == y.len(), "a, b and y have one length");
                for ((y, &$a), &$b) in y.iter_mut().zip(a).zip(b) {
                    *y = $value;
                }
            }
        }
    };
}

binary!(
    /// `y = a + b`.
    add, |a, b| a + b
);
binary!(
    /// `y = a - b`.
    subtract, |a, b| a - b
);
binary!(
    /// `y = a * b`.
    multiply, |a, b| a * b
);
binary!(
    /// `y = max(a, b)`; NaN where either is NaN.
    maximum, |a, b| if a > b || a.is_nan() { a } else { b }
);
binary!(
    /// `y = min(a, b)`; NaN where either is NaN.
    minimum, |a, b| if a < b || a.is_nan() { a } else { b }
);

vectorized! {
    /// `y += x`.
    pub fn add_assign(y: &mut [f32], x: &[f32]) {
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

vectorized! {
    /// `y *= factor`.
    pub fn scale_assign(y: &mut [f32], factor: f32) {
        for y in y.iter_mut() {
            *y *= factor;
        }
    }
}

vectorized! {
    /// `y += a * b`.
    pub fn multiply_add_assign(y: &mut [f32], a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.len() == y.len(), "a, b and y have one length");
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y += a * b;
        }
    }
}

vectorized! {
    /// `y = x * s`, one factor a channel.
    ///
    /// * `x`, `y`: `[pixels, channels]`
    /// * `s`: `[channels]`
    pub fn multiply_channels(channels: usize, x: &[f32], s: &[f32], y: &mut [f32]) {
        check_channels(channels, x, s);
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for ((y, &x), &s) in y.iter_mut().zip(x).zip(s) {
                *y = x * s;
            }
        }
    }
}

/// The gradients of [`multiply_channels`]: `dx += dy * s` and `ds += Σ dy * x` over the pixels.
pub fn multiply_channels_backward(
    channels: usize,
    x: &[f32],
    s: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    ds: Option<&mut [f32]>,
) {
    check_channels(channels, x, s);
    assert_eq!(x.len(), dy.len(), "x and dy have one length");
    if let Some(dx) = dx {
        add_scaled_channels(channels, dy, s, dx);
    }
    if let Some(ds) = ds {
        assert_eq!(ds.len(), channels, "ds has one number a channel");
        add_column_products(channels, x, dy, ds);
    }
}

vectorized! {
    /// `y += x * s`, one factor a channel.
    pub(crate) fn add_scaled_channels(channels: usize, x: &[f32], s: &[f32], y: &mut [f32]) {
        check_channels(channels, x, s);
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for ((y, &x), &s) in y.iter_mut().zip(x).zip(s) {
                *y += x * s;
            }
        }
    }
}

vectorized! {
    /// `y = x + s`, one summand a channel.
    ///
    /// * `x`, `y`: `[pixels, channels]`
    /// * `s`: `[channels]`
    pub fn add_channels(channels: usize, x: &[f32], s: &[f32], y: &mut [f32]) {
        check_channels(channels, x, s);
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for ((y, &x), &s) in y.iter_mut().zip(x).zip(s) {
                *y = x + s;
            }
        }
    }
}

vectorized! {
    /// `y += Σ x` over the pixels.
    ///
    /// * `x`: `[pixels, channels]`
    /// * `y`: `[channels]`
    pub fn sum_channels(channels: usize, x: &[f32], y: &mut [f32]) {
        check_channels(channels, x, y);
        for rows in x.chunks(channels * ROWS) {
            for first in (0..channels).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(channels);
                let mut sums = [0.0; COLUMNS];
                for x in rows.chunks_exact(channels) {
                    for (sum, &x) in sums.iter_mut().zip(&x[first..end]) {
                        *sum += x;
                    }
                }
                for (y, sum) in y[first..end].iter_mut().zip(sums) {
                    *y += sum;
                }
            }
        }
    }
}

vectorized! {
    /// `y += Σ a * b` over the pixels.
    fn add_column_products(channels: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
        for (a, b) in a.chunks(channels * ROWS).zip(b.chunks(channels * ROWS)) {
            for first in (0..channels).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(channels);
                let mut sums = [0.0; COLUMNS];
                for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
                    for ((sum, &a), &b) in sums.iter_mut().zip(&a[first..end]).zip(&b[first..end]) {
                        *sum += a * b;
                    }
                }
                for (y, sum) in y[first..end].iter_mut().zip(sums) {
                    *y += sum;
                }
            }
        }
    }
}

fn check_channels(channels: usize, x: &[f32], s: &[f32]) {
    assert!(channels > 0 && x.len().is_multiple_of(channels), "x is whole pixels");
    assert_eq!(s.len(), channels, "there is one number a channel");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_close, assert_gradient, dot, noise};
    use proptest::prelude::*;

    #[test]
    fn binaries_do_what_they_say() {
        let (a, b) = ([1.0, -2.0, 3.0], [4.0, -5.0, 0.5]);
        let mut y = [0.0; 3];
        add(&a, &b, &mut y);
        assert_eq!(y, [5.0, -7.0, 3.5]);
        subtract(&a, &b, &mut y);
        assert_eq!(y, [-3.0, 3.0, 2.5]);
        multiply(&a, &b, &mut y);
        assert_eq!(y, [4.0, 10.0, 1.5]);
        maximum(&a, &b, &mut y);
        assert_eq!(y, [4.0, -2.0, 3.0]);
        minimum(&a, &b, &mut y);
        assert_eq!(y, [1.0, -5.0, 0.5]);
        add_assign(&mut y, &a);
        assert_eq!(y, [2.0, -7.0, 3.5]);
        scale_assign(&mut y, 2.0);
        assert_eq!(y, [4.0, -14.0, 7.0]);
        multiply_add_assign(&mut y, &a, &b);
        assert_eq!(y, [8.0, -4.0, 8.5]);
    }

    #[test]
    fn extremes_do_not_hide_nan() {
        let mut y = [0.0; 2];
        maximum(&[f32::NAN, 1.0], &[1.0, f32::NAN], &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        minimum(&[f32::NAN, 1.0], &[1.0, f32::NAN], &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
    }

    proptest! {
        #[test]
        fn channel_kernels_agree_with_one_loop(pixels in 0usize..90, channels in 1usize..150, seed in any::<u64>()) {
            let (x, dy) = (noise(pixels * channels, seed), noise(pixels * channels, seed ^ 1));
            let s = noise(channels, seed ^ 2);
            let mut y = vec![0.0; x.len()];
            multiply_channels(channels, &x, &s, &mut y);
            prop_assert!((0..x.len()).all(|i| y[i] == x[i] * s[i % channels]));
            add_channels(channels, &x, &s, &mut y);
            prop_assert!((0..x.len()).all(|i| y[i] == x[i] + s[i % channels]));

            let (mut sums, mut products) = (s.clone(), s.clone());
            for i in 0..x.len() {
                sums[i % channels] += x[i];
                products[i % channels] += x[i] * dy[i];
            }
            let mut y = s.clone();
            sum_channels(channels, &x, &mut y);
            assert_close(&y, &sums, pixels as f32);
            let mut ds = s.clone();
            let mut dx = vec![1.0; x.len()];
            multiply_channels_backward(channels, &x, &s, &dy, Some(&mut dx), Some(&mut ds));
            assert_close(&ds, &products, pixels as f32);
            let expected: Vec<f32> = (0..x.len()).map(|i| 1.0 + dy[i] * s[i % channels]).collect();
            assert_close(&dx, &expected, 1.0);
        }
    }

    #[test]
    fn multiply_channels_gradient_agrees_with_finite_differences() {
        let (x, s, dy) = (noise(12, 1), noise(3, 2), noise(12, 3));
        let objective = |x: &[f32], s: &[f32]| {
            let mut y = vec![0.0; 12];
            multiply_channels(3, x, s, &mut y);
            dot(&y, &dy)
        };
        let (mut dx, mut ds) = (vec![0.0; 12], vec![0.0; 3]);
        multiply_channels_backward(3, &x, &s, &dy, Some(&mut dx), Some(&mut ds));
        assert_gradient(&x, &dx, 0.1, |x| objective(x, &s));
        assert_gradient(&s, &ds, 0.1, |s| objective(&x, s));
    }
}
