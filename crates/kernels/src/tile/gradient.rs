//! The register tile of a convolution's weight gradient.

use super::{Tiles, even_split, load_channels, store_channels, unrolled};
use crate::simd::Simd;

/// A weight gradient tile's operands: `dw[row, :] += Σ x[pixel + row] * dy[pixel, :]`, `ROWS` rows that follow one
/// another. `count` tiles follow one another along the rows.
#[derive(Clone, Copy)]
pub(crate) struct GradientTile {
    /// The first pixel, at the first row's tap.
    pub(crate) x: *const f32,
    pub(crate) x_line_step: usize,
    pub(crate) x_pixel_step: usize,
    /// The first pixel, at the first of the output channels.
    pub(crate) dy: *const f32,
    pub(crate) dy_line_step: usize,
    pub(crate) dy_pixel_step: usize,
    /// The pixels: `lines` lines of `pixels`.
    pub(crate) lines: usize,
    pub(crate) pixels: usize,
    /// The first row, at the first of the output channels.
    pub(crate) dw: *mut f32,
    /// Elements from one row to the next.
    pub(crate) dw_step: usize,
    /// Output channels of the panel, at most `VECTORS * LANES`.
    pub(crate) channels: usize,
    pub(crate) count: usize,
}

pub(super) type Gradient = unsafe fn(&GradientTile);

impl Tiles {
    /// Runs the gradient tile over `rows` rows; `tile.count` is not read.
    ///
    /// # Safety
    /// As [`Self::run_forward`].
    pub(crate) unsafe fn run_gradient(&self, vectors: usize, rows: usize, mut tile: GradientTile) {
        for (rows, count) in even_split(rows, self.gradient[vectors - 1].len()) {
            tile.count = count;
            // SAFETY: the tables hold functions of an instruction set that was detected; the rest is the caller's word.
            unsafe { self.gradient[vectors - 1][rows - 1](&tile) };
            tile.x = tile.x.wrapping_add(rows * count);
            tile.dw = tile.dw.wrapping_add(rows * count * tile.dw_step);
        }
    }
}

/// # Safety
/// The processor has the instruction set `S`, and all that the fields of `t` address is valid.
#[inline(always)]
pub(super) unsafe fn gradient<S: Simd, const ROWS: usize, const VECTORS: usize>(t: &GradientTile) {
    // SAFETY: the caller vouches for the instruction set and for every address.
    unsafe {
        let full = t.channels == VECTORS * S::LANES;
        for tile in 0..t.count {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            for line in 0..t.lines {
                let mut x = t.x.add(line * t.x_line_step + tile * ROWS);
                let mut dy = t.dy.add(line * t.dy_line_step);
                if full {
                    for _ in 0..t.pixels {
                        let d: [S::Vector; VECTORS] = std::array::from_fn(|v| S::load(dy.add(v * S::LANES)));
                        accumulate::<S, ROWS, VECTORS>(x, d, &mut sums);
                        x = x.wrapping_add(t.x_pixel_step);
                        dy = dy.wrapping_add(t.dy_pixel_step);
                    }
                } else {
                    for _ in 0..t.pixels {
                        let d: [S::Vector; VECTORS] =
                            std::array::from_fn(|v| load_channels::<S, f32>(dy, v, t.channels, false));
                        accumulate::<S, ROWS, VECTORS>(x, d, &mut sums);
                        x = x.wrapping_add(t.x_pixel_step);
                        dy = dy.wrapping_add(t.dy_pixel_step);
                    }
                }
            }
            unrolled!(r < ROWS => {
                let to = t.dw.add((tile * ROWS + r) * t.dw_step);
                for v in 0..VECTORS {
                    let sum = S::add(load_channels::<S, f32>(to, v, t.channels, full), sums[r][v]);
                    store_channels::<S>(to, v, t.channels, full, sum);
                }
            });
        }
    }
}

/// One pixel of the weight gradient.
///
/// # Safety
/// The processor has the instruction set `S`, and `x` is valid for `ROWS` elements.
#[inline(always)]
unsafe fn accumulate<S: Simd, const ROWS: usize, const VECTORS: usize>(
    x: *const f32,
    dy: [S::Vector; VECTORS],
    sums: &mut [[S::Vector; VECTORS]; ROWS],
) {
    // SAFETY: the caller vouches for the instruction set and for the address.
    unsafe {
        unrolled!(r < ROWS => {
            let value = S::splat(*x.add(r));
            for v in 0..VECTORS {
                sums[r][v] = S::multiply_add(value, dy[v], sums[r][v]);
            }
        });
    }
}
