//! The register tile of depthwise convolution: `PIXELS` output pixels of a line at one vector of channels.

use super::gradient_tile::{Gradient, GradientTile, gradient};
use crate::dispatch::InstructionSet;
use crate::element::Bf16;
use crate::simd::Simd;
use crate::stored::{MAX_CHANNELS, Stored};
use crate::window::Window;

/// The most output pixels of a tile, and the largest window side.
pub(super) const MAX_PIXELS: usize = 8;
const MAX_KERNEL: usize = 5;
/// Input columns under the widest tile: 8 pixels, stride 2, 5 taps.
pub(crate) const MAX_COLUMNS: usize = (MAX_PIXELS - 1) * 2 + MAX_KERNEL;

/// One call of a tile: all channels of up to [`MAX_PIXELS`] neighbouring output pixels.
pub(super) struct Tile<E> {
    /// Rows of the window that lie on the image, and the first of them.
    pub(super) rows: usize,
    #[allow(dead_code, reason = "read on x86 alone")]
    pub(super) first_row: usize,
    /// The input pixel of each of those rows and of each column under the tile.
    pub(super) columns: [[*const E; MAX_COLUMNS]; MAX_KERNEL],
    /// The weights of the first of those rows' first tap, at channel 0.
    weights: *const f32,
    /// Elements from one tap to the next; negative where the window is turned by 180°.
    tap_step: isize,
    /// Taps from one of those rows to the next: `kernel_w`.
    taps_in_row: usize,
    /// All weights and the bias in the order of [`super::pairs`]; null where the tile wants none.
    #[allow(dead_code, reason = "read on x86 alone, as is the next")]
    pub(super) pairs: *const E,
    #[allow(dead_code, reason = "read on x86 alone")]
    pub(super) pairs_bias: *const f32,
    /// The first output pixel.
    pub(super) y: *mut E,
    /// Like `y`, which it may be; null for none.
    residual: *const E,
    /// Null for none.
    bias: *const f32,
    pub(super) channels: usize,
    pub(super) low: f32,
    pub(super) high: f32,
}

type Run<E> = unsafe fn(&Tile<E>);

/// The tiles for one kind of window, by pixels - 1.
pub(super) type LinesOf<E> = [Run<E>; MAX_PIXELS];

/// The tiles of one instruction set for one kind of elements, by stride - 1, for 3x3 and 5x5.
pub(crate) struct Lines<E = f32> {
    instruction_set: InstructionSet,
    three: [LinesOf<E>; 2],
    five: [LinesOf<E>; 2],
    /// Of f32 alone, whatever the elements.
    pub(super) gradient_three: Gradient,
    pub(super) gradient_five: Gradient,
}

impl<E> std::fmt::Debug for Lines<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({:?})", self.instruction_set)
    }
}

impl Lines {
    /// Those of the best instruction set of this processor.
    pub(crate) fn detected() -> &'static Self {
        match InstructionSet::detected() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &avx512::LINES,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &avx2::LINES,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &neon::LINES,
            _ => &portable::LINES,
        }
    }
}

impl Lines<Bf16> {
    /// Those of the best instruction set of this processor.
    pub(crate) fn detected() -> &'static Self {
        match InstructionSet::detected() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &avx512::BF16,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &avx2::BF16,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &neon::BF16,
            _ => &portable::BF16,
        }
    }
}

/// Elements that depthwise convolution's tiles are compiled for.
pub(crate) trait Lined: Stored {
    /// The tiles for this processor.
    fn lines() -> &'static Lines<Self>;
}

impl Lined for f32 {
    fn lines() -> &'static Lines<Self> {
        Lines::<Self>::detected()
    }
}

impl Lined for Bf16 {
    fn lines() -> &'static Lines<Self> {
        Lines::<Self>::detected()
    }
}

