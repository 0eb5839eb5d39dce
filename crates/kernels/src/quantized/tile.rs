//! The register tile of int8 convolutions: `ROWS` output pixels by `VECTORS` vectors of output channels.
//!
//! Each step takes four neighbouring bytes of a pixel, in all lanes, and as many weights of every channel. The lanes of a
//! panel are in the order in which 32-bit numbers come out of packing them to bytes ([`channel`]), so that the sums of a
//! panel are packed into one register without being moved across it.

#[cfg(target_arch = "x86_64")]
use crate::dispatch::InstructionSet;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Bytes of a run that one step takes.
pub(super) const GROUP: usize = 4;
/// Lanes of a vector, which the portable tile has as well.
pub(super) const LANES: usize = 16;
/// The most vectors of a panel.
pub(super) const MAX_VECTORS: usize = 4;

/// A tile's operands. `count` tiles follow one another along the pixels.
#[derive(Clone, Copy)]
pub(super) struct ByteTile {
    /// The first pixel's first tap.
    pub(super) x: *const u8,
    /// Bytes from the taps of one output pixel to those of the next.
    pub(super) pixel_step: usize,
    /// The taps: `rows` x `columns` runs of `run` contiguous bytes, a whole number of groups.
    pub(super) rows: usize,
    pub(super) row_step: usize,
    pub(super) columns: usize,
    pub(super) column_step: usize,
    pub(super) run: usize,
    /// The packed panel: `[rows, columns, run / GROUP, VECTORS * LANES, GROUP]`.
    pub(super) weights: *const i8,
    /// Of each lane: what a sum is multiplied with, and what is added then, in steps of the output's bytes.
    pub(super) scales: *const f32,
    pub(super) offsets: *const f32,
    /// Of each lane: what the residual's bytes are multiplied with.
    pub(super) residual_scales: *const f32,
    /// The first output pixel, at the panel's first channel.
    pub(super) y: *mut u8,
    /// Bytes from one output pixel to the next.
    pub(super) y_step: usize,
    /// Like `y`; null for none.
    pub(super) residual: *const u8,
    /// Channels of the panel that exist.
    pub(super) channels: usize,
    pub(super) count: usize,
}

type Run = unsafe fn(&ByteTile);

/// The tiles of one instruction set.
pub(super) struct ByteTiles {
    /// By the logarithm of the vectors, and by rows - 1.
    run: [&'static [Run]; 3],
}

impl std::fmt::Debug for ByteTiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByteTiles")
    }
}

impl ByteTiles {
    /// Those of the best instruction set of this processor.
    pub(super) fn detected() -> &'static Self {
        #[cfg(target_arch = "x86_64")]
        if InstructionSet::multiplies_bytes() {
            return &vnni::TILES;
        }
        &PORTABLE
    }

    /// Pixels of the tallest tile.
    pub(super) fn longest_piece(&self) -> usize {
        self.run[0].len()
    }

    /// Runs the tile over `pixels` pixels, cut into tiles of nearly equal heights; `tile.count` is not read.
    ///
    /// # Safety
    /// All that the tile's fields address for these pixels is valid, and nobody else uses what it writes.
    pub(super) unsafe fn run(&self, vectors: usize, pixels: usize, mut tile: ByteTile) {
        let table = self.run[vectors.trailing_zeros() as usize];
        for (rows, count) in crate::tile::even_split(pixels, table.len()) {
            tile.count = count;
            // SAFETY: the tables hold functions of an instruction set that was detected; the rest is the caller's word.
            unsafe { table[rows - 1](&tile) };
            tile.x = tile.x.wrapping_add(rows * count * tile.pixel_step);
            tile.y = tile.y.wrapping_add(rows * count * tile.y_step);
            if !tile.residual.is_null() {
                tile.residual = tile.residual.wrapping_add(rows * count * tile.y_step);
            }
        }
    }
}

/// The channel of a panel that lane `lane` of vector `vector` computes.
pub(super) const fn channel(vectors: usize, vector: usize, lane: usize) -> usize {
    (lane / 4 * vectors + vector) * 4 + lane % 4
}

/// Four registers of bytes, interleaved: quarter `q` of the result holds, in lane `l`, channel `channel(4, q, l)` of all
/// four.
///
/// # Safety
/// The processor has AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; MAX_VECTORS] {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
        let (high_ab, high_cd) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
        [
            _mm512_unpacklo_epi16(ab, cd),
            _mm512_unpackhi_epi16(ab, cd),
            _mm512_unpacklo_epi16(high_ab, high_cd),
            _mm512_unpackhi_epi16(high_ab, high_cd),
        ]
    }
}

