//! The input as the tiles read it: zeros around the image, and runs of contiguous taps.

use crate::window::{ConvShape, Window};
use std::ops::Range;

/// The taps of one output pixel in an image that needs no bounds: `rows` x `columns` runs of `run` contiguous elements, a
/// whole number of groups.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    pub(crate) rows: usize,
    pub(crate) row_step: usize,
    pub(crate) columns: usize,
    pub(crate) column_step: usize,
    pub(crate) run: usize,
    /// Elements from the taps of one output pixel to those of the next on its line.
    pub(crate) pixel_step: usize,
    /// Elements of one line of the source.
    pub(crate) line: usize,
}

impl Runs {
    /// The taps in the padded image.
    pub(crate) fn of(shape: &ConvShape, group: usize) -> Self {
        let w = &shape.window;
        let line = (w.pad_left + w.width + w.pad_right) * w.channels;
        let common = Self {
            rows: w.kernel_h,
            row_step: w.dilation_h * line,
            columns: w.kernel_w,
            column_step: w.dilation_w * w.channels,
            run: shape.channels_per_group(),
            pixel_step: w.stride_w * w.channels,
            line,
        };
        let runs = if shape.groups == 1 && w.dilation_w == 1 {
            Self { columns: 1, run: w.kernel_w * w.channels, ..common }
        } else {
            common
        };
        Self { run: runs.run.next_multiple_of(group), ..runs }
    }

    /// One run, all channels of the pixel; pixels lie `gap` elements apart.
    pub(crate) fn pointwise(window: &Window, gap: usize, group: usize) -> Self {
        let pixel_step = window.channels + gap;
        let line = window.width * pixel_step;
        let run = window.channels.next_multiple_of(group);
        Self { rows: 1, row_step: 0, columns: 1, column_step: 0, run, pixel_step, line }
    }

    /// Elements from the first tap of a pixel to the end of its last.
    pub(crate) fn reach(&self) -> usize {
        (self.rows - 1) * self.row_step + (self.columns - 1) * self.column_step + self.run
    }
}

/// Elements between gathered pixels: one cache line, so that they do not all fall into one set of the cache.
pub(crate) const fn gathered_gap<E>() -> usize {
    64 / size_of::<E>()
}

/// Copies the input pixels under output pixels `pixels` of a 1x1 window side by side, [`gathered_gap`] elements of zeros
/// between them.
///
/// * `x`: `[height, width, channels]`
/// * `gathered`: `[pixels, channels + gap]`
pub(crate) fn gather_pixels<E: Copy + Default>(
    window: &Window,
    x: &[E],
    gathered: &mut [E],
    pixels: Range<usize>,
) {
    let (channels, out_width) = (window.channels, window.out_width());
    for (pixel, to) in pixels.zip(gathered.chunks_exact_mut(channels + gathered_gap::<E>())) {
        let (oy, ox) = (pixel / out_width, pixel % out_width);
        let from = (oy * window.stride_h * window.width + ox * window.stride_w) * channels;
        let (to, gap) = to.split_at_mut(channels);
        to.copy_from_slice(&x[from..from + channels]);
        gap.fill(E::default());
    }
}

/// Elements of the padded image.
pub(crate) fn padded_len(window: &Window) -> usize {
    let height = window.pad_top + window.height + window.pad_bottom;
    height * (window.pad_left + window.width + window.pad_right) * window.channels
}

/// Writes rows `rows` of the padded image, counted from the top of the padding, which is filled with `zero`.
///
/// * `x`: `[height, width, channels]`
/// * `padded`: `[pad_top + height + pad_bottom, pad_left + width + pad_right, channels]`
pub(crate) fn pad_rows<E: Copy>(window: &Window, zero: E, x: &[E], padded: &mut [E], rows: Range<usize>) {
    let (left, inner) = (window.pad_left * window.channels, window.width * window.channels);
    let line = left + inner + window.pad_right * window.channels;
    for row in rows {
        let to = &mut padded[row * line..(row + 1) * line];
        match row.checked_sub(window.pad_top).filter(|&y| y < window.height) {
            Some(y) => {
                to[..left].fill(zero);
                to[left..left + inner].copy_from_slice(&x[y * inner..(y + 1) * inner]);
                to[left + inner..].fill(zero);
            }
            None => to.fill(zero),
        }
    }
}