impl<E: Stored> Lines<E> {
    /// The tiles for this window, where it is of a kind that has them.
    pub(super) fn of(&self, window: &Window) -> Option<&LinesOf<E>> {
        let w = window;
        let is_square =
            w.kernel_h == w.kernel_w && w.stride_h == w.stride_w && w.dilation_h == 1 && w.dilation_w == 1;
        let strides = match w.kernel_h {
            3 if is_square => &self.three,
            5 if is_square => &self.five,
            _ => return None,
        };
        if w.channels > MAX_CHANNELS { None } else { strides.get(w.stride_h.checked_sub(1)?) }
    }
}

/// One line of the output: all that its tiles share.
#[derive(Clone, Copy)]
pub(super) struct Line<'a, E> {
    pub(super) window: &'a Window,
    pub(super) oy: usize,
    /// `[height, width, channels]`.
    pub(super) x: &'a [E],
    /// `[kernel_h, kernel_w, channels]`.
    pub(super) weights: &'a [f32],
    /// Whether the window is used turned by 180°.
    pub(super) turned: bool,
    /// `[channels]`.
    pub(super) bias: Option<&'a [f32]>,
    /// The shape of the whole output.
    pub(super) residual: Option<&'a [E]>,
    /// Whether the line's old values are added to, instead of a residual.
    pub(super) add: bool,
    pub(super) bounds: (f32, f32),
    /// Weights and bias once more, where the tiles are those of [`super::pairs`].
    pub(super) pairs: Option<(&'a [E], &'a [f32])>,
}

impl<E: Stored> Line<'_, E> {
    /// Computes the line, `y`: `[out_width, channels]`.
    pub(super) fn run(&self, tiles: &LinesOf<E>, y: &mut [E]) {
        let w = self.window;
        let (channels, out_width, kernel) = (w.channels, w.out_width(), w.kernel_w);
        assert!(
            self.x.len() == w.input_len() && y.len() == out_width * channels,
            "x and y have the window's lengths"
        );
        assert!(self.weights.len() == kernel * kernel * channels, "weights have the window's length");
        assert!(kernel <= MAX_KERNEL && w.stride_w <= 2 && channels <= MAX_CHANNELS, "the window has tiles");
        let rows = w.taps_h(self.oy);
        let first_tap = rows.start * kernel;
        let (first_tap, tap_step) = if self.turned {
            (kernel * kernel - 1 - first_tap, -(channels as isize))
        } else {
            (first_tap, channels as isize)
        };
        let mut tile = Tile {
            rows: rows.len(),
            first_row: rows.start,
            columns: [[E::zeros().as_ptr(); MAX_COLUMNS]; MAX_KERNEL],
            weights: self.weights.as_ptr().wrapping_add(first_tap * channels),
            tap_step,
            taps_in_row: kernel,
            pairs: self.pairs.map_or(std::ptr::null(), |(weights, _)| weights.as_ptr()),
            pairs_bias: self.pairs.map_or(std::ptr::null(), |(_, bias)| bias.as_ptr()),
            y: std::ptr::null_mut(),
            residual: std::ptr::null(),
            bias: self.bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
            channels,
            low: self.bounds.0,
            high: self.bounds.1,
        };
        let pieces = out_width.div_ceil(MAX_PIXELS).max(1);
        let mut ox = 0;
        for piece in 0..pieces {
            let pixels = (out_width - ox).div_ceil(pieces - piece);
            if pixels == 0 {
                break;
            }
            // Of the columns under the tile, those that lie on the image.
            let under = (pixels - 1) * w.stride_w + kernel;
            let start = ox * w.stride_w;
            let real = w.pad_left.saturating_sub(start).min(under)
                ..(w.pad_left + w.width).saturating_sub(start).min(under);
            for (columns, row) in tile.columns.iter_mut().zip(rows.clone()) {
                let image_row = self.x.as_ptr().wrapping_add(w.input_y(self.oy, row) * w.width * channels);
                columns[..real.start].fill(E::zeros().as_ptr());
                for column in real.clone() {
                    columns[column] = image_row.wrapping_add((start + column - w.pad_left) * channels);
                }
                columns[real.end..under].fill(E::zeros().as_ptr());
            }
            tile.y = y[ox * channels..].as_mut_ptr();
            tile.residual = match self.residual {
                _ if self.add => tile.y,
                Some(residual) => residual[(self.oy * out_width + ox) * channels..].as_ptr(),
                None => std::ptr::null(),
            };
            // SAFETY: every column points to zeros for all channels, or to a pixel of `x`: `taps_h` gives rows of the image, and
            // `real` columns of it. The taps of the rows lie
            // inside the weights; `ox + pixels <= out_width`; bias and residual have one pixel's and the output's
            // length; `pairs` are those of the same shape. The tiles are those of a detected instruction set, for this kernel and stride.
            unsafe { tiles[pixels - 1](&tile) };
            ox += pixels;
        }
    }
}

