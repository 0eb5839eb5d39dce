//! The register tiles: the inner loops of convolution and of its weight gradient.
//!
//! A tile holds `ROWS` x `VECTORS` accumulators in registers. For each step of the summed index it loads `VECTORS`
//! vectors of one operand and broadcasts `ROWS` numbers of the other, which lies in place and is never packed.
//!
//! | instruction set | rows | vectors | accumulators |
//! |---|---|---|---|
//! | AVX-512 | 14 | 2 of 16 lanes | 28 of 32 registers |
//! | AVX2 | 6 | 2 of 8 lanes | 12 of 16 registers |
//! | NEON | 12 | 2 of 4 lanes | 24 of 32 registers |
//! | portable | 2 | 2 of 8 lanes | 8 of 16 SSE registers |

mod gradient;
mod product;

use crate::dispatch::InstructionSet;
use crate::element::Bf16;
use crate::simd::Simd;
use crate::simd::portable::Portable;
use crate::stored::Stored;
use gradient::Gradient;
pub(crate) use gradient::GradientTile;
use product::{Floats, Product, WidenedPairs};

/// A forward tile's operands. `count` tiles follow one another along the pixels.
#[derive(Clone, Copy)]
pub(crate) struct ForwardTile<E> {
    /// The first pixel's first tap.
    pub(crate) x: *const E,
    /// Elements from the taps of one output pixel to those of the next.
    pub(crate) pixel_step: usize,
    /// The taps: `rows` x `columns` runs of `run` contiguous elements.
    pub(crate) rows: usize,
    pub(crate) row_step: usize,
    pub(crate) columns: usize,
    pub(crate) column_step: usize,
    /// A whole number of groups.
    pub(crate) run: usize,
    /// The packed panel: `[rows, columns, run / group, VECTORS * LANES, group]`.
    pub(crate) weights: *const E,
    /// The first output pixel, at the panel's first channel.
    pub(crate) y: *mut E,
    /// Elements from one output pixel to the next.
    pub(crate) y_step: usize,
    /// Like `y`, which it may be; null for none.
    pub(crate) residual: *const E,
    /// At the panel's first channel; null for none.
    pub(crate) bias: *const f32,
    /// Channels of the panel that exist.
    pub(crate) channels: usize,
    pub(crate) low: f32,
    pub(crate) high: f32,
    pub(crate) count: usize,
}

type Forward<E> = unsafe fn(&ForwardTile<E>);

/// The tiles of one instruction set for one kind of elements, by vectors - 1 and rows - 1.
pub(crate) struct Tiles<E: 'static = f32> {
    pub(crate) instruction_set: InstructionSet,
    /// Lanes of one vector.
    pub(crate) lanes: usize,
    /// Elements of a run that one step of the forward tile takes.
    pub(crate) group: usize,
    forward: [&'static [Forward<E>]; 2],
    /// There for f32 alone.
    gradient: [&'static [Gradient]; 2],
}

/// Elements that convolution's tiles are compiled for.
pub(crate) trait Tiled: Stored {
    /// The tiles for this processor.
    fn tiles() -> &'static Tiles<Self>;
}

impl Tiled for f32 {
    fn tiles() -> &'static Tiles<Self> {
        Tiles::<Self>::detected()
    }
}

impl Tiled for Bf16 {
    fn tiles() -> &'static Tiles<Self> {
        Tiles::<Self>::detected()
    }
}

impl<E> std::fmt::Debug for Tiles<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tiles({:?})", self.instruction_set)
    }
}

impl Tiles {
    /// Those of the best instruction set of this processor.
    pub(crate) fn detected() -> &'static Self {
        match InstructionSet::detected() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &avx512::TILES,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &avx2::TILES,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &neon::TILES,
            _ => &portable::TILES,
        }
    }
}

impl Tiles<Bf16> {
    /// Those of the best instruction set of this processor.
    pub(crate) fn detected() -> &'static Self {
        match InstructionSet::detected() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if InstructionSet::multiplies_bf16() => &avx512_bf16::TILES,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &avx512::WIDENED,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &avx2::WIDENED,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &neon::WIDENED,
            _ => &portable::WIDENED,
        }
    }
}

impl<E: Stored> Tiles<E> {
    /// Runs the forward tile over `pixels` pixels, cut into tiles of nearly equal heights; `tile.count` is not read.
    ///
    /// # Safety
    /// All that the tile's fields address for these pixels is valid, and nobody else uses what it writes.
    pub(crate) unsafe fn run_forward(&self, vectors: usize, pixels: usize, mut tile: ForwardTile<E>) {
        for (rows, count) in even_split(pixels, self.forward[vectors - 1].len()) {
            tile.count = count;
            // SAFETY: the tables hold functions of an instruction set that was detected; the rest is the caller's word.
            unsafe { self.forward[vectors - 1][rows - 1](&tile) };
            tile.x = tile.x.wrapping_add(rows * count * tile.pixel_step);
            tile.y = tile.y.wrapping_add(rows * count * tile.y_step);
            if !tile.residual.is_null() {
                tile.residual = tile.residual.wrapping_add(rows * count * tile.y_step);
            }
        }
    }

