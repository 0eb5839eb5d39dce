//! The gradient of a 3x3 convolution for its weights, by the transpose of F(4x4, 3x3): with `y = Aᵀ((GgGᵀ) ⊙ (BᵀdB))A`,
//! `dg = Gᵀ((BᵀdB) ⊙ (A·dy·Aᵀ))G`, summed over the tiles before the last transform.

use super::grid::{Grid, Place, pixel, transform_input};
use super::transform::{PixelTile, Transforms, WeightGradientTile};
use super::{ALIGNMENT, GAP, OUTPUT_SIDE, POINTS, Winograd, aligned, even_ranges};
use crate::tile::{GradientTile, Tiles};
use crate::window::ConvShape;
use std::ops::Range;

/// Bytes of transformed `x` and `dy` that are summed before the sums are transformed: as many tiles as possible, in the
/// third-level cache.
const BLOCK_BYTES: usize = 4800 << 10;

/// Input channels whose sums are held: with a panel of output channels they fill half of the second-level cache.
const SUMMED_CHANNELS: usize = 128;

/// Elements of scratch memory that [`backward_weights`] needs, for any number of images.
pub(in crate::conv) fn backward_weights_scratch_len(shape: &ConvShape, tiles: &Tiles) -> usize {
    let channels = shape.window.channels;
    let sums = SUMMED_CHANNELS.min(channels) * 2 * tiles.lanes;
    POINTS * (tiles_a_block(shape) * (channels + shape.out_channels) + 2 * GAP + sums) + ALIGNMENT
}

fn tiles_a_block(shape: &ConvShape) -> usize {
    (BLOCK_BYTES / (4 * POINTS * (shape.window.channels + shape.out_channels))).max(4)
}

/// `dw += dL/dw` of any number of images.
///
/// * `x`: `[images, height, width, channels]`
/// * `dy`: `[images, out_height, out_width, out_channels]`
/// * `dw`: `[3, 3, channels, out_channels]`
/// * `scratch`: at least [`backward_weights_scratch_len`] elements of any content
pub(in crate::conv) fn backward_weights(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
    tiles: &Tiles,
) {
    assert!(Winograd::applies(shape), "a dense 3x3 convolution in steps of one pixel");
    let (channels, out_channels) = (shape.window.channels, shape.out_channels);
    let images = x.len() / shape.window.input_len();
    assert_eq!(x.len(), images * shape.window.input_len(), "x has whole images");
    assert_eq!(dy.len(), images * shape.output_len(), "dy has an output for each image");
    assert_eq!(dw.len(), shape.weights_len(), "dw has the shape's weights length");
    let grid = Grid::of(&shape.window);
    let transforms = Transforms::of(tiles.instruction_set);
    for block in even_ranges(images * grid.tiles(), tiles_a_block(shape)) {
        let steps = [channels, out_channels].map(|channels| block.len() * channels + GAP);
        let (inputs, rest) = aligned(scratch).split_at_mut(POINTS * steps[0]);
        let (outputs, sums) = rest.split_at_mut(POINTS * steps[1]);
        transform_input(transforms, &shape.window, &grid, x, block.clone(), inputs, steps[0]);
        transform_output_gradient(transforms, &grid, out_channels, dy, block.clone(), outputs, steps[1]);
        for (first, width, vectors) in tiles.panels(out_channels) {
            for some in even_ranges(channels, SUMMED_CHANNELS) {
                let sums = &mut sums[..POINTS * some.len() * width];
                sums.fill(0.0);
                for point in 0..POINTS {
                    let (x, dy) = (&inputs[point * steps[0]..], &outputs[point * steps[1]..]);
                    let last = block.len() - 1;
                    assert!(
                        last * channels + some.end <= x.len()
                            && last * out_channels + first + width <= dy.len()
                    );
                    let tile = GradientTile {
                        x: x[some.start..].as_ptr(),
                        x_line_step: 0,
                        x_pixel_step: channels,
                        dy: dy[first..].as_ptr(),
                        dy_line_step: 0,
                        dy_pixel_step: out_channels,
                        lines: 1,
                        pixels: block.len(),
                        dw: sums[point * some.len() * width..][..some.len() * width].as_mut_ptr(),
                        dw_step: width,
                        channels: width,
                        count: 0,
                    };
                    // SAFETY: the assertion above bounds what is read of the last tile; the sums of a point are
                    // `[some, width]`.
                    unsafe { tiles.run_gradient(vectors, some.len(), tile) };
                }
                add_sums(transforms, sums, some, [first, width], [channels, out_channels], dw);
            }
        }
    }
}

/// Transforms the sums of some input channels and of a panel of output channels, and adds them to `dw`.
///
/// * `sums`: `[points, some, width]`
fn add_sums(
    transforms: &Transforms,
    sums: &[f32],
    some: Range<usize>,
    [first, width]: [usize; 2],
    [channels, out_channels]: [usize; 2],
    dw: &mut [f32],
) {
    assert!(sums.len() == POINTS * some.len() * width && dw.len() == 9 * channels * out_channels);
    assert!(some.end <= channels && first + width <= out_channels);
    for (index, channel) in some.clone().enumerate() {
        let tile = WeightGradientTile {
            points: sums[index * width..].as_ptr(),
            point_step: some.len() * width,
            channels: width,
            gradient: dw[channel * out_channels + first..].as_mut_ptr(),
            tap_step: channels * out_channels,
        };
        // SAFETY: the assertions above bound the 36 points and the 9 taps of the channels.
        unsafe { (transforms.weights_gradient)(&tile) };
    }
}

/// As [`transform_input`], of the gradient of the output.
fn transform_output_gradient(
    transforms: &Transforms,
    grid: &Grid,
    channels: usize,
    dy: &[f32],
    tiles: Range<usize>,
    points: &mut [f32],
    point_step: usize,
) {
    assert!(points.len() >= POINTS * point_step, "the points lie inside the scratch memory");
    assert!(point_step >= tiles.len() * channels, "so do the tiles of a point");
    let size = [grid.height, grid.width, channels];
    let len = size.iter().product::<usize>();
    for (index, tile) in tiles.enumerate() {
        let Place { image, row, column } = grid.place(tile);
        let dy = &dy[image * len..][..len];
        let pixel =
            |at: usize| pixel(dy, size, Some(row + at / OUTPUT_SIDE), Some(column + at % OUTPUT_SIDE));
        let tile = PixelTile {
            pixels: std::array::from_fn(pixel),
            channels,
            points: points[index * channels..].as_mut_ptr(),
            point_step,
        };
        // SAFETY: `pixel` gives addresses of `channels` elements; the assertions above bound the points.
        unsafe { (transforms.output_gradient)(&tile) };
    }
}
