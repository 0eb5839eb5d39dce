//! Depthwise convolution: every input channel has its own filters.
//!
//! Windows of 3x3 and 5x5 with strides 1 and 2, which networks are made of, run on a register tile: up to 8 output pixels
//! of a line at one vector of channels, where each input column is loaded once for all outputs that it reaches. Taps
//! beyond the border read from a pixel of zeros. Everything else runs as plain loops over the channels.

mod backward;
mod gradient_tile;
mod tile;

pub use backward::{depthwise_backward_input, depthwise_backward_weights};

use crate::activation::{Activation, activate_in_place};
use crate::conv::Epilogue;
use crate::dispatch::vectorized;
use crate::window::Window;
use tile::{Line, Lines};

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

    fn check(&self, x: &[f32], weights: &[f32], y: &[f32]) {
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
pub fn depthwise(
    shape: &DepthwiseShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    epilogue: Epilogue<'_>,
    _scratch: &mut [f32],
) {
    forward_on(Lines::detected(), shape, x, weights, y, epilogue);
}

fn forward_on(
    lines: &Lines,
    shape: &DepthwiseShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    epilogue: Epilogue<'_>,
) {
    shape.check(x, weights, y);
    let Epilogue { bias, residual, activation } = epilogue;
    epilogue.check(shape.out_channels(), y.len());
    let window = &shape.window;
    let row = window.out_width() * shape.out_channels();
    let tile = if shape.multiplier == 1 { lines.of(window) } else { None };
    for oy in 0..window.out_height() {
        let at = oy * row;
        match tile {
            Some(tile) => {
                let (bounds, second_pass) = match activation.bounds() {
                    Some(bounds) => (bounds, Activation::Linear),
                    None => ((f32::NEG_INFINITY, f32::INFINITY), activation),
                };
                let line = Line { window, oy, x, weights, turned: false, bias, residual, add: false, bounds };
                line.run(tile, &mut y[at..at + row]);
                if second_pass != Activation::Linear {
                    activate_in_place(second_pass, &mut y[at..at + row]);
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

vectorized! {
    /// One line of the output, for any window; `residual` is the line's.
    fn plain_line(
        shape: &DepthwiseShape, oy: usize, x: &[f32], weights: &[f32], bias: Option<&[f32]>, residual: Option<&[f32]>,
        y: &mut [f32],
    ) {
        let (window, out_channels) = (&shape.window, shape.out_channels());
        if out_channels == 0 {
            return;
        }
        for (ox, y) in y.chunks_exact_mut(out_channels).enumerate() {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(0.0),
            }
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    let pixel = window.input_y(oy, ky) * window.width + window.input_x(ox, kx);
                    let x = &x[pixel * window.channels..(pixel + 1) * window.channels];
                    let tap = (ky * window.kernel_w + kx) * out_channels;
                    let weights = &weights[tap..tap + out_channels];
                    if shape.multiplier == 1 {
                        for ((y, &x), &w) in y.iter_mut().zip(x).zip(weights) {
                            *y += x * w;
                        }
                    } else {
                        let filters = weights.chunks_exact(shape.multiplier);
                        for ((y, &x), w) in y.chunks_exact_mut(shape.multiplier).zip(x).zip(filters) {
                            for (y, &w) in y.iter_mut().zip(w) {
                                *y += x * w;
                            }
                        }
                    }
                }
            }
            if let Some(residual) = residual {
                for (y, &r) in y.iter_mut().zip(&residual[ox * out_channels..]) {
                    *y += r;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
