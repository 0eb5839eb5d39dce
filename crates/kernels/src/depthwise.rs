//! Depthwise convolution: every input channel has its own filters.

use crate::activation::activate_in_place;
use crate::conv::Epilogue;
use crate::window::Window;

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
}

/// Elements of scratch memory that [`depthwise`] needs.
pub fn depthwise_scratch_len(shape: &DepthwiseShape) -> usize {
    let _ = shape;
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
    scratch: &mut [f32],
) {
    let _ = scratch;
    y.fill(0.0);
    each_product(shape, |o, i, w| y[o] += x[i] * weights[w]);
    if let Some(bias) = epilogue.bias {
        for (i, y) in y.iter_mut().enumerate() {
            *y += bias[i % bias.len()];
        }
    }
    if let Some(residual) = epilogue.residual {
        for (y, r) in y.iter_mut().zip(residual) {
            *y += r;
        }
    }
    activate_in_place(epilogue.activation, y);
}

/// `dx += dL/dx`; shapes as in [`depthwise`].
pub fn depthwise_backward_input(shape: &DepthwiseShape, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_product(shape, |o, i, w| dx[i] += dy[o] * weights[w]);
}

/// `dw += dL/dw` of one image; shapes as in [`depthwise`].
pub fn depthwise_backward_weights(shape: &DepthwiseShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    each_product(shape, |o, i, w| dw[w] += dy[o] * x[i]);
}

fn each_product(shape: &DepthwiseShape, mut visit: impl FnMut(usize, usize, usize)) {
    let window = &shape.window;
    let out_channels = shape.out_channels();
    for oy in 0..window.out_height() {
        for ox in 0..window.out_width() {
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    let (y, x) = (window.input_y(oy, ky), window.input_x(ox, kx));
                    for o in 0..out_channels {
                        visit(
                            (oy * window.out_width() + ox) * out_channels + o,
                            (y * window.width + x) * window.channels + o / shape.multiplier,
                            (ky * window.kernel_w + kx) * out_channels + o,
                        );
                    }
                }
            }
        }
    }
}