/// A loop over all columns, written out, so that what is indexed by them stays in registers.
macro_rules! unrolled_columns {
    ($column:ident < MAX_COLUMNS => $body:block) => {
        unrolled_columns!($column => $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18)
    };
    ($column:ident => $body:block; $($step:literal)*) => {
        $({
            let $column: usize = $step;
            $body
        })*
    };
}

pub(crate) use unrolled_columns;

/// # Safety
/// The processor has the instruction set `S`, and all that the fields of `t` address is valid.
#[inline(always)]
unsafe fn run<S: Simd, E: Stored, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
    t: &Tile<E>,
) {
    // SAFETY: the caller's word is passed on.
    unsafe {
        let whole = t.channels / S::LANES * S::LANES;
        for c in (0..whole).step_by(S::LANES) {
            vector::<S, E, KERNEL, STRIDE, PIXELS>(t, c, None);
        }
        if whole < t.channels {
            vector::<S, E, KERNEL, STRIDE, PIXELS>(t, whole, Some(t.channels - whole));
        }
    }
}

/// The vector of channels that begins at `c`; `partial` is how many of its lanes exist, where not all do.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn vector<S: Simd, E: Stored, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
    t: &Tile<E>,
    c: usize,
    partial: Option<usize>,
) {
    // SAFETY: the caller vouches for the instruction set and for every address; partial loads and stores stay within the
    // channels that exist.
    unsafe {
        let load = |from: *const f32| match partial {
            None => S::load(from.wrapping_add(c)),
            Some(len) => S::load_partial(from.wrapping_add(c), len),
        };
        let load_element = |from: *const E| match partial {
            None => E::load::<S>(from.wrapping_add(c)),
            Some(len) => E::load_partial::<S>(from.wrapping_add(c), len),
        };
        let bias = if t.bias.is_null() { S::splat(0.0) } else { load(t.bias) };
        let mut sums = [bias; PIXELS];
        for row in 0..t.rows {
            let first_tap = (row * t.taps_in_row) as isize;
            let weights: [S::Vector; KERNEL] = std::array::from_fn(|tap| {
                load(t.weights.wrapping_offset((first_tap + tap as isize) * t.tap_step))
            });
            let columns = &t.columns[row];
            unrolled_columns!(column < MAX_COLUMNS => {
                if column < (PIXELS - 1) * STRIDE + KERNEL {
                    let x = load_element(columns[column]);
                    // The outputs whose window covers this column, each with its own tap.
                    for tap in 0..KERNEL {
                        if column >= tap && (column - tap).is_multiple_of(STRIDE) && (column - tap) / STRIDE < PIXELS {
                            let pixel = (column - tap) / STRIDE;
                            sums[pixel] = S::multiply_add(x, weights[tap], sums[pixel]);
                        }
                    }
                }
            });
        }
        let (low, high) = (S::splat(t.low), S::splat(t.high));
        for pixel in 0..PIXELS {
            let mut value = sums[pixel];
            if !t.residual.is_null() {
                value = S::add(value, load_element(t.residual.wrapping_add(pixel * t.channels)));
            }
            let value = S::clamp(value, low, high);
            let to = t.y.wrapping_add(pixel * t.channels + c);
            match partial {
                None => E::store::<S>(to, value),
                Some(len) => E::store_partial::<S>(to, value, len),
            }
        }
    }
}

