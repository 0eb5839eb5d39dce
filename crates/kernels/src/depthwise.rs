//! Depthwise convolution: every input channel has its own filters.
//!
//! Windows of 3x3 and 5x5 with strides 1 and 2, which networks are made of, run on a register tile: up to 8 output pixels
//! of a line at one vector of channels, where each input column is loaded once for all outputs that it reaches. Taps
//! beyond the border read from a pixel of zeros. Everything else runs as plain loops over the channels.

mod backward;
mod gradient_tile;
mod packed;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod tile;

pub use backward::{depthwise_backward_input, depthwise_backward_weights};
pub use packed::PackedDepthwise;

use crate::dispatch::vectorized;
use crate::element::{Element, activate_in_place};
use crate::epilogue::Epilogue;
use crate::window::Window;
use tile::Line;
use tile::Lined;
pub(crate) use tile::{Lines, MAX_COLUMNS, unrolled_columns};

/// A depthwise convolution. Weights are `[kernel_h, kernel_w, channels, multiplier]`; filter `m` of channel `c` makes
/// output channel `c * multiplier + m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseShape {
    /// The window over the input.
    pub window: Window,
    /// Filters of each channel.
    pub multiplier: usize,
}

impl DepthwiseShape {
    /// Channels of the output.
    pub fn out_channels(&self) -> usize {
        self.window.channels * self.multiplier
    }

    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.window.kernel_h * self.window.kernel_w * self.out_channels()
    }

    /// Elements of the output image.
    pub fn output_len(&self) -> usize {
        self.window.out_pixels() * self.out_channels()
    }

    fn check<E>(&self, x: &[E], weights: &[f32], y: &[E]) {
        assert_eq!(x.len(), self.window.input_len(), "x has the shape's input length");
        assert_eq!(weights.len(), self.weights_len(), "weights have the shape's length");
        assert_eq!(y.len(), self.output_len(), "y has the shape's output length");
    }
}

/// Elements of scratch memory that [`depthwise`] needs: none, today.
pub fn depthwise_scratch_len(_shape: &DepthwiseShape) -> usize {
    0
}

/// `y = activation(conv(x) + bias + residual)`.
///
/// * `x`: `[height, width, channels]`
/// * `weights`: `[kernel_h, kernel_w, channels, multiplier]`
/// * `y`: `[out_height, out_width, channels * multiplier]`
/// * `scratch`: at least [`depthwise_scratch_len`] elements of any content
#[allow(private_bounds, reason = "kernels are compiled for the elements of this crate alone")]
pub fn depthwise<E: Lined>(
    shape: &DepthwiseShape,
    x: &[E],
    weights: &[f32],
    y: &mut [E],
    epilogue: Epilogue<'_, E>,
    _scratch: &mut [f32],
) {
    forward_on(E::lines(), shape, x, weights, y, epilogue);
}

fn forward_on<E: Lined>(
    lines: &Lines<E>,
    shape: &DepthwiseShape,
    x: &[E],
    weights: &[f32],
    y: &mut [E],
    epilogue: Epilogue<'_, E>,
) {
    shape.check(x, weights, y);
    let Epilogue { bias, residual, activation } = epilogue;
    epilogue.check(shape.out_channels(), y.len());
    let window = &shape.window;
    let row = window.out_width() * shape.out_channels();
    let tile = if shape.multiplier == 1 { lines.of(window) } else { None };
    let (bounds, second_pass) = activation.in_passes();
    for oy in 0..window.out_height() {
        let at = oy * row;
        match tile {
            Some(tile) => {
                let line = Line {
                    window,
                    oy,
                    x,
                    weights,
                    turned: false,
                    bias,
                    residual,
                    add: false,
                    bounds,
                    pairs: None,
                };
                line.run(tile, &mut y[at..at + row]);
                if let Some(activation) = second_pass {
                    activate_in_place(activation, &mut y[at..at + row]);
                }
            }
            None => {
                plain_line(
                    shape,
                    oy,
                    x,
                    weights,
                    bias,
                    residual.map(|r| &r[at..at + row]),
                    &mut y[at..at + row],
                );
                activate_in_place(activation, &mut y[at..at + row]);
            }
        }
    }
}

/// Output channels whose sums are taken side by side.
const CHUNK: usize = 64;

vectorized! {
    /// One line of the output, for any window; `residual` is the line's.
    fn plain_line<E: Element>(
        shape: &DepthwiseShape, oy: usize, x: &[E], weights: &[f32], bias: Option<&[f32]>, residual: Option<&[E]>,
        y: &mut [E],
    ) {
        let (window, out_channels) = (&shape.window, shape.out_channels());
        if out_channels == 0 {
            return;
        }
        for (ox, y) in y.chunks_exact_mut(out_channels).enumerate() {
            for first in (0..out_channels).step_by(CHUNK) {
                let end = (first + CHUNK).min(out_channels);
                let mut sums = [0.0f32; CHUNK];
                let sums = &mut sums[..end - first];
                if let Some(bias) = bias {
                    sums.copy_from_slice(&bias[first..end]);
                }
                for ky in window.taps_h(oy) {
                    for kx in window.taps_w(ox) {
                        let pixel = window.input_y(oy, ky) * window.width + window.input_x(ox, kx);
                        let x = &x[pixel * window.channels..(pixel + 1) * window.channels];
                        let tap = (ky * window.kernel_w + kx) * out_channels;
                        let weights = &weights[tap + first..tap + end];
                        if shape.multiplier == 1 {
                            for ((sum, x), &w) in sums.iter_mut().zip(&x[first..end]).zip(weights) {
                                *sum += x.value() * w;
                            }
                        } else {
                            for (i, (sum, &w)) in sums.iter_mut().zip(weights).enumerate() {
                                *sum += x[(first + i) / shape.multiplier].value() * w;
                            }
                        }
                    }
                }
                if let Some(residual) = residual {
                    for (sum, r) in sums.iter_mut().zip(&residual[ox * out_channels + first..]) {
                        *sum += r.value();
                    }
                }
                for (y, &sum) in y[first..end].iter_mut().zip(&*sums) {
                    *y = E::of(sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
