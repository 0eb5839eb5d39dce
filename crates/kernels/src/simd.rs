//! The few vector operations that the register tiles are written in, for each instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

use crate::element::{Bf16, Element};

/// Vectors of `f32` of one instruction set.
///
/// # Safety
/// Every function may be called only where the processor has the instruction set, and pointers are valid for
/// [`Self::LANES`] elements, or for `len` of them in the partial functions (`len <= LANES`). No alignment is needed.
pub(crate) trait Simd: Copy {
    /// Elements of a vector.
    const LANES: usize;
    /// One register.
    type Vector: Copy;

    /// Asks for a line of the cache ahead of its use; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// `LANES` elements.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// `len` elements, then zeros.
    unsafe fn load_partial(from: *const f32, len: usize) -> Self::Vector;
    /// `LANES` elements.
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// The first `len` elements.
    unsafe fn store_partial(to: *mut f32, vector: Self::Vector, len: usize);
    /// `a + b`.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the instruction set can.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `min(max(x, low), high)`; NaN stays NaN.
    unsafe fn clamp(x: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;

    /// `LANES` elements.
    #[inline(always)]
    unsafe fn load_bf16(from: *const Bf16) -> Self::Vector {
        // SAFETY: the caller's word is passed on.
        unsafe { Self::load_bf16_partial(from, Self::LANES) }
    }
    /// `len` elements, then zeros.
    #[inline(always)]
    unsafe fn load_bf16_partial(from: *const Bf16, len: usize) -> Self::Vector {
        let mut lanes = [0.0f32; MAX_LANES];
        for i in 0..len {
            // SAFETY: `len` elements are valid, says the caller.
            lanes[i] = unsafe { (*from.add(i)).value() };
        }
        // SAFETY: the array has at least `LANES` elements.
        unsafe { Self::load(lanes.as_ptr()) }
    }
    /// `LANES` elements, rounded.
    #[inline(always)]
    unsafe fn store_bf16(to: *mut Bf16, vector: Self::Vector) {
        // SAFETY: the caller's word is passed on.
        unsafe { Self::store_bf16_partial(to, vector, Self::LANES) }
    }
    /// The first `len` elements, rounded.
    #[inline(always)]
    unsafe fn store_bf16_partial(to: *mut Bf16, vector: Self::Vector, len: usize) {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: the array has at least `LANES` elements; `len` elements are valid, says the caller.
        unsafe {
            Self::store(lanes.as_mut_ptr(), vector);
            for i in 0..len {
                *to.add(i) = Bf16::of(lanes[i]);
            }
        }
    }
}

/// The lanes of the widest vector.
pub(crate) const MAX_LANES: usize = 16;
