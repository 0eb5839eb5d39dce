//! Convolution: forward, and both gradients.

use crate::activation::{Activation, activate_in_place};
use crate::window::ConvShape;

/// What is done to the output before it is stored: `activation(conv + bias + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// The shape of the output.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

/// The weights of a convolution, packed for its kernel.
#[derive(Clone, Debug)]
pub struct PackedConv {
    shape: ConvShape,
    weights: Vec<f32>,
}

impl PackedConv {
    /// Packs `weights`, `[kernel_h, kernel_w, channels / groups, out_channels]`.
    pub fn new(shape: ConvShape, weights: &[f32]) -> Self {
        shape.check();
        assert_eq!(weights.len(), shape.weights_len());
        Self { shape, weights: weights.to_vec() }
    }

    /// Packs other weights of the same shape into the same memory.
    pub fn repack(&mut self, weights: &[f32]) {
        self.weights.copy_from_slice(weights);
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// Elements of scratch memory that [`Self::forward`] needs.
    pub fn scratch_len(&self) -> usize {
        0
    }

    /// `y = activation(conv(x) + bias + residual)`.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`: `[out_height, out_width, out_channels]`
    /// * `scratch`: at least [`Self::scratch_len`] elements of any content
    pub fn forward(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<'_>, scratch: &mut [f32]) {
        let _ = scratch;
        y.fill(0.0);
        each_product(&self.shape, |o, i, w| y[o] += x[i] * self.weights[w]);
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
}

/// The weights of a convolution, packed for the gradient of its input.
#[derive(Clone, Debug)]
pub struct PackedConvGradient {
    shape: ConvShape,
    weights: Vec<f32>,
}

impl PackedConvGradient {
    /// Packs `weights`, `[kernel_h, kernel_w, channels / groups, out_channels]`.
    pub fn new(shape: ConvShape, weights: &[f32]) -> Self {
        shape.check();
        assert_eq!(weights.len(), shape.weights_len());
        Self { shape, weights: weights.to_vec() }
    }

    /// Packs other weights of the same shape into the same memory.
    pub fn repack(&mut self, weights: &[f32]) {
        self.weights.copy_from_slice(weights);
    }

    /// Elements of scratch memory that [`Self::backward_input`] needs.
    pub fn scratch_len(&self) -> usize {
        0
    }

    /// `dx += dL/dx`.
    ///
    /// * `dy`: `[out_height, out_width, out_channels]`
    /// * `dx`: `[height, width, channels]`
    /// * `scratch`: at least [`Self::scratch_len`] elements of any content
    pub fn backward_input(&self, dy: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        let _ = scratch;
        each_product(&self.shape, |o, i, w| dx[i] += dy[o] * self.weights[w]);
    }
}

/// Elements of scratch memory that [`conv_backward_weights`] needs.
pub fn conv_backward_weights_scratch_len(shape: &ConvShape) -> usize {
    let _ = shape;
    0
}

/// `dw += dL/dw` of one image.
///
/// * `x`: `[height, width, channels]`
/// * `dy`: `[out_height, out_width, out_channels]`
/// * `dw`: `[kernel_h, kernel_w, channels / groups, out_channels]`
pub fn conv_backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let _ = scratch;
    each_product(shape, |o, i, w| dw[w] += dy[o] * x[i]);
}

fn each_product(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let window = &shape.window;
    let (per_group, out_per_group) = (shape.channels_per_group(), shape.out_channels / shape.groups);
    for oy in 0..window.out_height() {
        for ox in 0..window.out_width() {
            for ky in window.taps_h(oy) {
                for kx in window.taps_w(ox) {
                    let (y, x) = (window.input_y(oy, ky), window.input_x(ox, kx));
                    for o in 0..shape.out_channels {
                        for c in 0..per_group {
                            visit(
                                (oy * window.out_width() + ox) * shape.out_channels + o,
                                (y * window.width + x) * window.channels + o / out_per_group * per_group + c,
                                ((ky * window.kernel_w + kx) * per_group + c) * shape.out_channels + o,
                            );
                        }
                    }
                }
            }
        }
    }
}
