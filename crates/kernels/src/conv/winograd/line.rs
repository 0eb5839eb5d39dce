//! The transforms of F(4x4, 3x3) in one dimension.
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

use crate::simd::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;
const A2: f32 = 0.5;
const B2: f32 = 2.0;
/// 1 / (2a²(a² - b²)) and 1 / (2b²(b² - a²)): what the rows of G for ±a and for ±b are divided by. That of 0 is a²b² = 1.
const GA: f32 = -2.0 / 3.0;
const GB: f32 = 1.0 / 6.0;

/// `Bᵀ·d`.
///
/// # Safety
/// The processor has the instruction set `S`.
#[inline(always)]
pub(super) unsafe fn input_line<S: Simd>(d: [S::Vector; 6]) -> [S::Vector; 6] {
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
pub(super) unsafe fn output_line<S: Simd>(m: [S::Vector; 6]) -> [S::Vector; 4] {
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
pub(super) unsafe fn weights_line<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 6] {
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

/// `A·dy`.
///
/// # Safety
/// As [`input_line`].
#[inline(always)]
pub(super) unsafe fn output_gradient_line<S: Simd>(y: [S::Vector; 4]) -> [S::Vector; 6] {
    // SAFETY: as there.
    unsafe {
        let plus = |x, factor, y| S::multiply_add(x, S::splat(factor), y);
        let (even_a, odd_a) = (plus(y[2], A2, y[0]), plus(y[3], A2, y[1]));
        let (even_b, odd_b) = (plus(y[2], B2, y[0]), plus(y[3], B2, y[1]));
        [
            y[0],
            plus(odd_a, A, even_a),
            plus(odd_a, -A, even_a),
            plus(odd_b, B, even_b),
            plus(odd_b, -B, even_b),
            y[3],
        ]
    }
}

/// `Gᵀ·p`.
///
/// # Safety
/// As [`input_line`].
#[inline(always)]
pub(super) unsafe fn weights_gradient_line<S: Simd>(p: [S::Vector; 6]) -> [S::Vector; 3] {
    // SAFETY: as there.
    unsafe {
        let plus = |x, factor, y| S::multiply_add(x, S::splat(factor), y);
        let (even_a, odd_a) = (S::add(p[1], p[2]), plus(p[2], -1.0, p[1]));
        let (even_b, odd_b) = (S::add(p[3], p[4]), plus(p[4], -1.0, p[3]));
        [
            plus(even_a, GA, plus(even_b, GB, p[0])),
            plus(odd_a, GA * A, plus(odd_b, GB * B, S::splat(0.0))),
            plus(even_a, GA * A2, plus(even_b, GB * B2, p[5])),
        ]
    }
}
