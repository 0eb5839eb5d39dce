//! The gradients of depthwise convolution.

use super::DepthwiseShape;
use super::tile::Lined;
use super::tile::{Line, Lines};
use crate::dispatch::vectorized;
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
        let window = &shape.window;
        if shape.multiplier == 1 && window.kernel_h * window.kernel_w <= MAX_TAPS {
            return gather(window, weights, dy, dx, accumulate);
        }
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

/// The most taps of a window whose gradient is gathered pixel by pixel.
const MAX_TAPS: usize = 25;

vectorized! {
    /// One filter a channel, any strides: each pixel of `dx` is the sum over the few taps that read it, written once.
    fn gather(window: &Window, weights: &[f32], dy: &[f32], dx: &mut [f32], accumulate: Accumulate) {
        let (w, channels, out_width) = (window, window.channels, window.out_width());
        for iy in 0..w.height {
            for ix in 0..w.width {
                // where the output pixel and the tap's weights begin
                let (mut taps, mut count) = ([(0, 0); MAX_TAPS], 0);
                for ky in 0..w.kernel_h {
                    let Some(oy) = position(iy + w.pad_top, ky * w.dilation_h, w.stride_h, w.out_height()) else { continue };
                    for kx in 0..w.kernel_w {
                        let ox = position(ix + w.pad_left, kx * w.dilation_w, w.stride_w, out_width);
                        if let Some(ox) = ox {
                            taps[count] = ((oy * out_width + ox) * channels, (ky * w.kernel_w + kx) * channels);
                            count += 1;
                        }
                    }
                }
                let dx = &mut dx[(iy * w.width + ix) * channels..][..channels];
                let mut first = 0;
                while first + 32 <= channels {
                    gather_channels::<32>(weights, dy, &taps[..count], first, accumulate, dx);
                    first += 32;
                }
                while first + 16 <= channels {
                    gather_channels::<16>(weights, dy, &taps[..count], first, accumulate, dx);
                    first += 16;
                }
                while first < channels {
                    gather_channels::<1>(weights, dy, &taps[..count], first, accumulate, dx);
                    first += 1;
                }
            }
        }
    }
}

/// The output position whose window has the tap at `tap` on the padded position `at`.
#[inline(always)]
fn position(at: usize, tap: usize, stride: usize, positions: usize) -> Option<usize> {
    let from = at.checked_sub(tap)?;
    (from.is_multiple_of(stride) && from / stride < positions).then_some(from / stride)
}

#[inline(always)]
fn gather_channels<const L: usize>(
    weights: &[f32],
    dy: &[f32],
    taps: &[(usize, usize)],
    first: usize,
    accumulate: Accumulate,
    dx: &mut [f32],
) {
    let dx = &mut dx[first..first + L];
    let mut sums = [0.0; L];
    if accumulate == Accumulate::Add {
        sums.copy_from_slice(dx);
    }
    for &(from, tap) in taps {
        let (dy, weights) = (&dy[from + first..][..L], &weights[tap + first..][..L]);
        for l in 0..L {
            sums[l] += dy[l] * weights[l];
        }
    }
    dx.copy_from_slice(&sums);
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