    /// Pixels of the tallest forward tile.
    pub(crate) fn longest_piece(&self) -> usize {
        self.forward[1].len()
    }

    /// Panels of output channels: the first channel, how many there are, and vectors, for each.
    pub(crate) fn panels(&self, channels: usize) -> impl Iterator<Item = (usize, usize, usize)> + use<E> {
        let lanes = self.lanes;
        (0..channels).step_by(2 * lanes).map(move |first| {
            let rest = (channels - first).min(2 * lanes);
            (first, rest, if rest > lanes { 2 } else { 1 })
        })
    }
}

/// Two kinds of pieces, `(size, how many)`: as few pieces of at most `max` as cover `total`, of nearly equal sizes.
pub(crate) fn even_split(total: usize, max: usize) -> impl Iterator<Item = (usize, usize)> {
    let pieces = total.div_ceil(max).max(1);
    let (size, larger) = (total / pieces, total % pieces);
    [(size + 1, larger), (size, pieces - larger)].into_iter().filter(|&(size, count)| size * count > 0)
}

/// A loop of at most 14 steps written out. The compiler does not always unroll the long ones, and accumulators that are
/// indexed by a variable do not stay in registers.
macro_rules! unrolled {
    ($r:ident < $rows:ident => $body:block) => {
        unrolled!($r < $rows => $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($r:ident < $rows:ident => $body:block; $($step:literal)*) => {
        $(if $step < $rows {
            let $r = $step;
            $body
        })*
    };
}

/// How far ahead of their use weights are asked for: they are in no cache near the core when an image has come through all
/// layers once. 160 to 960 channels on 7x7 pixels take 70 µs with this, and 88 without.
const PREFETCHED_BYTES: usize = 2048;

/// # Safety
/// The processor has the instruction set of `P`, and all that the fields of `t` address is valid.
#[inline(always)]
unsafe fn forward<P: Product, const ROWS: usize, const VECTORS: usize>(t: &ForwardTile<P::Element>) {
    // SAFETY: the caller vouches for the instruction set and for every address.
    unsafe {
        let lanes = P::Simd::LANES;
        let full = t.channels == VECTORS * lanes;
        let mut bias = [P::Simd::splat(0.0); VECTORS];
        if !t.bias.is_null() {
            for v in 0..VECTORS {
                bias[v] = load_channels::<P::Simd, f32>(t.bias, v, t.channels, full);
            }
        }
        let (low, high) = (P::Simd::splat(t.low), P::Simd::splat(t.high));
        for tile in 0..t.count {
            let mut sums = [bias; ROWS];
            let first = t.x.add(tile * ROWS * t.pixel_step);
            let mut weights = t.weights;
            for row in 0..t.rows {
                for column in 0..t.columns {
                    let x = first.add(row * t.row_step + column * t.column_step);
                    // Every third pixel has a pointer; its neighbours are one and two steps away.
                    let x: [*const P::Element; 5] =
                        std::array::from_fn(|i| x.wrapping_add(3 * i * t.pixel_step));
                    for k in (0..t.run).step_by(P::GROUP) {
                        let w: [P::Weights; VECTORS] =
                            std::array::from_fn(|v| P::weights(weights.add(v * lanes * P::GROUP)));
                        for v in 0..VECTORS {
                            P::Simd::prefetch(
                                weights
                                    .wrapping_add(v * lanes * P::GROUP)
                                    .cast::<u8>()
                                    .wrapping_add(PREFETCHED_BYTES),
                            );
                        }
                        weights = weights.add(VECTORS * lanes * P::GROUP);
                        unrolled!(r < ROWS => {
                            let value = P::broadcast(x[r / 3].add(r % 3 * t.pixel_step + k));
                            for v in 0..VECTORS {
                                sums[r][v] = P::multiply_add(value, w[v], sums[r][v]);
                            }
                        });
                    }
                }
            }
            let offset = tile * ROWS * t.y_step;
            if !t.residual.is_null() {
                unrolled!(r < ROWS => {
                    for v in 0..VECTORS {
                        let from = t.residual.add(offset + r * t.y_step);
                        let residual = load_channels::<P::Simd, P::Element>(from, v, t.channels, full);
                        sums[r][v] = P::Simd::add(sums[r][v], residual);
                    }
                });
            }
            unrolled!(r < ROWS => {
                for v in 0..VECTORS {
                    sums[r][v] = P::Simd::clamp(sums[r][v], low, high);
                }
                P::store(t.y.add(offset + r * t.y_step), sums[r], t.channels, full);
            });
        }
    }
}

/// Vector `v` of a panel of `channels` channels that begins at `from`.
///
/// # Safety
/// The processor has the instruction set `S`, and the panel is valid.
#[inline(always)]
unsafe fn load_channels<S: Simd, E: Stored>(
    from: *const E,
    v: usize,
    channels: usize,
    full: bool,
) -> S::Vector {
    // SAFETY: the partial load reads no element beyond the channels that the caller vouches for.
    unsafe {
        let from = from.wrapping_add(v * S::LANES);
        if full {
            E::load::<S>(from)
        } else {
            E::load_partial::<S>(from, channels.saturating_sub(v * S::LANES).min(S::LANES))
        }
    }
}

/// The counterpart of [`load_channels`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn store_channels<S: Simd>(to: *mut f32, v: usize, channels: usize, full: bool, value: S::Vector) {
    // SAFETY: the partial store writes no element beyond the channels that the caller vouches for.
    unsafe {
        let to = to.wrapping_add(v * S::LANES);
        if full {
            S::store(to, value);
        } else {
            S::store_partial(to, value, channels.saturating_sub(v * S::LANES).min(S::LANES));
        }
    }
}

pub(crate) use unrolled;

/// A module with the tiles of one instruction set, each compiled with its features.
macro_rules! tiles {
    ($module:ident, $set:expr, $rows:tt $features:tt, $simd:ty) => {
        pub(crate) mod $module {
            use super::*;
            forward_tiles!(TILES, f32, Floats<$simd>, $set, $rows $features, $simd);
            forward_tiles!(WIDENED, Bf16, WidenedPairs<$simd>, $set, $rows $features);
        }
    };
}

/// A table of forward tiles; with a fourth type, of gradient tiles too.
macro_rules! forward_tiles {
    ($name:ident, $element:ty, $product:ty, $set:expr, [$($rows:literal)*] [$($features:literal)?] $(, $simd:ty)?) => {
        pub(crate) static $name: Tiles<$element> = {
            /// # Safety
            /// As [`super::super::forward`].
            $(#[target_feature(enable = $features)])?
            unsafe fn forward<const ROWS: usize, const VECTORS: usize>(t: &ForwardTile<$element>) {
                // SAFETY: the caller's word is passed on.
                unsafe { super::forward::<$product, ROWS, VECTORS>(t) }
            }

            Tiles {
                instruction_set: $set,
                lanes: <<$product as Product>::Simd as Simd>::LANES,
                group: <$product as Product>::GROUP,
                forward: [&[$(forward::<$rows, 1>),*], &[$(forward::<$rows, 2>),*]],
                gradient: gradient_tiles!([$($rows)*] [$($features)?] $($simd)?),
            }
        };
    };
}

macro_rules! gradient_tiles {
    ($rows:tt $features:tt) => {
        [&[], &[]]
    };
    ([$($rows:literal)*] [$($features:literal)?] $simd:ty) => {{
        /// # Safety
        /// As [`gradient::gradient`].
        $(#[target_feature(enable = $features)])?
        unsafe fn gradient<const ROWS: usize, const VECTORS: usize>(t: &GradientTile) {
            // SAFETY: the caller's word is passed on.
            unsafe { super::gradient::gradient::<$simd, ROWS, VECTORS>(t) }
        }
        [&[$(gradient::<$rows, 1>),*], &[$(gradient::<$rows, 2>),*]]
    }};
}

#[cfg(target_arch = "x86_64")]
tiles!(
    avx512, InstructionSet::Avx512, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
    ["avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"], crate::simd::avx512::Avx512
);
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512_bf16 {
    use super::*;
    forward_tiles!(
        TILES, Bf16, product::Pairs, InstructionSet::Avx512, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
        ["avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"]
    );
}
#[cfg(target_arch = "x86_64")]
tiles!(avx2, InstructionSet::Avx2, [1 2 3 4 5 6] ["avx2,fma"], crate::simd::avx2::Avx2);
#[cfg(target_arch = "aarch64")]
tiles!(neon, InstructionSet::Neon, [1 2 3 4 5 6 7 8 9 10 11 12] ["neon"], crate::simd::neon::Neon);
tiles!(portable, InstructionSet::Portable, [1 2] [], Portable);

#[cfg(test)]
impl Tiles {
    /// Those of every instruction set that this processor can run.
    pub(crate) fn all() -> Vec<&'static Tiles> {
        let best = Self::detected();
        let mut all = vec![&portable::TILES];
        #[cfg(target_arch = "x86_64")]
        if best.instruction_set == InstructionSet::Avx512 {
            all.push(&avx2::TILES);
        }
        if best.instruction_set != InstructionSet::Portable {
            all.push(best);
        }
        all
    }
}

#[cfg(test)]
impl Tiles<Bf16> {
    /// Those of every instruction set that this processor can run.
    pub(crate) fn all() -> Vec<&'static Self> {
        let best = Self::detected();
        let mut all = vec![&portable::WIDENED];
        #[cfg(target_arch = "x86_64")]
        if best.instruction_set == InstructionSet::Avx512 {
            all.extend([&avx2::WIDENED, &avx512::WIDENED]);
        }
        if best.instruction_set != InstructionSet::Portable {
            all.push(best);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_cover_the_whole() {
        assert_eq!(even_split(20, 14).collect::<Vec<_>>(), [(10, 2)]);
        assert_eq!(even_split(49, 14).collect::<Vec<_>>(), [(13, 1), (12, 3)]);
        assert_eq!(even_split(5, 14).collect::<Vec<_>>(), [(5, 1)]);
        assert_eq!(even_split(0, 14).count(), 0);
    }
}
