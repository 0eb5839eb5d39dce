//! 3x3 convolutions with a quarter of the products: Winograd's minimal filtering F(4x4, 3x3).
//!
//! A tile of 4x4 output pixels depends on 6x6 input pixels. Both the input tile and the weights are transformed to 36
//! points, at each of which input channels meet output channels in one product, 36 multiplications for what takes
//! 4·4·9 = 144; the sums are transformed back to pixels. Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015, section 4.
//!
//! Transforms are lane by lane over the channels. The products run on the same register tile as every other
//! convolution, over a block of tiles whose points stay in the second-level cache while the weights stream past.

mod backward_weights;
mod grid;
mod line;
mod transform;

pub(super) use backward_weights::{backward_weights, backward_weights_scratch_len};

use super::Residual;
use crate::activation::Activation;
use crate::element::activate_in_place;
use crate::stored::MAX_CHANNELS;
use crate::tile::{ForwardTile, Tiles};
use crate::window::ConvShape;
use grid::{Grid, Place, transform_input};
use std::ops::Range;
use transform::{OutputTile, Transforms, WeightTile};

const OUTPUT_SIDE: usize = 4;
const INPUT_SIDE: usize = 6;
const OUTPUT_PIXELS: usize = OUTPUT_SIDE * OUTPUT_SIDE;
const POINTS: usize = INPUT_SIDE * INPUT_SIDE;

/// Bytes of a block's transformed input, which every panel of weights reads, unless that is too few tiles. Half to twice
/// as much is as fast.
const BLOCK_BYTES: usize = 600 << 10;

/// The tiles that read a weight before it is read again from afar. With 8 of 512 channels, which fit in
/// [`BLOCK_BYTES`], 7² pixels of 4 images take 1.06 ms an image, with 16 of them 0.88.
const FEWEST_TILES: usize = 16;

/// Channels come in whole vectors of every instruction set.
const CHANNELS: usize = 16;

/// Elements between the tiles of one point and those of the next: a line of the cache, so that the 36 points of a tile do
/// not all fall into one set.
const GAP: usize = 16;

/// The weights of a 3x3 convolution, transformed: panel after panel of output channels, each point after point,
/// `[channels, panel width]`.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    shape: ConvShape,
    tiles: &'static Tiles,
    weights: Vec<f32>,
}

impl Winograd {
    /// Whether this is a convolution of the kind: dense, 3x3, in steps of one pixel.
    pub(super) fn applies(shape: &ConvShape) -> bool {
        let w = &shape.window;
        let steps = [w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, shape.groups];
        [w.kernel_h, w.kernel_w] == [3, 3]
            && steps == [1; 5]
            && w.channels.is_multiple_of(CHANNELS)
            && w.channels <= MAX_CHANNELS
            && shape.out_channels.is_multiple_of(CHANNELS)
            && w.out_pixels() * w.channels * shape.out_channels > 0
    }

    /// Whether it is faster than the direct convolution, forward or in either gradient, with so many images at a time. Each
    /// of the 36 products reads its weights for the tiles at hand alone: below 12 of them that costs more than it saves.
    /// Of the channels, 32 are the fewest that were measured: 0.51 and 0.20 ms at 56², 0.032 and 0.016 ms at 14².
    /// Forward, an image at a time, with weights in no cache; and the gradient of the weights; on one thread:
    ///
    /// | pixels, channels | tiles | direct | Winograd | gradient | Winograd |
    /// |---|---|---|---|---|---|
    /// | 56², 64 → 64 | 196 | 2.04 ms | 0.65 ms | 2.00 ms | 0.65 ms |
    /// | 28², 128 → 128 | 49 | 2.07 ms | 0.59 ms | 2.00 ms | 0.71 ms |
    /// | 14², 256 → 256 | 16 | 2.06 ms | 0.97 ms | 2.13 ms | 1.31 ms |
    /// | 7², 512 → 512 | 4 | 2.34 ms | 2.12 ms | 2.61 ms | – |
    /// | the same, 4 images | 16 | 2.19 ms | 0.88 ms | 2.61 ms | 1.39 ms |
    pub(super) fn pays(shape: &ConvShape, images: usize) -> bool {
        Self::applies(shape)
            && shape.window.channels >= 32
            && shape.out_channels >= 32
            && images * Grid::of(&shape.window).tiles() >= 12
    }

