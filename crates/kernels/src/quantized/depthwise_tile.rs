//! The register tile of depthwise 3x3 convolutions of bytes.
//!
//! Three rows of the input and one of nothing are interleaved, byte by byte, so that a 32-bit lane is one channel of all
//! three rows: one instruction adds up a column of the window for 16 channels. Packing the results puts the channels back
//! where they were.

use super::tile::{LANES, MAX_VECTORS, channel, quarters};
use crate::depthwise::{DepthwiseShape, MAX_COLUMNS, unrolled_columns};
use crate::dispatch::InstructionSet;
use crate::window::Window;
use std::arch::x86_64::*;

/// Channels that are computed side by side: a register of bytes, and four of sums.
const BLOCK: usize = MAX_VECTORS * LANES;
/// The most output pixels of a tile: 24 registers of sums.
const MAX_PIXELS: usize = 6;
/// Bytes of a block's weights: for each quarter of its channels and each column of the window, a register.
const BLOCK_WEIGHTS: usize = MAX_VECTORS * 3 * BLOCK;

/// The weights of a convolution, packed for the tile.
pub(super) struct Tiles {
    run: &'static [Run; MAX_PIXELS],
    weights: Vec<i8>,
    scales: Vec<f32>,
    offsets: Vec<f32>,
    /// A pixel beyond the border.
    beyond: Vec<u8>,
}

impl std::fmt::Debug for Tiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tiles")
    }
}

impl Tiles {
    /// Where the convolution is of a kind that has a tile, and the processor the instruction; arguments as the fields of
    /// [`super::QuantizedDepthwise`].
    pub(super) fn new(
        shape: &DepthwiseShape,
        zero: u8,
        weights: &[i8],
        scales: &[f32],
        offsets: &[f32],
    ) -> Option<Self> {
        let w = &shape.window;
        let fits = shape.multiplier == 1
            && [w.kernel_h, w.kernel_w] == [3, 3]
            && [w.dilation_h, w.dilation_w] == [1, 1]
            && w.stride_h == w.stride_w
            && InstructionSet::multiplies_bytes();
        let run = if fits { TILES.get(w.stride_h.checked_sub(1)?)? } else { return None };
        let blocks = w.channels.div_ceil(BLOCK);
        let mut tiles = Self {
            run,
            weights: vec![0; blocks * BLOCK_WEIGHTS],
            scales: vec![0.0; blocks * BLOCK],
            offsets: vec![0.0; blocks * BLOCK],
            beyond: vec![zero; blocks * BLOCK],
        };
        for slot in 0..blocks * BLOCK {
            let (block, quarter, lane) = (slot / BLOCK, slot % BLOCK / LANES, slot % LANES);
            let c = block * BLOCK + channel(MAX_VECTORS, quarter, lane);
            if c >= w.channels {
                continue;
            }
            tiles.scales[slot] = scales[c];
            tiles.offsets[slot] = offsets[c];
            for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
                let register = (quarter * 3 + column) * BLOCK;
                tiles.weights[block * BLOCK_WEIGHTS + register + 4 * lane + row] =
                    weights[(row * 3 + column) * w.channels + c];
            }
        }
        Some(tiles)
    }

    /// As [`super::QuantizedDepthwise::forward`], whose window it has.
    pub(super) fn forward(&self, w: &Window, x: &[u8], y: &mut [u8]) {
        assert_eq!(x.len(), w.input_len(), "x has the window's length");
        assert_eq!(y.len(), w.out_pixels() * w.channels, "y has the window's length");
        let (channels, out_width) = (w.channels, w.out_width());
        if channels == 0 {
            return;
        }
        for (oy, y) in y.chunks_exact_mut((out_width * channels).max(1)).enumerate() {
            let pieces = out_width.div_ceil(MAX_PIXELS);
            let mut ox = 0;
            for piece in 0..pieces {
                let pixels = (out_width - ox).div_ceil(pieces - piece);
                let mut tile = Tile {
                    columns: [[self.beyond.as_ptr(); MAX_COLUMNS]; 3],
                    weights: self.weights.as_ptr(),
                    scales: self.scales.as_ptr(),
                    offsets: self.offsets.as_ptr(),
                    y: y[ox * channels..].as_mut_ptr(),
                    channels,
                };
                let under = (pixels - 1) * w.stride_w + 3;
                let start = ox * w.stride_w;
                let real = w.pad_left.saturating_sub(start).min(under)
                    ..(w.pad_left + w.width).saturating_sub(start).min(under);
                for row in w.taps_h(oy) {
                    let line = x.as_ptr().wrapping_add(w.input_y(oy, row) * w.width * channels);
                    for column in real.clone() {
                        tile.columns[row][column] =
                            line.wrapping_add((start + column - w.pad_left) * channels);
                    }
                }
                // SAFETY: every column points to a pixel beyond the border, as long as all blocks, or to a pixel of `x`:
                // `taps_h` gives rows of the image, and `real` columns of it. `ox + pixels <= out_width`; weights, scales and
                // offsets were packed for all blocks. The tiles were chosen for the window's stride on a processor that has
                // the instruction.
                unsafe { self.run[pixels - 1](&tile) };
                ox += pixels;
            }
        }
    }
}

