//! NEON: 32 registers of 4 lanes.

use super::Simd;
use std::arch::aarch64::*;

/// Vectors of 4 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

// SAFETY of all blocks: the caller of a `Simd` function vouches for the instruction set and for the pointers; partial
// loads and stores copy `len <= 4` elements between the pointer and an array of 4.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Neon {
    const LANES: usize = 4;
    type Vector = float32x4_t;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, len: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), len);
            vld1q_f32(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: float32x4_t) {
        unsafe { vst1q_f32(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, vector: float32x4_t, len: usize) {
        let mut lanes = [0.0; 4];
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), vector);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, len);
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn clamp(x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(high, vmaxq_f32(low, x)) }
    }
}
