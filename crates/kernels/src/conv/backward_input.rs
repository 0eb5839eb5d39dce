//! The gradient of a convolution for its input.

use super::Convolution;
use crate::dispatch::vectorized;
use crate::epilogue::Epilogue;
use crate::matmul::Accumulate;
use crate::tile::Tiled;
use crate::tile::Tiles;
use crate::window::{ConvShape, Window};

/// The weights of a convolution, packed for the gradient of its input.
///
/// With stride 1 the gradient is itself a convolution, of `dy` with the weights turned by 180° and their channels
/// exchanged. With other strides each output pixel's products with all taps are computed, a row of pixels at a time, and
/// added where the taps lie.
#[derive(Clone, Debug)]
pub struct PackedConvGradient {
    shape: ConvShape,
    way: Way,
    conv: Convolution,
    /// The weights in the layout of `conv`, before packing.
    transposed: Vec<f32>,
}

/// The side of a square of weights that is transposed at once.
const SQUARE: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As a convolution of `dy`.
    Turned,
    /// As one product for a row of pixels, then added tap by tap.
    Scattered,
}

impl PackedConvGradient {
    /// Packs `weights`, `[kernel_h, kernel_w, channels / groups, out_channels]`, for calls with one image.
    pub fn new(shape: ConvShape, weights: &[f32]) -> Self {
        Self::for_batches(shape, weights, 1)
    }

    /// For calls with about `images` images side by side where [`Self::takes_batches`].
    pub fn for_batches(shape: ConvShape, weights: &[f32], images: usize) -> Self {
        Self::with_method(shape, weights, images, f32::tiles())
    }

    #[cfg(test)]
    pub(super) fn with_tiles(shape: ConvShape, weights: &[f32], tiles: &'static Tiles) -> Self {
        Self::with_method(shape, weights, 1, tiles)
    }

    fn with_method(shape: ConvShape, weights: &[f32], images: usize, tiles: &'static Tiles) -> Self {
        shape.check();
        let (way, gradient) = match turned(&shape) {
            Some(turned) => (Way::Turned, turned),
            None => (Way::Scattered, scattered(&shape)),
        };
        let transposed = vec![0.0; shape.weights_len()];
        let conv = Convolution::with_tiles(gradient, &transposed, images, tiles);
        let mut packed = Self { shape, way, conv, transposed };
        packed.repack(weights);
        packed
    }

    /// Packs other weights of the same shape into the same memory.
    pub fn repack(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.shape.weights_len(), "weights have the shape's length");
        let shape = &self.shape;
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let (channels, groups) = (shape.channels_per_group(), shape.groups);
        let out_per_group = shape.out_channels / groups;
        // in squares, so that neither side is read or written a cache line for each number
        let squares = (0..channels)
            .step_by(SQUARE)
            .flat_map(|c| (0..shape.out_channels).step_by(SQUARE).map(move |o| (c, o)));
        for (tap, (c, o)) in (0..taps).flat_map(|tap| squares.clone().map(move |square| (tap, square))) {
            for c in c..(c + SQUARE).min(channels) {
                for o in o..(o + SQUARE).min(shape.out_channels) {
                    let (group, row) = (o / out_per_group, o % out_per_group);
                    let at = match self.way {
                        Way::Turned => {
                            ((taps - 1 - tap) * out_per_group + row) * shape.window.channels
                                + group * channels
                                + c
                        }
                        Way::Scattered => {
                            row * groups * taps * channels + (group * taps + tap) * channels + c
                        }
                    };
                    self.transposed[at] = weights[(tap * channels + c) * shape.out_channels + o];
                }
            }
        }
        self.conv.repack(&self.transposed);
    }

    /// Elements of scratch memory that [`Self::backward_input`] needs.
    pub fn scratch_len(&self) -> usize {
        match self.way {
            Way::Turned => self.conv.scratch_len(),
            Way::Scattered => self.conv.shape().output_len() + self.conv.scratch_len(),
        }
    }

    /// As [`Convolution::takes_batches`].
    pub fn takes_batches(&self) -> bool {
        self.way == Way::Turned && self.conv.takes_batches()
    }

    /// `dx = dL/dx` or `dx += dL/dx`.
    ///
    /// * `dy`: `[out_height, out_width, out_channels]`
    /// * `dx`: `[height, width, channels]`
    /// * `scratch`: at least [`Self::scratch_len`] elements of any content
    pub fn backward_input(&self, dy: &[f32], dx: &mut [f32], accumulate: Accumulate, scratch: &mut [f32]) {
        if !self.takes_batches() {
            self.shape.check_lens(dx, dy);
        }
        assert!(scratch.len() >= self.scratch_len(), "scratch has the needed length");
        match self.way {
            Way::Turned => self.conv.product(dy, dx, accumulate, scratch),
            Way::Scattered => {
                if accumulate == Accumulate::Overwrite {
                    dx.fill(0.0);
                }
                let (products, scratch) = scratch.split_at_mut(self.conv.shape().output_len());
                let row = self.shape.window.out_width() * self.shape.out_channels;
                for oy in 0..self.shape.window.out_height() {
                    let dy = &dy[oy * row..(oy + 1) * row];
                    self.conv.forward(dy, products, Epilogue::default(), scratch);
                    scatter(&self.shape, oy, products, dx);
                }
            }
        }
    }
}

/// The convolution of `dy` that gives `dx`, where there is one.
fn turned(shape: &ConvShape) -> Option<ConvShape> {
    let w = &shape.window;
    if w.stride_h != 1 || w.stride_w != 1 || w.out_pixels() == 0 {
        return None;
    }
    let (reach_h, reach_w) = (w.extent_h() - 1, w.extent_w() - 1);
    let window = Window {
        height: w.out_height(),
        width: w.out_width(),
        channels: shape.out_channels,
        pad_top: reach_h.checked_sub(w.pad_top)?,
        pad_bottom: reach_h.checked_sub(w.pad_bottom)?,
        pad_left: reach_w.checked_sub(w.pad_left)?,
        pad_right: reach_w.checked_sub(w.pad_right)?,
        ..*w
    };
    Some(ConvShape { window, out_channels: w.channels, groups: shape.groups })
}

/// The product of one row of `dy` with the weights of all taps: `[out_width, groups, taps, channels / groups]`.
fn scattered(shape: &ConvShape) -> ConvShape {
    let w = &shape.window;
    let window = Window {
        height: 1,
        width: w.out_width(),
        channels: shape.out_channels,
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_bottom: 0,
        pad_left: 0,
        pad_right: 0,
    };
    ConvShape { window, out_channels: w.kernel_h * w.kernel_w * w.channels, groups: shape.groups }
}

vectorized! {
    /// Adds the products of output row `oy` to the pixels that its taps lie on.
    fn scatter(shape: &ConvShape, oy: usize, products: &[f32], dx: &mut [f32]) {
        let w = &shape.window;
        let (taps, channels) = (w.kernel_h * w.kernel_w, shape.channels_per_group());
        for (ox, products) in products.chunks_exact(taps * w.channels).enumerate() {
            for ky in w.taps_h(oy) {
                for kx in w.taps_w(ox) {
                    let pixel = w.input_y(oy, ky) * w.width + w.input_x(ox, kx);
                    for group in 0..shape.groups {
                        let from = (group * taps + ky * w.kernel_w + kx) * channels;
                        let to = pixel * w.channels + group * channels;
                        let dx = &mut dx[to..to + channels];
                        for (dx, product) in dx.iter_mut().zip(&products[from..from + channels]) {
                            *dx += product;
                        }
                    }
                }
            }
        }
    }
}