/// A module with the tiles of one instruction set, each compiled with its features.
macro_rules! lines {
    ($module:ident, $simd:ty, $set:expr $(, $features:literal)?) => {
        pub(super) mod $module {
            use super::*;

            /// # Safety
            /// As [`super::run`].
            $(#[target_feature(enable = $features)])?
            unsafe fn run<E: Stored, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(t: &Tile<E>) {
                // SAFETY: the caller's word is passed on.
                unsafe { super::run::<$simd, E, KERNEL, STRIDE, PIXELS>(t) }
            }

            /// # Safety
            /// As [`super::gradient`].
            $(#[target_feature(enable = $features)])?
            unsafe fn gradient<const KERNEL: usize>(t: &GradientTile) {
                // SAFETY: the caller's word is passed on.
                unsafe { super::gradient::<$simd, KERNEL>(t) }
            }

            const fn kind<E: Stored, const KERNEL: usize, const STRIDE: usize>() -> LinesOf<E> {
                [
                    run::<E, KERNEL, STRIDE, 1>,
                    run::<E, KERNEL, STRIDE, 2>,
                    run::<E, KERNEL, STRIDE, 3>,
                    run::<E, KERNEL, STRIDE, 4>,
                    run::<E, KERNEL, STRIDE, 5>,
                    run::<E, KERNEL, STRIDE, 6>,
                    run::<E, KERNEL, STRIDE, 7>,
                    run::<E, KERNEL, STRIDE, 8>,
                ]
            }

            const fn all<E: Stored>() -> Lines<E> {
                Lines {
                    instruction_set: $set,
                    three: [kind::<E, 3, 1>(), kind::<E, 3, 2>()],
                    five: [kind::<E, 5, 1>(), kind::<E, 5, 2>()],
                    gradient_three: gradient::<3>,
                    gradient_five: gradient::<5>,
                }
            }

            pub(in super::super) static LINES: Lines = all();
            pub(in super::super) static BF16: Lines<Bf16> = all();
        }
    };
}

#[cfg(target_arch = "x86_64")]
lines!(
    avx512,
    crate::simd::avx512::Avx512,
    InstructionSet::Avx512,
    "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
lines!(avx2, crate::simd::avx2::Avx2, InstructionSet::Avx2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
lines!(neon, crate::simd::neon::Neon, InstructionSet::Neon, "neon");
lines!(portable, crate::simd::portable::Portable, InstructionSet::Portable);

#[cfg(test)]
impl Lines {
    /// Those of every instruction set that this processor can run.
    pub(super) fn all() -> Vec<&'static Self> {
        let best = Self::detected();
        let mut all = vec![&portable::LINES];
        #[cfg(target_arch = "x86_64")]
        if best.instruction_set == InstructionSet::Avx512 {
            all.push(&avx2::LINES);
        }
        if best.instruction_set != InstructionSet::Portable {
            all.push(best);
        }
        all
    }
}

#[cfg(test)]
impl Lines<Bf16> {
    /// Those of every instruction set that this processor can run.
    pub(super) fn all() -> Vec<&'static Self> {
        let best = Self::detected();
        let mut all = vec![&portable::BF16];
        #[cfg(target_arch = "x86_64")]
        if best.instruction_set == InstructionSet::Avx512 {
            all.push(&avx2::BF16);
        }
        if best.instruction_set != InstructionSet::Portable {
            all.push(best);
        }
        all
    }
}
