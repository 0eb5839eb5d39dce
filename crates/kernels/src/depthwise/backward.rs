//! The gradients of depthwise convolution.

use super::DepthwiseShape;
use super::tile::{Line, Lines};
use crate::dispatch::vectorized;
use crate::element::Stored;
use crate::matmul::Accumulate;
use crate::window::Window;
use std::ops::Range;

/// `dx = dL/dx` or `dx += dL/dx`; shapes as in [`super::depthwise`].
pub fn depthwise_backward_input(
    shape: &DepthwiseShape,
    weights: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    backward_input_on(f32::lines(), shape, weights, dy, dx, accumulate);
}

/// With stride 1 the gradient is the depthwise convolution of `dy` with the window turned by 180°.
pub(super) fn backward_input_on(
    lines: &Lines,
    shape: &DepthwiseShape,
    weights: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
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
                add: accumulate == Accumulate::Add,
                bounds: (f32::NEG_INFINITY, f32::INFINITY),
                pairs: None,
            };
            line.run(tile, dx);
        }
    } else {
        if accumulate == Accumulate::Overwrite {
            dx.fill(0.0);
        }
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

/// `dw += dL/dw` of one image; shapes as in [`super::depthwise`].
pub fn depthwise_backward_weights(shape: &DepthwiseShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    backward_weights_on(f32::lines(), shape, x, dy, dw);
}

pub(super) fn backward_weights_on(
    lines: &Lines,
    shape: &DepthwiseShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    shape.check(x, dw, dy);
    let (window, out_channels) = (&shape.window, shape.out_channels());
    let (x_line, dy_line) = (window.width * window.channels, window.out_width() * out_channels);
    let dw_line = window.kernel_w * out_channels;
    // The output columns all of whose taps lie on the image.
    let whole = (0..window.kernel_w)
        .map(|kx| columns_of_tap(window, kx))
        .reduce(|a, b| a.start.max(b.start)..a.end.min(b.end))
        .filter(|whole| whole.start < whole.end)
        .unwrap_or(0..0);
    for oy in 0..window.out_height() {
        let dy = &dy[oy * dy_line..(oy + 1) * dy_line];
        for ky in window.taps_h(oy) {
            let y = window.input_y(oy, ky);
            let x = &x[y * x_line..(y + 1) * x_line];
            let dw = &mut dw[ky * dw_line..(ky + 1) * dw_line];
            let is_done = shape.multiplier == 1 && lines.add_row_gradient(window, x, dy, whole.clone(), dw);
            add_line(shape, x, dy, if is_done { whole.clone() } else { 0..0 }, dw);
        }
    }
}

/// The output columns for which window column `kx` lies on the image.
fn columns_of_tap(window: &Window, kx: usize) -> Range<usize> {
    let tap = kx * window.dilation_w;
    let first = window.pad_left.saturating_sub(tap).div_ceil(window.stride_w);
    let end = (window.pad_left + window.width).saturating_sub(tap).div_ceil(window.stride_w);
    first..end.min(window.out_width()).max(first)
}

vectorized! {
    /// Adds to `dw`, one row of the window, what one line of output pixels gives, without the pixels `except`.
    fn add_line(shape: &DepthwiseShape, x: &[f32], dy: &[f32], except: Range<usize>, dw: &mut [f32]) {
        let (window, out_channels) = (&shape.window, shape.out_channels());
        for kx in 0..window.kernel_w {
            let dw = &mut dw[kx * out_channels..(kx + 1) * out_channels];
            for ox in columns_of_tap(window, kx).filter(|ox| !except.contains(ox)) {
                let x = &x[window.input_x(ox, kx) * window.channels..][..window.channels];
                let dy = &dy[ox * out_channels..(ox + 1) * out_channels];
                if shape.multiplier == 1 {
                    for ((dw, &dy), &x) in dw.iter_mut().zip(dy).zip(x) {
                        *dw += dy * x;
                    }
                } else {
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
