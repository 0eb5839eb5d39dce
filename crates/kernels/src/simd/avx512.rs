//! AVX-512: 32 registers of 16 lanes.

use super::Simd;
use crate::element::Bf16;
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
    unsafe fn prefetch(at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

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

    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> __m512 {
        unsafe { widen(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16_partial(from: *const Bf16, len: usize) -> __m512 {
        unsafe { widen(_mm256_maskz_loadu_epi16(first(len), from.cast())) }
    }

    #[inline(always)]
    unsafe fn store_bf16(to: *mut Bf16, vector: __m512) {
        unsafe { _mm256_storeu_si256(to.cast(), narrow(vector)) }
    }

    #[inline(always)]
    unsafe fn store_bf16_partial(to: *mut Bf16, vector: __m512, len: usize) {
        unsafe { _mm256_mask_storeu_epi16(to.cast(), first(len), narrow(vector)) }
    }
}

#[inline(always)]
unsafe fn widen(bf16: __m256i) -> __m512 {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bf16))) }
}

/// Rounds to the nearest, of two to the even, as [`Bf16::of`] does.
#[inline(always)]
unsafe fn narrow(vector: __m512) -> __m256i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let bits = _mm512_castps_si512(vector);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(vector, vector);
        let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x40_0000));
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(_mm512_mask_mov_epi32(rounded, nan, quiet)))
    }
}
