//! The transforms of F(4x4, 3x3) between pixels and points, on vectors of neighbouring channels.

use super::line::{input_line, output_gradient_line, output_line, weights_gradient_line, weights_line};
use super::{INPUT_SIDE, OUTPUT_PIXELS, OUTPUT_SIDE, POINTS};
use crate::dispatch::InstructionSet;
use crate::simd::Simd;
use std::array::from_fn;

/// One tile of an image.
pub(super) struct PixelTile<const PIXELS: usize> {
    /// Its pixels, row by row.
    pub(super) pixels: [*const f32; PIXELS],
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

/// The gradient of the weights between an input channel and some neighbouring output channels.
pub(super) struct WeightGradientTile {
    pub(super) points: *const f32,
    pub(super) point_step: usize,
    pub(super) channels: usize,
    pub(super) gradient: *mut f32,
    /// Elements from one tap to the next.
    pub(super) tap_step: usize,
}

/// The transforms of one instruction set.
///
/// # Safety
/// All that the fields of a tile address is valid, and `channels` is a whole number of vectors.
pub(super) struct Transforms {
    pub(super) input: unsafe fn(&PixelTile<POINTS>),
    pub(super) output: unsafe fn(&OutputTile),
    pub(super) weights: unsafe fn(&WeightTile),
    pub(super) output_gradient: unsafe fn(&PixelTile<OUTPUT_PIXELS>),
    pub(super) weights_gradient: unsafe fn(&WeightGradientTile),
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

            transforms!(input(PixelTile<POINTS>) [$($features)?] $simd);
            transforms!(output(OutputTile) [$($features)?] $simd);
            transforms!(weights(WeightTile) [$($features)?] $simd);
            transforms!(output_gradient(PixelTile<OUTPUT_PIXELS>) [$($features)?] $simd);
            transforms!(weights_gradient(WeightGradientTile) [$($features)?] $simd);

            pub(super) static TRANSFORMS: Transforms =
                Transforms { input, output, weights, output_gradient, weights_gradient };
        }
    };
    ($name:ident($tile:ty) [$($features:literal)?] $simd:ty) => {
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
unsafe fn input<S: Simd>(t: &PixelTile<POINTS>) {
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

/// `A·dy·Aᵀ`.
///
/// # Safety
/// As [`input`].
#[inline(always)]
unsafe fn output_gradient<S: Simd>(t: &PixelTile<OUTPUT_PIXELS>) {
    // SAFETY: as in `input`.
    unsafe {
        for channel in (0..t.channels).step_by(S::LANES) {
            let mut half = [[S::splat(0.0); OUTPUT_SIDE]; INPUT_SIDE];
            for column in 0..OUTPUT_SIDE {
                let pixels = from_fn(|row| S::load(t.pixels[row * OUTPUT_SIDE + column].add(channel)));
                let points = output_gradient_line::<S>(pixels);
                for row in 0..INPUT_SIDE {
                    half[row][column] = points[row];
                }
            }
            let to = t.points.add(channel);
            for row in 0..INPUT_SIDE {
                let points = output_gradient_line::<S>(half[row]);
                for column in 0..INPUT_SIDE {
                    S::store(to.add((row * INPUT_SIDE + column) * t.point_step), points[column]);
                }
            }
        }
    }
}

/// `dw += GᵀpG`.
///
/// # Safety
/// As [`input`].
#[inline(always)]
unsafe fn weights_gradient<S: Simd>(t: &WeightGradientTile) {
    // SAFETY: as in `input`.
    unsafe {
        for channel in (0..t.channels).step_by(S::LANES) {
            let mut half = [[S::splat(0.0); INPUT_SIDE]; 3];
            let from = t.points.add(channel);
            for column in 0..INPUT_SIDE {
                let points = from_fn(|row| S::load(from.add((row * INPUT_SIDE + column) * t.point_step)));
                let taps = weights_gradient_line::<S>(points);
                for row in 0..3 {
                    half[row][column] = taps[row];
                }
            }
            for row in 0..3 {
                let taps = weights_gradient_line::<S>(half[row]);
                for column in 0..3 {
                    let to = t.gradient.add((row * 3 + column) * t.tap_step + channel);
                    S::store(to, S::add(S::load(to), taps[column]));
                }
            }
        }
    }
}
