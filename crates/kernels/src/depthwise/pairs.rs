//! The register tile of depthwise 3x3 convolutions of bf16, by the instruction that adds up the products of pairs.
//!
//! Two rows of the input are interleaved, element by element, so that a pair is one channel of two rows; the third row is
//! interleaved with zeros. 12 products and 4 interleavings do for 32 channels of one output pixel what would take 18
//! products and 12 conversions in f32.

use super::DepthwiseShape;
use super::tile::{LinesOf, MAX_COLUMNS, MAX_PIXELS, Tile, unrolled_columns};
use crate::dispatch::InstructionSet;
use crate::element::{Bf16, Element};
use crate::stored::MAX_CHANNELS;
use crate::stored::Stored;
use std::arch::x86_64::*;

/// Channels that are computed side by side: one register of bf16, two registers of sums.
const BLOCK: usize = 32;
/// The weights of a block: for each half of its channels, each pair of rows and each tap, a register of pairs.
const BLOCK_WEIGHTS: usize = 2 * 2 * 3 * BLOCK;

/// The tiles for a convolution, where it is of a kind that has them and the processor the instruction.
pub(super) fn lines_of(shape: &DepthwiseShape) -> Option<&'static LinesOf<Bf16>> {
    let w = &shape.window;
    let fits = shape.multiplier == 1
        && [w.kernel_h, w.kernel_w] == [3, 3]
        && [w.dilation_h, w.dilation_w] == [1, 1]
        && w.stride_h == w.stride_w
        && w.channels <= MAX_CHANNELS - BLOCK
        && InstructionSet::multiplies_bf16();
    if fits { LINES.get(w.stride_h.checked_sub(1)?) } else { None }
}

/// The channel within a block whose pairs lane `lane` of half `half` holds: interleaving works in eighths of a register.
const fn channel(half: usize, lane: usize) -> usize {
    lane / 4 * 8 + half * 4 + lane % 4
}

/// Weights `[3, 3, channels]` and bias in the order in which the tile reads them, zeros for channels that do not exist.
pub(super) fn pack(channels: usize, weights: &[f32], bias: Option<&[f32]>) -> (Vec<Bf16>, Vec<f32>) {
    let blocks = channels.div_ceil(BLOCK);
    let mut packed = vec![Bf16::default(); blocks * BLOCK_WEIGHTS];
    let mut packed_bias = vec![0.0; blocks * BLOCK];
    for block in 0..blocks {
        for (half, lane) in (0..2).flat_map(|half| (0..16).map(move |lane| (half, lane))) {
            let c = block * BLOCK + channel(half, lane);
            if c >= channels {
                continue;
            }
            packed_bias[block * BLOCK + half * 16 + lane] = bias.map_or(0.0, |bias| bias[c]);
            for (row, tap) in (0..3).flat_map(|row| (0..3).map(move |tap| (row, tap))) {
                let register = (half * 2 + row / 2) * 3 + tap;
                packed[block * BLOCK_WEIGHTS + register * BLOCK + 2 * lane + row % 2] =
                    Bf16::of(weights[(row * 3 + tap) * channels + c]);
            }
        }
    }
    (packed, packed_bias)
}

/// Where the tile finds each channel of a block when its sums have been rounded, the two halves one after the other.
static ORDER: [u16; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        order[channel(i / 16, i % 16)] = i as u16;
        i += 1;
    }
    order
};

/// # Safety
/// The processor has AVX-512 and its bf16 extension, and all that the fields of `t` address is valid; the weights and the
/// bias are those of [`pack`].
#[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn run<const STRIDE: usize, const PIXELS: usize>(t: &Tile<Bf16>) {
    // SAFETY: the caller's word is passed on.
    unsafe {
        let whole = t.channels / BLOCK;
        for block in 0..whole {
            self::block::<STRIDE, PIXELS>(t, block, None);
        }
        if whole * BLOCK < t.channels {
            let mask = (1u32 << (t.channels - whole * BLOCK)) - 1;
            self::block::<STRIDE, PIXELS>(t, whole, Some(mask));
        }
    }
}

