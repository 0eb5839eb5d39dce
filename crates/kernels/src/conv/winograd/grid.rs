//! How images are cut into tiles.

use super::transform::{PixelTile, Transforms};
use super::{INPUT_SIDE, OUTPUT_SIDE, POINTS};
use crate::stored::Stored;
use crate::window::Window;
use std::ops::Range;

/// Transforms the input of the tiles `tiles`, counted through all images.
///
/// * `points`: `[points, tiles, channels]`, points lie `point_step` elements apart
pub(super) fn transform_input(
    transforms: &Transforms,
    window: &Window,
    grid: &Grid,
    x: &[f32],
    tiles: Range<usize>,
    points: &mut [f32],
    point_step: usize,
) {
    assert!(points.len() >= POINTS * point_step, "the points lie inside the scratch memory");
    assert!(point_step >= tiles.len() * window.channels, "so do the tiles of a point");
    for (index, tile) in tiles.enumerate() {
        let Place { image, row, column } = grid.place(tile);
        let x = &x[image * window.input_len()..][..window.input_len()];
        let size = [window.height, window.width, window.channels];
        let pixel = |at: usize| {
            let y = (row + at / INPUT_SIDE).checked_sub(window.pad_top);
            let x_at = (column + at % INPUT_SIDE).checked_sub(window.pad_left);
            pixel(x, size, y, x_at)
        };
        let tile = PixelTile {
            pixels: std::array::from_fn(pixel),
            channels: window.channels,
            points: points[index * window.channels..].as_mut_ptr(),
            point_step,
        };
        // SAFETY: each pixel is one of the image's or zeros, of which there are enough for the channels that `applies`
        // allows; the assertions above bound the points.
        unsafe { (transforms.input)(&tile) };
    }
}

/// The channels of a pixel of an image `[height, width, channels]`, or zeros where there is none.
pub(super) fn pixel(
    image: &[f32],
    [height, width, channels]: [usize; 3],
    y: Option<usize>,
    x: Option<usize>,
) -> *const f32 {
    match (y.filter(|y| *y < height), x.filter(|x| *x < width)) {
        (Some(y), Some(x)) => image[(y * width + x) * channels..][..channels].as_ptr(),
        _ => f32::zeros()[..channels].as_ptr(),
    }
}

/// The tiles of an output image.
pub(super) struct Grid {
    pub(super) height: usize,
    pub(super) width: usize,
    rows: usize,
    columns: usize,
}

/// Where a tile's first output pixel lies.
pub(super) struct Place {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Grid {
    pub(super) fn of(window: &Window) -> Self {
        let (height, width) = (window.out_height(), window.out_width());
        Self { height, width, rows: height.div_ceil(OUTPUT_SIDE), columns: width.div_ceil(OUTPUT_SIDE) }
    }

    pub(super) fn tiles(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn place(&self, tile: usize) -> Place {
        let (image, tile) = (tile / self.tiles(), tile % self.tiles());
        let (row, column) = (tile / self.columns * OUTPUT_SIDE, tile % self.columns * OUTPUT_SIDE);
        Place { image, row, column }
    }
}
