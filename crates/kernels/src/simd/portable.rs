//! Arrays of 8 lanes, which the compiler turns into whatever vectors its baseline has.

use super::Simd;
use std::array::from_fn;

/// Arrays of 8 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

// SAFETY of all blocks: the caller of a `Simd` function vouches for the pointers; partial loads and stores copy
// `len <= 8` elements between the pointer and an array of 8.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Portable {
    const LANES: usize = 8;
    type Vector = [f32; 8];

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, len: usize) -> [f32; 8] {
        let mut lanes = [0.0; 8];
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), len) };
        lanes
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: [f32; 8]) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, vector: [f32; 8], len: usize) {
        unsafe { std::ptr::copy_nonoverlapping(vector.as_ptr(), to, len) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    unsafe fn clamp(x: [f32; 8], low: [f32; 8], high: [f32; 8]) -> [f32; 8] {
        from_fn(|i| {
            let x = if x[i] < low[i] { low[i] } else { x[i] };
            if x > high[i] { high[i] } else { x }
        })
    }
}
