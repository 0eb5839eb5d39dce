//! Pooling: the maximum or the mean of a window, or of the whole image.

use crate::dispatch::vectorized;
use crate::element::Element;
use crate::elementwise::{add_assign, sum_channels};
use crate::window::Window;

/// The largest value under the window; padding never wins.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[out_height, out_width, channels]`
pub fn max_pool<E: Element>(window: &Window, x: &[E], y: &mut [E]) {
    check(window, x, y);
    y.fill(E::LOWEST);
    each_tap(window, |at, out| take_larger(&x[at..at + window.channels], &mut y[out..out + window.channels]));
}

/// Where the maxima came from: of equal values the first.
///
/// * `x`, `y`: as [`max_pool`] had and made them
/// * `argmax`: as `y`; the winner's index in `x`
pub fn max_pool_argmax(window: &Window, x: &[f32], y: &[f32], argmax: &mut [u32]) {
    assert_eq!(y.len(), argmax.len(), "y and argmax have one length");
    argmax.fill(u32::MAX);
    each_tap(window, |at, out| {
        let out = out..out + window.channels;
        note_winner(at as u32, &x[at..at + window.channels], &y[out.clone()], &mut argmax[out]);
    });
}

/// Calls `work(index in x, index in y)` for every real cell under every window.
fn each_tap(window: &Window, mut work: impl FnMut(usize, usize)) {
    let mut out = 0;
    for oy in 0..window.out_height() {
        for ox in 0..window.out_width() {
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    work(
                        (window.input_y(oy, ky) * window.width + window.input_x(ox, kx)) * window.channels,
                        out,
                    );
                }
            }
            out += window.channels;
        }
    }
}

vectorized! {
    /// Where `x` is larger than `y`, or NaN: `y = x`.
    fn take_larger<E: Element>(x: &[E], y: &mut [E]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = if x.value() > y.value() || x.value().is_nan() { *x } else { *y };
        }
    }
}

vectorized! {
    /// Where nothing is noted yet and `x` is the maximum `y` (or NaN): `argmax = at + c`.
    fn note_winner(at: u32, x: &[f32], y: &[f32], argmax: &mut [u32]) {
        let (y, argmax) = (&y[..x.len()], &mut argmax[..x.len()]);
        for c in 0..x.len() {
            let wins = argmax[c] == u32::MAX && (x[c] == y[c] || x[c].is_nan());
            argmax[c] = if wins { at + c as u32 } else { argmax[c] };
        }
    }
}

/// The gradient of [`max_pool`] and [`global_max_pool`]: `dx[argmax] += dy`.
pub fn max_pool_backward(argmax: &[u32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(argmax.len(), dy.len(), "argmax and dy have one length");
    for (&at, dy) in argmax.iter().zip(dy) {
        dx[at as usize] += dy;
    }
}

/// The mean of the real cells under the window; padding is not counted.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[out_height, out_width, channels]`
pub fn average_pool(window: &Window, x: &[f32], y: &mut [f32]) {
    check(window, x, y);
    let channels = window.channels;
    let mut out = y.chunks_exact_mut(channels);
    for oy in 0..window.out_height() {
        for (ox, y) in (0..window.out_width()).zip(&mut out) {
            y.fill(0.0);
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    let at = (window.input_y(oy, ky) * window.width + window.input_x(ox, kx)) * channels;
                    add_assign(y, &x[at..at + channels]);
                }
            }
            let factor = 1.0 / real_cells(window, oy, ox);
            for y in y {
                *y *= factor;
            }
        }
    }
}

/// The gradient of [`average_pool`]: each cell's share of `dy` is added to `dx`.
pub fn average_pool_backward(window: &Window, dy: &[f32], dx: &mut [f32]) {
    check(window, dx, dy);
    let channels = window.channels;
    let mut out = dy.chunks_exact(channels);
    for oy in 0..window.out_height() {
        for (ox, dy) in (0..window.out_width()).zip(&mut out) {
            let factor = 1.0 / real_cells(window, oy, ox);
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    let at = (window.input_y(oy, ky) * window.width + window.input_x(ox, kx)) * channels;
                    add_scaled(factor, dy, &mut dx[at..at + channels]);
                }
            }
        }
    }
}

vectorized! {
    fn add_scaled(factor: f32, x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x * factor;
        }
    }
}

fn real_cells(window: &Window, oy: usize, ox: usize) -> f32 {
    let cells = window.taps_h(oy).len() * window.taps_w(ox).len();
    assert!(cells > 0, "every window lies on some real cell");
    cells as f32
}

fn check<E>(window: &Window, x: &[E], y: &[E]) {
    assert_eq!(x.len(), window.input_len(), "x has the window's input shape");
    assert_eq!(y.len(), window.out_pixels() * window.channels, "y has the window's output shape");
}

/// The mean over all pixels.
///
/// * `x`: `[pixels, channels]`
/// * `y`: `[channels]`
pub fn global_average_pool(pixels: usize, channels: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), pixels * channels, "x is [pixels, channels]");
    y.fill(0.0);
    sum_channels(channels, x, y);
    for y in y {
        *y /= pixels as f32;
    }
}

/// The gradient of [`global_average_pool`]: `dx += dy / pixels`.
pub fn global_average_pool_backward(pixels: usize, channels: usize, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dx.len(), pixels * channels, "dx is [pixels, channels]");
    assert_eq!(dy.len(), channels, "dy has one number a channel");
    for dx in dx.chunks_exact_mut(channels) {
        add_scaled(1.0 / pixels as f32, dy, dx);
    }
}