pub(super) static PORTABLE: ByteTiles = ByteTiles {
    run: [
        &[portable::<1>, portable2::<1>],
        &[portable::<2>, portable2::<2>],
        &[portable::<4>, portable2::<4>],
    ],
};

/// # Safety
/// All that the fields of `t` address is valid.
unsafe fn portable<const VECTORS: usize>(t: &ByteTile) {
    // SAFETY: the caller's word is passed on.
    unsafe { plain::<1, VECTORS>(t) }
}

/// # Safety
/// All that the fields of `t` address is valid.
unsafe fn portable2<const VECTORS: usize>(t: &ByteTile) {
    // SAFETY: the caller's word is passed on.
    unsafe { plain::<2, VECTORS>(t) }
}

/// # Safety
/// All that the fields of `t` address is valid.
#[inline(always)]
unsafe fn plain<const ROWS: usize, const VECTORS: usize>(t: &ByteTile) {
    let width = VECTORS * LANES;
    for pixel in 0..ROWS * t.count {
        let mut sums = [0i32; MAX_VECTORS * LANES];
        let sums = &mut sums[..width];
        let mut weights = t.weights;
        for (row, column) in (0..t.rows).flat_map(|row| (0..t.columns).map(move |column| (row, column))) {
            let at = pixel * t.pixel_step + row * t.row_step + column * t.column_step;
            for k in (0..t.run).step_by(GROUP) {
                // SAFETY: the caller vouches for the taps of every pixel and for a panel of weights for each group of them.
                let (x, w) = unsafe {
                    (
                        t.x.add(at + k).cast::<[u8; GROUP]>().read(),
                        std::slice::from_raw_parts(weights, GROUP * width),
                    )
                };
                for (sum, w) in sums.iter_mut().zip(w.chunks_exact(GROUP)) {
                    *sum += x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(*w)).sum::<i32>();
                }
                weights = weights.wrapping_add(GROUP * width);
            }
        }
        for (vector, lane) in (0..VECTORS).flat_map(|vector| (0..LANES).map(move |lane| (vector, lane))) {
            let (slot, channel) = (vector * LANES + lane, channel(VECTORS, vector, lane));
            if channel >= t.channels {
                continue;
            }
            // SAFETY: the caller vouches for the panel's scales and offsets and for the channels that exist.
            unsafe {
                let mut value = (sums[slot] as f32).mul_add(*t.scales.add(slot), *t.offsets.add(slot));
                if !t.residual.is_null() {
                    let residual = f32::from(*t.residual.add(pixel * t.y_step + channel));
                    value = residual.mul_add(*t.residual_scales.add(slot), value);
                }
                *t.y.add(pixel * t.y_step + channel) = value.round_ties_even() as u8;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use super::{ByteTile, ByteTiles, GROUP, LANES};
    use crate::tile::unrolled;
    use std::arch::x86_64::*;

    /// How far ahead of their use weights are asked for, as in [`crate::tile`].
    const PREFETCHED_BYTES: usize = 2048;

    /// # Safety
    /// The processor has AVX-512 and its VNNI extension, and all that the fields of `t` address is valid.
    #[target_feature(enable = "avx512vnni,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    unsafe fn run<const ROWS: usize, const VECTORS: usize>(t: &ByteTile) {
        // SAFETY: the caller vouches for the instruction set and for every address; masked loads and stores stay within the
        // channels that exist.
        unsafe {
            for tile in 0..t.count {
                let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
                let first = t.x.add(tile * ROWS * t.pixel_step);
                let mut weights = t.weights;
                for row in 0..t.rows {
                    for column in 0..t.columns {
                        let x = first.add(row * t.row_step + column * t.column_step);
                        // Every third pixel has a pointer; its neighbours are one and two steps away.
                        let x: [*const u8; 5] = std::array::from_fn(|i| x.wrapping_add(3 * i * t.pixel_step));
                        for k in (0..t.run).step_by(GROUP) {
                            let mut w = [_mm512_setzero_si512(); VECTORS];
                            for v in 0..VECTORS {
                                w[v] = _mm512_loadu_si512(weights.add(v * LANES * GROUP).cast());
                                let ahead = weights.wrapping_add(v * LANES * GROUP + PREFETCHED_BYTES);
                                _mm_prefetch::<_MM_HINT_T0>(ahead);
                            }
                            weights = weights.add(VECTORS * LANES * GROUP);
                            unrolled!(r < ROWS => {
                                let from = x[r / 3].add(r % 3 * t.pixel_step + k).cast::<i32>();
                                let value = _mm512_set1_epi32(from.read_unaligned());
                                for v in 0..VECTORS {
                                    sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], value, w[v]);
                                }
                            });
                        }
                    }
                }
                unrolled!(r < ROWS => {
                    let offset = (tile * ROWS + r) * t.y_step;
                    let mut residual = [_mm512_setzero_si512(); VECTORS];
                    if !t.residual.is_null() {
                        residual = widen::<VECTORS>(t.residual.add(offset), t.channels);
                    }
                    let mut bytes = [_mm512_setzero_si512(); VECTORS];
                    for v in 0..VECTORS {
                        let scale = _mm512_loadu_ps(t.scales.add(v * LANES));
                        let sum = _mm512_cvtepi32_ps(sums[r][v]);
                        let mut value = _mm512_fmadd_ps(sum, scale, _mm512_loadu_ps(t.offsets.add(v * LANES)));
                        if !t.residual.is_null() {
                            let scale = _mm512_loadu_ps(t.residual_scales.add(v * LANES));
                            value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(residual[v]), scale, value);
                        }
                        bytes[v] = _mm512_cvtps_epi32(value);
                    }
                    store::<VECTORS>(t.y.add(offset), bytes, t.channels);
                });
            }
        }
    }

    const fn mask(channels: usize) -> u64 {
        if channels >= 64 { u64::MAX } else { (1 << channels) - 1 }
    }

    /// The bytes of a panel's channels as 32-bit numbers, in the order of its lanes.
    ///
    /// # Safety
    /// As [`run`]; `from` is valid for `channels` bytes.
    #[inline(always)]
    unsafe fn widen<const VECTORS: usize>(from: *const u8, channels: usize) -> [__m512i; VECTORS] {
        // SAFETY: the loads read no byte beyond the channels that the caller vouches for.
        unsafe {
            let nothing = _mm512_setzero_si512();
            let from = from.cast::<i8>();
            let all = match VECTORS {
                1 => [_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask(channels) as u16, from)); 4],
                2 => {
                    let halves = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask(channels) as u32, from));
                    let low = _mm512_unpacklo_epi16(halves, nothing);
                    let high = _mm512_unpackhi_epi16(halves, nothing);
                    [low, high, low, high]
                }
                _ => {
                    let bytes = _mm512_maskz_loadu_epi8(mask(channels), from);
                    super::quarters(bytes, nothing, nothing, nothing)
                }
            };
            let mut each = [nothing; VECTORS];
            each.copy_from_slice(&all[..VECTORS]);
            each
        }
    }

    /// The counterpart of [`widen`], bounded by 0 and 255.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn store<const VECTORS: usize>(to: *mut u8, values: [__m512i; VECTORS], channels: usize) {
        // SAFETY: the stores write no byte beyond the channels that the caller vouches for.
        unsafe {
            let (nothing, to) = (_mm512_setzero_si512(), to.cast::<i8>());
            match VECTORS {
                1 => {
                    let bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(values[0], nothing));
                    _mm_mask_storeu_epi8(to, mask(channels) as u16, bytes);
                }
                2 => {
                    let halves = _mm512_packs_epi32(values[0], values[VECTORS / 2]);
                    let bytes = _mm512_cvtusepi16_epi8(_mm512_max_epi16(halves, nothing));
                    _mm256_mask_storeu_epi8(to, mask(channels) as u32, bytes);
                }
                _ => {
                    let low = _mm512_packs_epi32(values[0], values[VECTORS / 4]);
                    let high = _mm512_packs_epi32(values[VECTORS / 2], values[VECTORS / 4 + VECTORS / 2]);
                    _mm512_mask_storeu_epi8(to, mask(channels), _mm512_packus_epi16(low, high));
                }
            }
        }
    }

    macro_rules! table {
        ($vectors:literal: $($rows:literal)*) => { &[$(run::<$rows, $vectors>),*] };
    }

    pub(super) static TILES: ByteTiles = ByteTiles {
        run: [
            table!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            table!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            table!(4: 1 2 3 4 5 6 7),
        ],
    };
}