/// One call of a tile: all channels of up to [`MAX_PIXELS`] neighbouring output pixels.
struct Tile {
    /// The input pixel of each row of the window and of each column under the tile.
    columns: [[*const u8; MAX_COLUMNS]; 3],
    weights: *const i8,
    scales: *const f32,
    offsets: *const f32,
    /// The first output pixel.
    y: *mut u8,
    channels: usize,
}

type Run = unsafe fn(&Tile);

/// # Safety
/// The processor has AVX-512 and its VNNI extension, and all that the fields of `t` address is valid.
#[target_feature(enable = "avx512vnni,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn run<const STRIDE: usize, const PIXELS: usize>(t: &Tile) {
    // SAFETY: the caller's word is passed on.
    unsafe {
        let whole = t.channels / BLOCK;
        for block in 0..whole {
            self::block::<STRIDE, PIXELS>(t, block, u64::MAX);
        }
        if whole * BLOCK < t.channels {
            self::block::<STRIDE, PIXELS>(t, whole, (1 << (t.channels - whole * BLOCK)) - 1);
        }
    }
}

/// One block of channels; `mask` says which of them exist.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn block<const STRIDE: usize, const PIXELS: usize>(t: &Tile, block: usize, mask: u64) {
    // SAFETY: the caller vouches for the instruction set and for every address; masked loads and stores stay within the
    // channels that exist.
    unsafe {
        let c = block * BLOCK;
        let weights = t.weights.add(block * BLOCK_WEIGHTS);
        let mut sums = [[_mm512_setzero_si512(); MAX_VECTORS]; PIXELS];
        unrolled_columns!(column < MAX_COLUMNS => {
            if column < (PIXELS - 1) * STRIDE + 3 {
                let mut rows = [_mm512_setzero_si512(); 3];
                for row in 0..3 {
                    rows[row] = _mm512_maskz_loadu_epi8(mask, t.columns[row][column].add(c).cast());
                }
                let x = quarters(rows[0], rows[1], rows[2], _mm512_setzero_si512());
                // The outputs whose window covers this column, each with its own tap.
                for tap in 0..3 {
                    if column >= tap && (column - tap).is_multiple_of(STRIDE) && (column - tap) / STRIDE < PIXELS {
                        let pixel = (column - tap) / STRIDE;
                        for quarter in 0..MAX_VECTORS {
                            let weights = _mm512_loadu_si512(weights.add((quarter * 3 + tap) * BLOCK).cast());
                            sums[pixel][quarter] = _mm512_dpbusd_epi32(sums[pixel][quarter], x[quarter], weights);
                        }
                    }
                }
            }
        });
        for pixel in 0..PIXELS {
            let mut values = [_mm512_setzero_si512(); MAX_VECTORS];
            for quarter in 0..MAX_VECTORS {
                let at = c + quarter * LANES;
                let (scale, offset) = (_mm512_loadu_ps(t.scales.add(at)), _mm512_loadu_ps(t.offsets.add(at)));
                let sum = _mm512_cvtepi32_ps(sums[pixel][quarter]);
                values[quarter] = _mm512_cvtps_epi32(_mm512_fmadd_ps(sum, scale, offset));
            }
            let low = _mm512_packs_epi32(values[0], values[1]);
            let high = _mm512_packs_epi32(values[2], values[3]);
            let to = t.y.add(pixel * t.channels + c).cast();
            _mm512_mask_storeu_epi8(to, mask, _mm512_packus_epi16(low, high));
        }
    }
}

const fn tiles<const STRIDE: usize>() -> [Run; MAX_PIXELS] {
    [
        run::<STRIDE, 1>,
        run::<STRIDE, 2>,
        run::<STRIDE, 3>,
        run::<STRIDE, 4>,
        run::<STRIDE, 5>,
        run::<STRIDE, 6>,
    ]
}

/// By stride - 1.
static TILES: [[Run; MAX_PIXELS]; 2] = [tiles::<1>(), tiles::<2>()];
