//! AVX2 with fused multiply-add: 16 registers of 8 lanes.

use super::Simd;
use crate::element::Bf16;
use std::arch::x86_64::*;

/// Vectors of 8 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

// SAFETY of all blocks: the caller of a `Simd` function vouches for the instruction set and for the pointers; the mask
// is 8 of the 16 numbers above, as `len <= 8`.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx2 {
    const LANES: usize = 8;
    type Vector = __m256;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, len: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, _mm256_loadu_si256(MASKS.as_ptr().add(8 - len).cast())) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: __m256) {
        unsafe { _mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, vector: __m256, len: usize) {
        unsafe { _mm256_maskstore_ps(to, _mm256_loadu_si256(MASKS.as_ptr().add(8 - len).cast()), vector) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn clamp(x: __m256, low: __m256, high: __m256) -> __m256 {
        // Of a pair with NaN the instruction gives its second operand.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, x)) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> __m256 {
        unsafe {
            let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
        }
    }
}
