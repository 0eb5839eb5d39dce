//! AVX-512: 32 registers of 16 lanes.

use super::Simd;
use std::arch::x86_64::*;

/// Vectors of 16 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[inline(always)]
fn first(len: usize) -> __mmask16 {
    ((1u32 << len) - 1) as __mmask16
}

// SAFETY of all blocks: the caller of a `Simd` function vouches for the instruction set and for the pointers.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx512 {
    const LANES: usize = 16;
    type Vector = __m512;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, len: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(len), from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: __m512) {
        unsafe { _mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, vector: __m512, len: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(len), vector) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn clamp(x: __m512, low: __m512, high: __m512) -> __m512 {
        // Of a pair with NaN the instruction gives its second operand.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, x)) }
    }
}