/// The largest value of each channel.
///
/// * `x`: `[pixels, channels]`
/// * `y`: `[channels]`
pub fn global_max_pool(pixels: usize, channels: usize, x: &[f32], y: &mut [f32]) {
    assert!(pixels > 0 && x.len() == pixels * channels, "x is [pixels, channels], and not empty");
    assert_eq!(y.len(), channels, "y has one number a channel");
    y.fill(f32::NEG_INFINITY);
    x.chunks_exact(channels).for_each(|x| take_larger(x, y));
}

/// Where the maxima of [`global_max_pool`] came from: of equal values the first.
pub fn global_max_pool_argmax(channels: usize, x: &[f32], y: &[f32], argmax: &mut [u32]) {
    assert!(y.len() == channels && argmax.len() == channels, "y and argmax have one number a channel");
    argmax.fill(u32::MAX);
    x.chunks_exact(channels)
        .enumerate()
        .for_each(|(pixel, x)| note_winner((pixel * channels) as u32, x, y, argmax));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_close, assert_gradient, dot, noise};
    use crate::window::tests::square;
    use proptest::prelude::*;

    #[test]
    fn padding_never_wins_and_the_first_of_equals_does() {
        let window = square(2, 1, 3, 1, 1).with_same_padding();
        let (mut y, mut argmax) = ([0.0; 4], [9; 4]);
        max_pool(&window, &[-1.0, -1.0, -2.0, -3.0], &mut y);
        max_pool_argmax(&window, &[-1.0, -1.0, -2.0, -3.0], &y, &mut argmax);
        assert_eq!((y, argmax), ([-1.0; 4], [0; 4]));
        let mut dx = [1.0; 4];
        max_pool_backward(&argmax, &[1.0, 2.0, 3.0, 4.0], &mut dx);
        assert_eq!(dx, [11.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn means_count_real_cells_only() {
        let window = square(2, 1, 2, 1, 1).with_same_padding();
        let mut y = [0.0; 4];
        average_pool(&window, &[1.0, 2.0, 3.0, 6.0], &mut y);
        assert_eq!(y, [3.0, 4.0, 4.5, 6.0]);
    }

    #[test]
    fn nan_is_not_hidden() {
        let mut y = [0.0; 1];
        global_max_pool(3, 1, &[1.0, f32::NAN, 2.0], &mut y);
        assert!(y[0].is_nan());
    }

    proptest! {
        #[test]
        fn pools_agree_with_a_search(
            size in 3usize..9, channels in 1usize..20, kernel in 1usize..4, stride in 1usize..3, seed in any::<u64>(),
        ) {
            let window = square(size, channels, kernel, stride, 1).with_same_padding();
            let x = noise(window.input_len(), seed);
            let len = window.out_pixels() * channels;
            let (mut largest, mut mean, mut argmax) = (vec![0.0; len], vec![0.0; len], vec![0; len]);
            max_pool(&window, &x, &mut largest);
            max_pool_argmax(&window, &x, &largest, &mut argmax);
            average_pool(&window, &x, &mut mean);
            for i in 0..len {
                let (pixel, c) = (i / channels, i % channels);
                let top = (pixel / window.out_width() * stride) as isize - window.pad_top as isize;
                let left = (pixel % window.out_width() * stride) as isize - window.pad_left as isize;
                let inside = |first: isize| (first.max(0) as usize)..((first + kernel as isize) as usize).min(size);
                let cells: Vec<f32> = inside(top)
                    .flat_map(|y| inside(left).map(move |x| (y * size + x) * channels + c))
                    .map(|at| x[at])
                    .collect();
                prop_assert_eq!(largest[i], cells.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                prop_assert_eq!(x[argmax[i] as usize], largest[i]);
                prop_assert!((mean[i] - cells.iter().sum::<f32>() / cells.len() as f32).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let window = square(5, 3, 3, 2, 1).with_same_padding();
        let (x, dy) = (noise(75, 1), noise(27, 2));
        let mut dx = vec![0.0; 75];
        average_pool_backward(&window, &dy, &mut dx);
        assert_gradient(&x, &dx, 0.1, |x| {
            let mut y = vec![0.0; 27];
            average_pool(&window, x, &mut y);
            dot(&y, &dy)
        });
        let (mut y, mut argmax) = (vec![0.0; 27], vec![0; 27]);
        max_pool(&window, &x, &mut y);
        max_pool_argmax(&window, &x, &y, &mut argmax);
        let mut dx = vec![0.0; 75];
        max_pool_backward(&argmax, &dy, &mut dx);
        assert_gradient(&x, &dx, 1e-3, |x| {
            let mut y = vec![0.0; 27];
            max_pool(&window, x, &mut y);
            dot(&y, &dy)
        });
        let mut dx = vec![0.0; 75];
        global_average_pool_backward(25, 3, &dy[..3], &mut dx);
        assert_gradient(&x, &dx, 0.1, |x| {
            let mut y = vec![0.0; 3];
            global_average_pool(25, 3, x, &mut y);
            dot(&y, &dy[..3])
        });
        let (mut y, mut argmax) = (vec![0.0; 3], vec![0; 3]);
        global_max_pool(25, 3, &x, &mut y);
        global_max_pool_argmax(3, &x, &y, &mut argmax);
        (0..3).for_each(|c| assert_eq!(x[argmax[c] as usize], y[c]));
        let expected: Vec<f32> =
            (0..3).map(|c| x.iter().skip(c).step_by(3).copied().fold(-9.0, f32::max)).collect();
        assert_close(&y, &expected, 0.0);
    }
}
