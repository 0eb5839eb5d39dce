//! The register tile of the weight gradient: one row of the window, its taps side by side, at one or two vectors of
//! channels, summed over a line of output pixels.

use super::tile::Lines;
use crate::simd::Simd;
use crate::window::Window;
use std::ops::Range;

/// One row of the window over one line of output pixels, for the weight gradient: `dw[tap, c] += Σ dy[pixel, c] *
/// x[pixel * stride + tap, c]`.
pub(super) struct GradientTile {
    /// The first pixel's first tap.
    x: *const f32,
    /// Elements from one pixel's taps to the next one's.
    x_step: usize,
    dy: *const f32,
    /// Output pixels, all of whose taps lie on the image.
    pixels: usize,
    /// `[KERNEL, channels]`.
    dw: *mut f32,
    channels: usize,
}

/// The weight gradient tile for one window width.
pub(super) type Gradient = unsafe fn(&GradientTile);

impl Lines {
    /// Adds to `dw`, one row of the window, what the output pixels `pixels` of one line give; all their taps lie on the
    /// image. False where there is no tile for this window, and nothing was added.
    ///
    /// * `x`: the line of the image under that row, `[width, channels]`
    /// * `dy`: the line of the output, `[out_width, channels]`
    /// * `dw`: `[kernel_w, channels]`
    pub(super) fn add_row_gradient(
        &self,
        window: &Window,
        x: &[f32],
        dy: &[f32],
        pixels: Range<usize>,
        dw: &mut [f32],
    ) -> bool {
        let w = window;
        let run = match w.kernel_w {
            3 if w.dilation_w == 1 => self.gradient_three,
            5 if w.dilation_w == 1 => self.gradient_five,
            _ => return false,
        };
        if pixels.is_empty() {
            return true;
        }
        let first = w.input_x(pixels.start, 0);
        let end = w.input_x(pixels.end - 1, w.kernel_w - 1) + 1;
        assert!(end * w.channels <= x.len(), "the taps lie inside the line");
        assert!(
            pixels.end * w.channels <= dy.len() && w.kernel_w * w.channels == dw.len(),
            "dy and dw have their lengths"
        );
        let tile = GradientTile {
            x: x[first * w.channels..].as_ptr(),
            x_step: w.stride_w * w.channels,
            dy: dy[pixels.start * w.channels..].as_ptr(),
            pixels: pixels.len(),
            dw: dw.as_mut_ptr(),
            channels: w.channels,
        };
        // SAFETY: the assertions above bound every address; the tile is that of a detected instruction set.
        unsafe { run(&tile) };
        true
    }
}

/// # Safety
/// The processor has the instruction set `S`, and all that the fields of `t` address is valid.
#[inline(always)]
pub(super) unsafe fn gradient<S: Simd, const KERNEL: usize>(t: &GradientTile) {
    // SAFETY: the caller vouches for the instruction set and for every address; partial loads and stores stay within the
    // channels that exist.
    unsafe {
        let mut c = 0;
        while c + 2 * S::LANES <= t.channels {
            gradient_vectors::<S, KERNEL, 2>(t, c, None);
            c += 2 * S::LANES;
        }
        while c < t.channels {
            let rest = t.channels - c;
            gradient_vectors::<S, KERNEL, 1>(t, c, if rest < S::LANES { Some(rest) } else { None });
            c += S::LANES;
        }
    }
}

/// The `VECTORS` vectors of channels that begin at `c`; of a single one, `partial` lanes may exist.
///
/// # Safety
/// As [`gradient`].
#[inline(always)]
unsafe fn gradient_vectors<S: Simd, const KERNEL: usize, const VECTORS: usize>(
    t: &GradientTile,
    c: usize,
    partial: Option<usize>,
) {
    // SAFETY: as in `gradient`.
    unsafe {
        let load = |from: *const f32, v: usize| match partial {
            None => S::load(from.wrapping_add(c + v * S::LANES)),
            Some(len) => S::load_partial(from.wrapping_add(c), len),
        };
        let mut sums = [[S::splat(0.0); KERNEL]; VECTORS];
        let (mut x, mut dy) = (t.x, t.dy);
        for _ in 0..t.pixels {
            for v in 0..VECTORS {
                let d = load(dy, v);
                for tap in 0..KERNEL {
                    sums[v][tap] =
                        S::multiply_add(load(x.wrapping_add(tap * t.channels), v), d, sums[v][tap]);
                }
            }
            x = x.wrapping_add(t.x_step);
            dy = dy.wrapping_add(t.channels);
        }
        for v in 0..VECTORS {
            for tap in 0..KERNEL {
                let to = t.dw.wrapping_add(tap * t.channels);
                let sum = S::add(load(to, v), sums[v][tap]);
                match partial {
                    None => S::store(to.wrapping_add(c + v * S::LANES), sum),
                    Some(len) => S::store_partial(to.wrapping_add(c), sum, len),
                }
            }
        }
    }
}
