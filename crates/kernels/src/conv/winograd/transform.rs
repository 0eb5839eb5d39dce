//! The transforms of F(4x4, 3x3) between pixels and points, on vectors of neighbouring channels.
//!
//! The interpolation points are 0, ±a, ±b and infinity with a = √½ and b = √2. Of the choices that were compared (see
//! `tests.rs`) this has the smallest rounding error: a·b = 1 keeps the numbers of all points within a factor of 3.
//!
//! In one dimension, with `y = Aᵀ((G·g) ⊙ (Bᵀ·d))`:
//!
//! | matrix | row of point p | row of infinity |
//! |---|---|---|
//! | Bᵀ, 6x6 | coefficients of m(t)/(t - p), m(t) = t(t² - a²)(t² - b²) | coefficients of m(t) |
//! | G, 6x3 | 1, p, p², over the product of p - q over all other points q | 0, 0, 1 |
//! | A, 6x4 | 1, p, p², p³ | 0, 0, 0, 1 |

use super::{INPUT_SIDE, OUTPUT_SIDE, POINTS};
use crate::dispatch::InstructionSet;
use crate::simd::Simd;
use std::array::from_fn;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;
const A2: f32 = 0.5;
const B2: f32 = 2.0;
/// 1 / (2a²(a² - b²)) and 1 / (2b²(b² - a²)): what the rows of G for ±a and for ±b are divided by. That of 0 is a²b² = 1.
const GA: f32 = -2.0 / 3.0;
const GB: f32 = 1.0 / 6.0;

/// One tile of the input.
pub(super) struct InputTile {
    /// Its pixels, row by row.
    pub(super) pixels: [*const f32; POINTS],
    pub(super) channels: usize,
    /// Where the first point goes.
    pub(super) points: *mut f32,
    /// Elements from one point to the next.
    pub(super) point_step: usize,
}

/// One tile of the output, of some neighbouring channels.
pub(super) struct OutputTile {
    pub(super) points: *const f32,
    pub(super) point_step: usize,
    pub(super) channels: usize,
    /// The first pixel.
    pub(super) y: *mut f32,
    pub(super) row_step: usize,
    pub(super) pixel_step: usize,
    /// The part of the tile that lies in the image.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Like `y`, which it may be; null for none.
    pub(super) residual: *const f32,
    /// Null for none.
    pub(super) bias: *const f32,
    pub(super) low: f32,
    pub(super) high: f32,
}

/// The weights between an input channel and some neighbouring output channels.
pub(super) struct WeightTile {
    pub(super) weights: *const f32,
    /// Elements from one tap to the next.
    pub(super) tap_step: usize,
    pub(super) channels: usize,
    pub(super) points: *mut f32,
    pub(super) point_step: usize,
}

/// The transforms of one instruction set.
///
/// # Safety
/// All that the fields of a tile address is valid, and `channels` is a whole number of vectors.
pub(super) struct Transforms {
    pub(super) input: unsafe fn(&InputTile),
    pub(super) output: unsafe fn(&OutputTile),
    pub(super) weights: unsafe fn(&WeightTile),
}

impl Transforms {
    /// Those of an instruction set that this processor has.
    pub(super) fn of(set: InstructionSet) -> &'static Self {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &avx512::TRANSFORMS,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &avx2::TRANSFORMS,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &neon::TRANSFORMS,
            _ => &portable::TRANSFORMS,
        }
    }
}