    pub(super) fn with_tiles(shape: ConvShape, weights: &[f32], tiles: &'static Tiles) -> Self {
        assert!(Self::applies(&shape), "a dense 3x3 convolution in steps of one pixel");
        let transformed = vec![0.0; POINTS * shape.window.channels * shape.out_channels];
        let mut packed = Self { shape, tiles, weights: transformed };
        packed.repack(weights);
        packed
    }

    /// Transforms other weights of the same shape into the same memory.
    pub(super) fn repack(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.shape.weights_len(), "weights have the shape's length");
        let (channels, out_channels) = (self.shape.window.channels, self.shape.out_channels);
        let transforms = Transforms::of(self.tiles.instruction_set);
        for (first, width, _) in self.tiles.panels(out_channels) {
            let panel = &mut self.weights[POINTS * channels * first..][..POINTS * channels * width];
            for channel in 0..channels {
                let tile = WeightTile {
                    weights: weights[channel * out_channels + first..].as_ptr(),
                    tap_step: channels * out_channels,
                    channels: width,
                    points: panel[channel * width..].as_mut_ptr(),
                    point_step: channels * width,
                };
                // SAFETY: the weights have nine taps of `[channels, out_channels]`, the panel 36 points of
                // `[channels, width]`; `applies` found the channels to be whole vectors.
                unsafe { (transforms.weights)(&tile) };
            }
        }
    }

    pub(super) fn shape(&self) -> ConvShape {
        self.shape
    }

    /// Elements of scratch memory, for any number of images.
    pub(super) fn scratch_len(&self) -> usize {
        let tiles = self.tiles_a_block();
        POINTS * (tiles * (self.shape.window.channels + self.panel_width()) + 2 * GAP) + ALIGNMENT
    }

    fn panel_width(&self) -> usize {
        self.tiles.panels(self.shape.out_channels).map(|(_, width, _)| width).max().unwrap_or(0)
    }

    fn tiles_a_block(&self) -> usize {
        (BLOCK_BYTES / (4 * POINTS * self.shape.window.channels)).max(FEWEST_TILES)
    }

    /// `y = activation(conv(x) + bias + residual)` of any number of images.
    ///
    /// * `x`: `[images, height, width, channels]`
    /// * `y`: `[images, out_height, out_width, out_channels]`
    pub(super) fn run(
        &self,
        x: &[f32],
        y: &mut [f32],
        bias: Option<&[f32]>,
        residual: Residual<'_, f32>,
        activation: Activation,
        scratch: &mut [f32],
    ) {
        let window = &self.shape.window;
        let images = x.len() / window.input_len();
        assert_eq!(x.len(), images * window.input_len(), "x has whole images");
        assert_eq!(y.len(), images * self.shape.output_len(), "y has an output for each image");
        assert!(scratch.len() >= self.scratch_len(), "scratch has the needed length");
        let (bounds, second_pass) = activation.in_passes();
        let scratch = aligned(scratch);
        let grid = Grid::of(window);
        let transforms = Transforms::of(self.tiles.instruction_set);
        let block = self.tiles_a_block();
        for tiles in even_ranges(images * grid.tiles(), block) {
            let point_step = tiles.len() * window.channels + GAP;
            let (inputs, outputs) = scratch.split_at_mut(POINTS * point_step);
            transform_input(transforms, window, &grid, x, tiles.clone(), inputs, point_step);
            for (first, width, vectors) in self.tiles.panels(self.shape.out_channels) {
                self.multiply(inputs, outputs, [first, width, vectors], tiles.len());
                self.transform_output(
                    transforms,
                    &grid,
                    outputs,
                    [first, width],
                    bias,
                    residual,
                    bounds,
                    tiles.clone(),
                    y,
                );
            }
        }
        if let Some(activation) = second_pass {
            activate_in_place(activation, y);
        }
    }

    /// The products of one panel, point by point.
    ///
    /// * `inputs`: `[points, tiles, channels]`, [`GAP`] elements between points
    /// * `outputs`: `[points, tiles, width]`, the same
    fn multiply(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        [first, width, vectors]: [usize; 3],
        tiles: usize,
    ) {
        let channels = self.shape.window.channels;
        let (input_step, output_step) = (tiles * channels + GAP, tiles * width + GAP);
        assert!(inputs.len() >= POINTS * input_step && outputs.len() >= POINTS * output_step);
        let panel = &self.weights[POINTS * channels * first..][..POINTS * channels * width];
        for point in 0..POINTS {
            let tile = ForwardTile {
                x: inputs[point * input_step..].as_ptr(),
                pixel_step: channels,
                rows: 1,
                row_step: 0,
                columns: 1,
                column_step: 0,
                run: channels,
                weights: panel[point * channels * width..].as_ptr(),
                y: outputs[point * output_step..].as_mut_ptr(),
                y_step: width,
                residual: std::ptr::null(),
                bias: std::ptr::null(),
                channels: width,
                low: f32::NEG_INFINITY,
                high: f32::INFINITY,
                count: 0,
            };
            // SAFETY: the assertion above bounds what is read and written of each point's tiles; a point of the panel is
            // `[channels, width]`.
            unsafe { self.tiles.run_forward(vectors, tiles, tile) };
        }
    }

    fn transform_output(
        &self,
        transforms: &Transforms,
        grid: &Grid,
        outputs: &[f32],
        [first, width]: [usize; 2],
        bias: Option<&[f32]>,
        residual: Residual<'_, f32>,
        (low, high): (f32, f32),
        tiles: Range<usize>,
        y: &mut [f32],
    ) {
        let (out_channels, point_step) = (self.shape.out_channels, tiles.len() * width + GAP);
        assert!(outputs.len() >= POINTS * point_step, "the points lie inside the scratch memory");
        for (index, tile) in tiles.enumerate() {
            let Place { image, row, column } = grid.place(tile);
            let (rows, columns) = (OUTPUT_SIDE.min(grid.height - row), OUTPUT_SIDE.min(grid.width - column));
            let pixel = (image * grid.height + row) * grid.width + column;
            let last = pixel + (rows - 1) * grid.width + columns;
            assert!(last * out_channels <= y.len(), "the tile lies inside the output");
            let at = pixel * out_channels + first;
            let y = y[at..].as_mut_ptr();
            let tile = OutputTile {
                points: outputs[index * width..].as_ptr(),
                point_step,
                channels: width,
                y,
                row_step: grid.width * out_channels,
                pixel_step: out_channels,
                rows,
                columns,
                residual: match residual {
                    Residual::None => std::ptr::null(),
                    Residual::Given(residual) => residual[at..].as_ptr(),
                    Residual::Output => y,
                },
                bias: bias.map_or(std::ptr::null(), |bias| bias[first..].as_ptr()),
                low,
                high,
            };
            // SAFETY: the assertions above bound the points and the pixels; a residual has the output's length and a bias
            // one number an output channel, as the caller has checked.
            unsafe { (transforms.output)(&tile) };
        }
    }
}

/// As few ranges of at most `max` as cover `count`, of nearly equal lengths.
fn even_ranges(count: usize, max: usize) -> impl Iterator<Item = Range<usize>> {
    let size = count.div_ceil(count.div_ceil(max).max(1)).max(1);
    (0..count).step_by(size).map(move |start| start..(start + size).min(count))
}

/// Elements that [`aligned`] may skip.
const ALIGNMENT: usize = 16;

/// From the first cache line that begins here: a vector that lies across two lines takes twice as long to store.
fn aligned(scratch: &mut [f32]) -> &mut [f32] {
    let skipped = scratch.as_ptr().align_offset(4 * ALIGNMENT).min(ALIGNMENT);
    &mut scratch[skipped..]
}

#[cfg(test)]
mod tests;
