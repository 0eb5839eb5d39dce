//! The gradients of depthwise convolution.

use super::DepthwiseShape;
use super::tile::{Line, Lines};
use crate::dispatch::vectorized;
use crate::window::Window;

/// `dx += dL/dx`; shapes as in [`super::depthwise`].
pub fn depthwise_backward_input(shape: &DepthwiseShape, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
    backward_input_on(Lines::detected(), shape, weights, dy, dx);
}

/// With stride 1 the gradient is the depthwise convolution of `dy` with the window turned by 180°.
pub(super) fn backward_input_on(
    lines: &Lines,
    shape: &DepthwiseShape,
    weights: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    shape.check(dx, weights, dy);
    let turned = turned(shape);
    if let Some((window, tile)) = turned.as_ref().and_then(|window| Some((window, lines.of(window)?))) {
        let row = window.out_width() * window.channels;
        for (oy, dx) in dx.chunks_exact_mut(row).enumerate() {
            let line = Line {
                window,
                oy,
                x: dy,
                weights,
                turned: true,
                bias: None,
                residual: None,
                add: true,
                bounds: (f32::NEG_INFINITY, f32::INFINITY),
            };
            line.run(tile, dx);
        }
    } else {
        plain_backward_input(shape, weights, dy, dx);
    }
}

/// The window over `dy` that gives `dx`, where there is one.
fn turned(shape: &DepthwiseShape) -> Option<Window> {
    let w = &shape.window;
    if shape.multiplier != 1
        || w.stride_h != 1
        || w.stride_w != 1
        || w.out_pixels() == 0
        || w.input_len() == 0
    {
        return None;
    }
    let (reach_h, reach_w) = (w.extent_h() - 1, w.extent_w() - 1);
    Some(Window {
        height: w.out_height(),
        width: w.out_width(),
        pad_top: reach_h.checked_sub(w.pad_top)?,
        pad_bottom: reach_h.checked_sub(w.pad_bottom)?,
        pad_left: reach_w.checked_sub(w.pad_left)?,
        pad_right: reach_w.checked_sub(w.pad_right)?,
        ..*w
    })
}

vectorized! {
    fn plain_backward_input(shape: &DepthwiseShape, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (window, out_channels) = (&shape.window, shape.out_channels());
        for oy in 0..window.out_height() {
            for ox in 0..window.out_width() {
                let at = (oy * window.out_width() + ox) * out_channels;
                let dy = &dy[at..at + out_channels];
                for ky in window.taps_h(oy) {
                    for kx in window.taps_w(ox) {
                        let pixel = window.input_y(oy, ky) * window.width + window.input_x(ox, kx);
                        let dx = &mut dx[pixel * window.channels..(pixel + 1) * window.channels];
                        let tap = (ky * window.kernel_w + kx) * out_channels;
                        let weights = &weights[tap..tap + out_channels];
                        if shape.multiplier == 1 {
                            for ((dx, &dy), &w) in dx.iter_mut().zip(dy).zip(weights) {
                                *dx += dy * w;
                            }
                        } else {
                            let filters = weights.chunks_exact(shape.multiplier);
                            for ((dx, dy), w) in dx.iter_mut().zip(dy.chunks_exact(shape.multiplier)).zip(filters) {
                                *dx += dy.iter().zip(w).map(|(&dy, &w)| dy * w).sum::<f32>();
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Channels that are summed side by side.
const COLUMNS: usize = 32;

vectorized! {
    /// `dw += dL/dw` of one image; shapes as in [`super::depthwise`].
    pub fn depthwise_backward_weights(shape: &DepthwiseShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        shape.check(x, dw, dy);
        let (window, out_channels) = (&shape.window, shape.out_channels());
        let (channels, out_width) = (window.channels, window.out_width());
        for oy in 0..window.out_height() {
            let dy = &dy[oy * out_width * out_channels..(oy + 1) * out_width * out_channels];
            for ky in window.taps_h(oy) {
                let row = window.input_y(oy, ky) * window.width;
                for kx in 0..window.kernel_w {
                    let dw = &mut dw[(ky * window.kernel_w + kx) * out_channels..][..out_channels];
                    // The output columns whose tap lies on the image.
                    let first = window.pad_left.saturating_sub(kx * window.dilation_w).div_ceil(window.stride_w);
                    let end = (window.pad_left + window.width)
                        .saturating_sub(kx * window.dilation_w)
                        .div_ceil(window.stride_w)
                        .min(out_width);
                    if first >= end {
                        continue;
                    }
                    if shape.multiplier == 1 {
                        let x = &x[(row + window.input_x(first, kx)) * channels..];
                        let dy = &dy[first * channels..end * channels];
                        add_products(channels, window.stride_w, x, dy, dw);
                    } else {
                        for ox in first..end {
                            let x = &x[(row + window.input_x(ox, kx)) * channels..][..channels];
                            let dy = &dy[ox * out_channels..(ox + 1) * out_channels];
                            let filters = dw.chunks_exact_mut(shape.multiplier);
                            for ((dw, dy), &x) in filters.zip(dy.chunks_exact(shape.multiplier)).zip(x) {
                                for (dw, &dy) in dw.iter_mut().zip(dy) {
                                    *dw += dy * x;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `dw += Σ dy[pixel] * x[pixel * stride]` over the pixels of a line.
#[inline(always)]
fn add_products(channels: usize, stride: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let mut first = 0;
    while first + COLUMNS <= channels {
        let mut sums = [0.0f32; COLUMNS];
        for (dy, x) in dy.chunks_exact(channels).zip(x.chunks(stride * channels)) {
            let (dy, x) = (&dy[first..first + COLUMNS], &x[first..first + COLUMNS]);
            for i in 0..COLUMNS {
                sums[i] += dy[i] * x[i];
            }
        }
        for (dw, sum) in dw[first..first + COLUMNS].iter_mut().zip(sums) {
            *dw += sum;
        }
        first += COLUMNS;
    }
    if first < channels {
        for (dy, x) in dy.chunks_exact(channels).zip(x.chunks(stride * channels)) {
            for ((dw, &dy), &x) in dw[first..].iter_mut().zip(&dy[first..]).zip(&x[first..channels]) {
                *dw += dy * x;
            }
        }
    }
}