/// A module with the transforms of one instruction set, each compiled with its features.
macro_rules! transforms {
    ($module:ident, [$($features:literal)?], $simd:ty) => {
        mod $module {
            use super::*;

            transforms!(input InputTile [$($features)?] $simd);
            transforms!(output OutputTile [$($features)?] $simd);
            transforms!(weights WeightTile [$($features)?] $simd);

            pub(super) static TRANSFORMS: Transforms = Transforms { input, output, weights };
        }
    };
    ($name:ident $tile:ident [$($features:literal)?] $simd:ty) => {
        /// # Safety
        /// The processor has the instruction set; the rest as in [`Transforms`].
        $(#[target_feature(enable = $features)])?
        unsafe fn $name(t: &$tile) {
            // SAFETY: the caller's word is passed on.
            unsafe { super::$name::<$simd>(t) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
transforms!(avx512, ["avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"], crate::simd::avx512::Avx512);
#[cfg(target_arch = "x86_64")]
transforms!(avx2, ["avx2,fma"], crate::simd::avx2::Avx2);
#[cfg(target_arch = "aarch64")]
transforms!(neon, ["neon"], crate::simd::neon::Neon);
transforms!(portable, [], crate::simd::portable::Portable);

/// `BᵀdB`.
///
/// # Safety
/// As [`Transforms`], and the processor has the instruction set `S`.
#[inline(always)]
unsafe fn input<S: Simd>(t: &InputTile) {
    // SAFETY: the caller vouches for the instruction set and for every address.
    unsafe {
        for channel in (0..t.channels).step_by(S::LANES) {
            let mut half = [[S::splat(0.0); INPUT_SIDE]; INPUT_SIDE];
            for column in 0..INPUT_SIDE {
                let pixels = from_fn(|row| S::load(t.pixels[row * INPUT_SIDE + column].add(channel)));
                let points = input_line::<S>(pixels);
                for row in 0..INPUT_SIDE {
                    half[row][column] = points[row];
                }
            }
            let to = t.points.add(channel);
            for row in 0..INPUT_SIDE {
                let points = input_line::<S>(half[row]);
                for column in 0..INPUT_SIDE {
                    S::store(to.add((row * INPUT_SIDE + column) * t.point_step), points[column]);
                }
            }
        }
    }
}

/// `AᵀmA`, and the epilogue.
///
/// # Safety
/// As [`input`].
#[inline(always)]
unsafe fn output<S: Simd>(t: &OutputTile) {
    // SAFETY: as in `input`; pixels outside the image are neither read nor written.
    unsafe {
        let (low, high) = (S::splat(t.low), S::splat(t.high));
        for channel in (0..t.channels).step_by(S::LANES) {
            let mut half = [[S::splat(0.0); INPUT_SIDE]; OUTPUT_SIDE];
            let from = t.points.add(channel);
            for column in 0..INPUT_SIDE {
                let points = from_fn(|row| S::load(from.add((row * INPUT_SIDE + column) * t.point_step)));
                let pixels = output_line::<S>(points);
                for row in 0..OUTPUT_SIDE {
                    half[row][column] = pixels[row];
                }
            }
            let bias = if t.bias.is_null() { S::splat(0.0) } else { S::load(t.bias.add(channel)) };
            for row in 0..OUTPUT_SIDE.min(t.rows) {
                let pixels = output_line::<S>(half[row]);
                for column in 0..OUTPUT_SIDE {
                    if column < t.columns {
                        let at = row * t.row_step + column * t.pixel_step + channel;
                        let mut sum = S::add(pixels[column], bias);
                        if !t.residual.is_null() {
                            sum = S::add(sum, S::load(t.residual.add(at)));
                        }
                        S::store(t.y.add(at), S::clamp(sum, low, high));
                    }
                }
            }
        }
    }
}

/// `GgGᵀ`.
///
/// # Safety
/// As [`input`].
#[inline(always)]
unsafe fn weights<S: Simd>(t: &WeightTile) {
    // SAFETY: as in `input`.
    unsafe {
        for channel in (0..t.channels).step_by(S::LANES) {
            let mut half = [[S::splat(0.0); 3]; INPUT_SIDE];
            for column in 0..3 {
                let taps = from_fn(|row| S::load(t.weights.add((row * 3 + column) * t.tap_step + channel)));
                let points = weights_line::<S>(taps);
                for row in 0..INPUT_SIDE {
                    half[row][column] = points[row];
                }
            }
            let to = t.points.add(channel);
            for row in 0..INPUT_SIDE {
                let points = weights_line::<S>(half[row]);
                for column in 0..INPUT_SIDE {
                    S::store(to.add((row * INPUT_SIDE + column) * t.point_step), points[column]);
                }
            }
        }
    }
}

/// `Bᵀ·d`.
///
/// # Safety
/// The processor has the instruction set `S`.
#[inline(always)]
unsafe fn input_line<S: Simd>(d: [S::Vector; 6]) -> [S::Vector; 6] {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let plus = |x, factor, y| S::multiply_add(x, S::splat(factor), y);
        let (even_a, odd_a) = (plus(d[2], -B2, d[4]), plus(d[1], -B2, d[3]));
        let (even_b, odd_b) = (plus(d[2], -A2, d[4]), plus(d[1], -A2, d[3]));
        [
            S::add(d[0], plus(d[2], -(A2 + B2), d[4])),
            plus(odd_a, A, even_a),
            plus(odd_a, -A, even_a),
            plus(odd_b, B, even_b),
            plus(odd_b, -B, even_b),
            S::add(d[1], plus(d[3], -(A2 + B2), d[5])),
        ]
    }
}

/// `Aᵀ·m`.
///
/// # Safety
/// As [`input_line`].
#[inline(always)]
unsafe fn output_line<S: Simd>(m: [S::Vector; 6]) -> [S::Vector; 4] {
    // SAFETY: as there.
    unsafe {
        let plus = |x, factor, y| S::multiply_add(x, S::splat(factor), y);
        let zero = S::splat(0.0);
        let (even_a, odd_a) = (S::add(m[1], m[2]), plus(m[2], -1.0, m[1]));
        let (even_b, odd_b) = (S::add(m[3], m[4]), plus(m[4], -1.0, m[3]));
        [
            S::add(m[0], S::add(even_a, even_b)),
            plus(odd_a, A, plus(odd_b, B, zero)),
            plus(even_a, A2, plus(even_b, B2, zero)),
            plus(odd_a, A * A2, plus(odd_b, B * B2, m[5])),
        ]
    }
}

/// `G·g`.
///
/// # Safety
/// As [`input_line`].
#[inline(always)]
unsafe fn weights_line<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 6] {
    // SAFETY: as there.
    unsafe {
        let zero = S::splat(0.0);
        let times = |x, factor| S::multiply_add(x, S::splat(factor), zero);
        let plus = |x, factor, y| S::multiply_add(x, S::splat(factor), y);
        let even_a = plus(g[2], GA * A2, times(g[0], GA));
        let even_b = plus(g[2], GB * B2, times(g[0], GB));
        [
            g[0],
            plus(g[1], GA * A, even_a),
            plus(g[1], -GA * A, even_a),
            plus(g[1], GB * B, even_b),
            plus(g[1], -GB * B, even_b),
            g[2],
        ]
    }
}
