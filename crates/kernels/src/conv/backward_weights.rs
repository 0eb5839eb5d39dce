//! The gradient of a convolution for its weights.

use super::padded::{Runs, pad_rows, padded_len};
use super::winograd::{self, Winograd};
use crate::tile::Tiled;
use crate::tile::{GradientTile, Tiles};
use crate::window::ConvShape;

/// Output pixels that are summed in registers before the sum is added to the gradient: their `dy` for one panel of
/// channels fills about the first-level cache.
const BLOCK_PIXELS: usize = 256;

/// Elements of scratch memory that [`conv_backward_weights`] needs.
pub fn conv_backward_weights_scratch_len(shape: &ConvShape) -> usize {
    let padded = if shape.window.is_padded() { padded_len(&shape.window) } else { 0 };
    match Winograd::applies(shape) {
        true => padded.max(winograd::backward_weights_scratch_len(shape, f32::tiles())),
        false => padded,
    }
}

/// Whether several images may be handed over as one, side by side, which is faster.
pub fn conv_backward_weights_takes_batches(shape: &ConvShape) -> bool {
    shape.is_pointwise() || Winograd::applies(shape)
}

/// `dw += dL/dw` of one image, or of several where [`conv_backward_weights_takes_batches`].
///
/// The rows of `dw` are the taps of `Runs`: element `i` of a run, times `dy`, summed over the pixels. Both operands are
/// read in place.
///
/// * `x`: `[height, width, channels]`
/// * `dy`: `[out_height, out_width, out_channels]`
/// * `dw`: `[kernel_h, kernel_w, channels / groups, out_channels]`
/// * `scratch`: at least [`conv_backward_weights_scratch_len`] elements of any content
pub fn conv_backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let images = x.len().checked_div(shape.window.input_len()).unwrap_or(0);
    if Winograd::pays(shape, images) {
        winograd::backward_weights(shape, x, dy, dw, scratch, f32::tiles());
    } else if Winograd::applies(shape) {
        let images = x.chunks_exact(shape.window.input_len()).zip(dy.chunks_exact(shape.output_len()));
        images.for_each(|(x, dy)| with_tiles(shape, x, dy, dw, scratch, f32::tiles()));
    } else {
        with_tiles(shape, x, dy, dw, scratch, f32::tiles());
    }
}

pub(super) fn with_tiles(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
    tiles: &Tiles,
) {
    shape.check();
    let window = &shape.window;
    let pixels = shape.check_lens(x, dy);
    assert_eq!(dw.len(), shape.weights_len(), "dw has the shape's weights length");
    if dy.is_empty() || dw.is_empty() {
        return;
    }
    let source = if window.is_padded() {
        assert!(scratch.len() >= padded_len(window), "scratch has the needed length");
        pad_rows(window, 0.0, x, scratch, 0..window.pad_top + window.height + window.pad_bottom);
        &*scratch
    } else {
        x
    };
    let (out_height, out_width) = (window.out_height(), window.out_width());
    if shape.is_pointwise() {
        let runs = Runs::pointwise(window, 0, 1);
        for first in (0..pixels).step_by(BLOCK_PIXELS) {
            let count = BLOCK_PIXELS.min(pixels - first);
            block(
                shape,
                runs,
                &source[first * window.channels..],
                &dy[first * shape.out_channels..],
                [1, count],
                dw,
                tiles,
            );
        }
    } else {
        let runs = Runs::of(shape, 1);
        let lines = BLOCK_PIXELS.div_ceil(out_width);
        for first in (0..out_height).step_by(lines) {
            let source = &source[first * window.stride_h * runs.line..];
            let dy = &dy[first * out_width * shape.out_channels..];
            block(shape, runs, source, dy, [lines.min(out_height - first), out_width], dw, tiles);
        }
    }
}

/// Adds the part of `lines` lines of `pixels` output pixels, of which the first is the first of `source` and `dy`.
fn block(
    shape: &ConvShape,
    runs: Runs,
    source: &[f32],
    dy: &[f32],
    [lines, pixels]: [usize; 2],
    dw: &mut [f32],
    tiles: &Tiles,
) {
    let (out_channels, channels) = (shape.out_channels, shape.channels_per_group());
    let per_group = out_channels / shape.groups;
    let x_line_step = shape.window.stride_h * runs.line;
    let last = (lines - 1) * x_line_step + (pixels - 1) * runs.pixel_step;
    for group in 0..shape.groups {
        for (first, panel_channels, vectors) in tiles.panels(per_group) {
            let out = group * per_group + first;
            for row in 0..runs.rows {
                for column in 0..runs.columns {
                    let at = row * runs.row_step + column * runs.column_step + group * channels;
                    let dw_row = (row * runs.columns + column) * runs.run;
                    assert!(at + last + runs.run <= source.len(), "the taps lie inside the source");
                    assert!(lines * pixels * out_channels <= dy.len(), "the pixels lie inside dy");
                    assert!((dw_row + runs.run) * out_channels <= dw.len(), "the rows lie inside dw");
                    let tile = GradientTile {
                        x: source[at..].as_ptr(),
                        x_line_step,
                        x_pixel_step: runs.pixel_step,
                        dy: dy[out..].as_ptr(),
                        dy_line_step: pixels * out_channels,
                        dy_pixel_step: out_channels,
                        lines,
                        pixels,
                        dw: dw[dw_row * out_channels + out..].as_mut_ptr(),
                        dw_step: out_channels,
                        channels: panel_channels,
                        count: 0,
                    };
                    // SAFETY: the three assertions above bound every address of the tile.
                    unsafe { tiles.run_gradient(vectors, runs.run, tile) };
                }
            }
        }
    }
}
