//! What a forward tile multiplies and adds up: a kind of elements, on an instruction set.

use crate::element::{Bf16, Element};
use crate::simd::{MAX_LANES, Simd};
use crate::stored::Stored;
use std::marker::PhantomData;

/// One step of a forward tile: `GROUP` neighbouring elements of a pixel are multiplied with as many weights of each of
/// `LANES` output channels, and the products added to the channels' sums.
///
/// # Safety
/// As in [`Simd`]; pointers are valid for `GROUP` elements of a pixel, `GROUP * LANES` weights, or the channels.
pub(super) trait Product {
    /// Of the sums, and of all that is done before they are stored.
    type Simd: Simd;
    /// Of pixels, weights and results.
    type Element: Stored;
    /// The elements of a pixel, in all lanes.
    type Factor: Copy;
    /// One register of weights, or what it was split into.
    type Weights: Copy;
    const GROUP: usize;

    unsafe fn broadcast(from: *const Self::Element) -> Self::Factor;
    /// The weights of each channel stand side by side.
    unsafe fn weights(from: *const Self::Element) -> Self::Weights;
    unsafe fn multiply_add(factor: Self::Factor, weights: Self::Weights, sums: Vector<Self>) -> Vector<Self>;

    /// Stores a panel of `channels` channels, `full` if that is all lanes of all vectors.
    #[inline(always)]
    unsafe fn store<const VECTORS: usize>(
        to: *mut Self::Element,
        values: [Vector<Self>; VECTORS],
        channels: usize,
        full: bool,
    ) {
        // SAFETY: the caller's word is passed on; the partial store writes no element beyond the channels.
        unsafe {
            for v in 0..VECTORS {
                let first = v * Self::Simd::LANES;
                let to = to.wrapping_add(first);
                if full {
                    Self::Element::store::<Self::Simd>(to, values[v]);
                } else {
                    let channels = channels.saturating_sub(first).min(Self::Simd::LANES);
                    Self::Element::store_partial::<Self::Simd>(to, values[v], channels);
                }
            }
        }
    }
}

pub(super) type Vector<P> = <<P as Product>::Simd as Simd>::Vector;

/// f32, one at a time.
pub(super) struct Floats<S>(PhantomData<S>);

// SAFETY of all blocks: the caller's word is passed on.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl<S: Simd> Product for Floats<S> {
    type Simd = S;
    type Element = f32;
    type Factor = S::Vector;
    type Weights = S::Vector;
    const GROUP: usize = 1;

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> S::Vector {
        unsafe { S::splat(*from) }
    }

    #[inline(always)]
    unsafe fn weights(from: *const f32) -> S::Vector {
        unsafe { S::load(from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(factor: S::Vector, weights: S::Vector, sums: S::Vector) -> S::Vector {
        unsafe { S::multiply_add(factor, weights, sums) }
    }
}

/// Pairs of bf16, on a processor that only multiplies f32.
pub(super) struct WidenedPairs<S>(PhantomData<S>);

// SAFETY of all blocks: the caller vouches for the pointers and for the instruction set; the arrays have `LANES` elements
// or more.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl<S: Simd> Product for WidenedPairs<S> {
    type Simd = S;
    type Element = Bf16;
    type Factor = [S::Vector; 2];
    type Weights = [S::Vector; 2];
    const GROUP: usize = 2;

    #[inline(always)]
    unsafe fn broadcast(from: *const Bf16) -> [S::Vector; 2] {
        unsafe { [S::splat((*from).value()), S::splat((*from.add(1)).value())] }
    }

    #[inline(always)]
    unsafe fn weights(from: *const Bf16) -> [S::Vector; 2] {
        let mut lanes = [[0.0f32; MAX_LANES]; 2];
        for i in 0..S::LANES {
            lanes[0][i] = unsafe { (*from.add(2 * i)).value() };
            lanes[1][i] = unsafe { (*from.add(2 * i + 1)).value() };
        }
        unsafe { [S::load(lanes[0].as_ptr()), S::load(lanes[1].as_ptr())] }
    }

    #[inline(always)]
    unsafe fn multiply_add(factor: [S::Vector; 2], weights: [S::Vector; 2], sums: S::Vector) -> S::Vector {
        // In the order of the instruction for pairs.
        unsafe { S::multiply_add(factor[0], weights[0], S::multiply_add(factor[1], weights[1], sums)) }
    }
}

/// Pairs of bf16, on a processor that multiplies them.
#[cfg(target_arch = "x86_64")]
pub(super) struct Pairs;

#[cfg(target_arch = "x86_64")]
mod pairs {
    use super::*;
    use crate::simd::avx512::Avx512;
    use std::arch::x86_64::*;

    // SAFETY of all blocks: the caller vouches for the pointers and for AVX-512 with its bf16 extension; the two register
    // types that are taken for each other are of one size, and any bits are valid in both.
    #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
    impl Product for Pairs {
        type Simd = Avx512;
        type Element = Bf16;
        type Factor = __m512bh;
        type Weights = __m512bh;
        const GROUP: usize = 2;

        #[inline(always)]
        unsafe fn broadcast(from: *const Bf16) -> __m512bh {
            unsafe {
                std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(
                    from.cast::<i32>().read_unaligned(),
                ))
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const Bf16) -> __m512bh {
            unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast())) }
        }

        #[inline(always)]
        unsafe fn multiply_add(factor: __m512bh, weights: __m512bh, sums: __m512) -> __m512 {
            unsafe { _mm512_dpbf16_ps(sums, weights, factor) }
        }

        #[inline(always)]
        unsafe fn store<const VECTORS: usize>(
            to: *mut Bf16,
            values: [__m512; VECTORS],
            channels: usize,
            full: bool,
        ) {
            let second = if VECTORS == 2 { values[1] } else { values[0] };
            unsafe {
                let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, values[0]));
                match (full, VECTORS) {
                    (true, 2) => _mm512_storeu_si512(to.cast(), both),
                    (true, _) => _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(both)),
                    (false, _) => {
                        let mask = ((1u64 << channels) - 1) as __mmask32;
                        _mm512_mask_storeu_epi16(to.cast(), mask, both);
                    }
                }
            }
        }
    }
}
