//! Resizing of images with half-pixel centres and without antialiasing, as `tf.image.resize` does.

use crate::dispatch::vectorized;

/// Each output pixel is the input pixel that its centre falls on.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[out_height, out_width, channels]`
pub fn resize_nearest(
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    x: &[f32],
    y: &mut [f32],
) {
    check([height, width, channels], x, [out_height, out_width], y);
    let mut out = y.chunks_exact_mut(channels);
    for oy in 0..out_height {
        let row = nearest(oy, height, out_height) * width;
        for (ox, y) in (0..out_width).zip(&mut out) {
            let at = (row + nearest(ox, width, out_width)) * channels;
            y.copy_from_slice(&x[at..at + channels]);
        }
    }
}

/// The gradient of [`resize_nearest`]: `dx[source of each pixel] += dy`.
pub fn resize_nearest_backward(
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    dy: &[f32],
    dx: &mut [f32],
) {
    check([height, width, channels], dx, [out_height, out_width], dy);
    let mut out = dy.chunks_exact(channels);
    for oy in 0..out_height {
        let row = nearest(oy, height, out_height) * width;
        for (ox, dy) in (0..out_width).zip(&mut out) {
            let at = (row + nearest(ox, width, out_width)) * channels;
            add_scaled(1.0, dy, &mut dx[at..at + channels]);
        }
    }
}

/// Each output pixel is interpolated between the four input pixels around its centre.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[out_height, out_width, channels]`
pub fn resize_bilinear(
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    x: &[f32],
    y: &mut [f32],
) {
    check([height, width, channels], x, [out_height, out_width], y);
    let pixel = |row: usize, column: usize| {
        let at = (row * width + column) * channels;
        &x[at..at + channels]
    };
    let mut out = y.chunks_exact_mut(channels);
    for oy in 0..out_height {
        let v = Between::new(oy, height, out_height);
        for (ox, y) in (0..out_width).zip(&mut out) {
            let h = Between::new(ox, width, out_width);
            let top = [pixel(v.lower, h.lower), pixel(v.lower, h.upper)];
            let bottom = [pixel(v.upper, h.lower), pixel(v.upper, h.upper)];
            interpolate(top, bottom, h.fraction, v.fraction, y);
        }
    }
}

/// The gradient of [`resize_bilinear`]: each pixel's `dy` is shared among its four sources.
pub fn resize_bilinear_backward(
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    dy: &[f32],
    dx: &mut [f32],
) {
    check([height, width, channels], dx, [out_height, out_width], dy);
    let mut out = dy.chunks_exact(channels);
    for oy in 0..out_height {
        let v = Between::new(oy, height, out_height);
        for (ox, dy) in (0..out_width).zip(&mut out) {
            let h = Between::new(ox, width, out_width);
            for (row, row_share) in [(v.lower, 1.0 - v.fraction), (v.upper, v.fraction)] {
                for (column, column_share) in [(h.lower, 1.0 - h.fraction), (h.upper, h.fraction)] {
                    let at = (row * width + column) * channels;
                    add_scaled(row_share * column_share, dy, &mut dx[at..at + channels]);
                }
            }
        }
    }
}

vectorized! {
    /// The arguments are `[left, right]` pixels, and how far the point lies to the right and to the bottom.
    fn interpolate(top: [&[f32]; 2], bottom: [&[f32]; 2], right: f32, down: f32, y: &mut [f32]) {
        let channels = y.len();
        let [top_left, top_right] = top.map(|x| &x[..channels]);
        let [bottom_left, bottom_right] = bottom.map(|x| &x[..channels]);
        for c in 0..channels {
            let upper = top_left[c] + (top_right[c] - top_left[c]) * right;
            let lower = bottom_left[c] + (bottom_right[c] - bottom_left[c]) * right;
            y[c] = upper + (lower - upper) * down;
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

/// The input index under the centre of output index `out`; in f32, as TensorFlow rounds.
fn nearest(out: usize, size: usize, out_size: usize) -> usize {
    let scale = size as f32 / out_size as f32;
    (((out as f32 + 0.5) * scale).floor() as usize).min(size - 1)
}

/// Two neighbours and how far the point lies from the lower to the upper one.
struct Between {
    lower: usize,
    upper: usize,
    fraction: f32,
}

impl Between {
    fn new(out: usize, size: usize, out_size: usize) -> Self {
        let scale = size as f32 / out_size as f32;
        let position = (out as f32 + 0.5) * scale - 0.5;
        let floor = position.floor();
        Self {
            lower: (floor.max(0.0) as usize).min(size - 1),
            upper: (position.ceil().max(0.0) as usize).min(size - 1),
            fraction: position - floor,
        }
    }
}

fn check([height, width, channels]: [usize; 3], x: &[f32], [out_height, out_width]: [usize; 2], y: &[f32]) {
    assert_eq!(x.len(), height * width * channels, "x is [height, width, channels]");
    assert_eq!(y.len(), out_height * out_width * channels, "y is [out_height, out_width, channels]");
    assert!(height > 0 && width > 0 && channels > 0, "the image is not empty");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_close, assert_gradient, dot, noise};

    #[test]
    fn values_are_those_of_tensorflow() {
        // tf.image.resize([[[1.], [2.], [4.]]], [1, 6] / [1, 2], method)
        let x = [1.0, 2.0, 4.0];
        let mut y = [0.0; 6];
        resize_bilinear(1, 3, 1, 1, 6, &x, &mut y);
        assert_close(&y, &[1.0, 1.25, 1.75, 2.5, 3.5, 4.0], 1.0);
        resize_nearest(1, 3, 1, 1, 6, &x, &mut y);
        assert_eq!(y, [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]);
        let mut y = [0.0; 2];
        resize_bilinear(1, 3, 1, 1, 2, &x, &mut y);
        assert_close(&y, &[1.25, 3.5], 1.0);
        resize_nearest(1, 3, 1, 1, 2, &x, &mut y);
        assert_eq!(y, [1.0, 4.0]);
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        type Resize = fn(usize, usize, usize, usize, usize, &[f32], &mut [f32]);
        let kinds: [(Resize, Resize); 2] =
            [(resize_bilinear, resize_bilinear_backward), (resize_nearest, resize_nearest_backward)];
        for (forward, backward) in kinds {
            for (out_height, out_width) in [(7, 3), (2, 9), (4, 5)] {
                let (x, dy) = (noise(40, 1), noise(out_height * out_width * 2, 2));
                let mut dx = vec![0.0; 40];
                backward(4, 5, 2, out_height, out_width, &dy, &mut dx);
                assert_gradient(&x, &dx, 0.1, |x| {
                    let mut y = vec![0.0; dy.len()];
                    forward(4, 5, 2, out_height, out_width, x, &mut y);
                    dot(&y, &dy)
                });
            }
        }
    }
}
