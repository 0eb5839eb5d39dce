//! Elements in registers: how a number goes into vectors of f32 and back.

use crate::element::{Bf16, Element};
use crate::simd::Simd;

/// The most channels of a pixel that tiles take.
pub(crate) const MAX_CHANNELS: usize = 4096;

/// Scratch memory of f32 as scratch memory of another kind of elements.
#[allow(private_bounds, reason = "kernels are compiled for the elements of this crate alone")]
pub fn scratch_of<E: Stored>(scratch: &mut [f32]) -> &mut [E] {
    let len = size_of_val(scratch) / size_of::<E>();
    // SAFETY: `Stored` is implemented for numbers of which any bits are one and which are aligned no stricter than f32;
    // the memory is borrowed exclusively for as long as the result lives.
    unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast(), len) }
}

/// How an element goes into vectors of f32 and back.
///
/// Any bits are an element, and its alignment divides that of f32.
///
/// # Safety
/// The functions are those of [`Simd`], on elements.
pub(crate) trait Stored: Element {
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector;
    unsafe fn load_partial<S: Simd>(from: *const Self, len: usize) -> S::Vector;
    unsafe fn store<S: Simd>(to: *mut Self, vector: S::Vector);
    unsafe fn store_partial<S: Simd>(to: *mut Self, vector: S::Vector, len: usize);

    /// As many zeros as a pixel of a tile may have channels.
    fn zeros() -> &'static [Self];
}

macro_rules! stored {
    ($element:ty, $zero:expr, $load:ident, $load_partial:ident, $store:ident, $store_partial:ident) => {
        // SAFETY of all blocks: the caller's word is passed on.
        #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
        impl Stored for $element {
            #[inline(always)]
            unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
                unsafe { S::$load(from) }
            }

            #[inline(always)]
            unsafe fn load_partial<S: Simd>(from: *const Self, len: usize) -> S::Vector {
                unsafe { S::$load_partial(from, len) }
            }

            #[inline(always)]
            unsafe fn store<S: Simd>(to: *mut Self, vector: S::Vector) {
                unsafe { S::$store(to, vector) }
            }

            #[inline(always)]
            unsafe fn store_partial<S: Simd>(to: *mut Self, vector: S::Vector, len: usize) {
                unsafe { S::$store_partial(to, vector, len) }
            }

            fn zeros() -> &'static [Self] {
                static ZEROS: [$element; MAX_CHANNELS] = [$zero; MAX_CHANNELS];
                &ZEROS
            }
        }
    };
}

stored!(f32, 0.0, load, load_partial, store, store_partial);
stored!(Bf16, Bf16(0), load_bf16, load_bf16_partial, store_bf16, store_bf16_partial);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_memory_holds_two_halves_a_float() {
        assert_eq!(scratch_of::<Bf16>(&mut [0.0; 4]).len(), 8);
    }
}