/// One block of channels; `mask` says which of them exist, where not all do.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn block<const STRIDE: usize, const PIXELS: usize>(
    t: &Tile<Bf16>,
    block: usize,
    mask: Option<__mmask32>,
) {
    // SAFETY: the caller vouches for the instruction set and for every address; masked loads and stores stay within the
    // channels that exist. The two register types that are taken for each other are of one size, and any bits are valid
    // in both.
    unsafe {
        let c = block * BLOCK;
        let beyond = [Bf16::zeros().as_ptr(); MAX_COLUMNS];
        let rows: [&[*const Bf16; MAX_COLUMNS]; 3] =
            std::array::from_fn(|row| match row.checked_sub(t.first_row).filter(|&row| row < t.rows) {
                Some(row) => &t.columns[row],
                None => &beyond,
            });
        let pairs = |register: __m512i| std::mem::transmute::<__m512i, __m512bh>(register);
        let weights = t.pairs.add(block * BLOCK_WEIGHTS);
        let weights = |half: usize, pair: usize, tap: usize| {
            pairs(_mm512_loadu_si512(weights.add(((half * 2 + pair) * 3 + tap) * BLOCK).cast()))
        };
        let weights: [[[__m512bh; 3]; 2]; 2] = std::array::from_fn(|half| {
            std::array::from_fn(|pair| std::array::from_fn(|tap| weights(half, pair, tap)))
        });
        let bias = [_mm512_loadu_ps(t.pairs_bias.add(c)), _mm512_loadu_ps(t.pairs_bias.add(c + 16))];
        let mut sums = [bias; PIXELS];
        unrolled_columns!(column < MAX_COLUMNS => {
            if column < (PIXELS - 1) * STRIDE + 3 {
                let x: [__m512i; 3] = std::array::from_fn(|row| {
                    let from: *const Bf16 = rows[row][column].wrapping_add(c);
                    match mask {
                        None => _mm512_loadu_si512(from.cast()),
                        Some(mask) => _mm512_maskz_loadu_epi16(mask, from.cast()),
                    }
                });
                let nothing = _mm512_setzero_si512();
                let x = [
                    [pairs(_mm512_unpacklo_epi16(x[0], x[1])), pairs(_mm512_unpacklo_epi16(x[2], nothing))],
                    [pairs(_mm512_unpackhi_epi16(x[0], x[1])), pairs(_mm512_unpackhi_epi16(x[2], nothing))],
                ];
                // The outputs whose window covers this column, each with its own tap.
                for tap in 0..3 {
                    if column >= tap && (column - tap).is_multiple_of(STRIDE) && (column - tap) / STRIDE < PIXELS {
                        let pixel = (column - tap) / STRIDE;
                        for half in 0..2 {
                            for pair in 0..2 {
                                sums[pixel][half] =
                                    _mm512_dpbf16_ps(sums[pixel][half], x[half][pair], weights[half][pair][tap]);
                            }
                        }
                    }
                }
            }
        });
        let order = _mm512_loadu_si512(ORDER.as_ptr().cast());
        let (low, high) = (_mm512_set1_ps(t.low), _mm512_set1_ps(t.high));
        for pixel in 0..PIXELS {
            // Of a pair with NaN the instruction gives its second operand.
            let [first, second] = sums[pixel].map(|sum| _mm512_min_ps(high, _mm512_max_ps(low, sum)));
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
            let value = _mm512_permutexvar_epi16(order, both);
            let to = t.y.wrapping_add(pixel * t.channels + c);
            match mask {
                None => _mm512_storeu_si512(to.cast(), value),
                Some(mask) => _mm512_mask_storeu_epi16(to.cast(), mask, value),
            }
        }
    }
}

const fn lines<const STRIDE: usize>() -> LinesOf<Bf16> {
    const { assert!(MAX_PIXELS == 8) };
    [
        run::<STRIDE, 1>,
        run::<STRIDE, 2>,
        run::<STRIDE, 3>,
        run::<STRIDE, 4>,
        run::<STRIDE, 5>,
        run::<STRIDE, 6>,
        run::<STRIDE, 7>,
        run::<STRIDE, 8>,
    ]
}

/// By stride - 1.
static LINES: [LinesOf<Bf16>; 2] = [lines::<1>(), lines::<2>()];
