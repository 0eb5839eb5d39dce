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

use crate::dispatch::InstructionSet;
use crate::simd::Simd;
use crate::simd::portable::Portable;

/// A forward tile's operands. `count` tiles follow one another along the pixels.
#[derive(Clone, Copy)]
pub(crate) struct ForwardTile {
    /// The first pixel's first tap.
    pub(crate) x: *const f32,
    /// Elements from the taps of one output pixel to those of the next.
    pub(crate) pixel_step: usize,
    /// The taps: `rows` x `columns` runs of `run` contiguous elements.
    pub(crate) rows: usize,
    pub(crate) row_step: usize,
    pub(crate) columns: usize,
    pub(crate) column_step: usize,
    pub(crate) run: usize,
    /// The packed panel: `[rows, columns, run, VECTORS * LANES]`.
    pub(crate) weights: *const f32,
    /// The first output pixel, at the panel's first channel.
    pub(crate) y: *mut f32,
    /// Elements from one output pixel to the next.
    pub(crate) y_step: usize,
    /// Like `y`, which it may be; null for none.
    pub(crate) residual: *const f32,
    /// At the panel's first channel; null for none.
    pub(crate) bias: *const f32,
    /// Channels of the panel that exist.
    pub(crate) channels: usize,
    pub(crate) low: f32,
    pub(crate) high: f32,
    pub(crate) count: usize,
}

/// A weight gradient tile's operands: `dw[row, :] += Σ x[pixel + row] * dy[pixel, :]`, `ROWS` rows that follow one
/// another. `count` tiles follow one another along the rows.
#[derive(Clone, Copy)]
pub(crate) struct GradientTile {
    /// The first pixel, at the first row's tap.
    pub(crate) x: *const f32,
    pub(crate) x_line_step: usize,
    pub(crate) x_pixel_step: usize,
    /// The first pixel, at the first of the output channels.
    pub(crate) dy: *const f32,
    pub(crate) dy_line_step: usize,
    pub(crate) dy_pixel_step: usize,
    /// The pixels: `lines` lines of `pixels`.
    pub(crate) lines: usize,
    pub(crate) pixels: usize,
    /// The first row, at the first of the output channels.
    pub(crate) dw: *mut f32,
    /// Elements from one row to the next.
    pub(crate) dw_step: usize,
    /// Output channels of the panel, at most `VECTORS * LANES`.
    pub(crate) channels: usize,
    pub(crate) count: usize,
}

type Forward = unsafe fn(&ForwardTile);
type Gradient = unsafe fn(&GradientTile);

/// The tiles of one instruction set, by vectors - 1 and rows - 1.
pub(crate) struct Tiles {
    pub(crate) instruction_set: InstructionSet,
    /// Lanes of one vector.
    pub(crate) lanes: usize,
    forward: [&'static [Forward]; 2],
    gradient: [&'static [Gradient]; 2],
}

impl std::fmt::Debug for Tiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tiles({:?})", self.instruction_set)
    }
}

impl Tiles {
    /// Those of the best instruction set of this processor.
    pub(crate) fn detected() -> &'static Tiles {
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

    /// Those of every instruction set that this processor can run.
    #[cfg(test)]
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

    /// Runs the forward tile over `pixels` pixels, cut into tiles of nearly equal heights; `tile.count` is not read.
    ///
    /// # Safety
    /// All that the tile's fields address for these pixels is valid, and nobody else uses what it writes.
    pub(crate) unsafe fn run_forward(&self, vectors: usize, pixels: usize, mut tile: ForwardTile) {
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

    /// Runs the gradient tile over `rows` rows; `tile.count` is not read.
    ///
    /// # Safety
    /// As [`Self::run_forward`].
    pub(crate) unsafe fn run_gradient(&self, vectors: usize, rows: usize, mut tile: GradientTile) {
        for (rows, count) in even_split(rows, self.gradient[vectors - 1].len()) {
            tile.count = count;
            // SAFETY: the tables hold functions of an instruction set that was detected; the rest is the caller's word.
            unsafe { self.gradient[vectors - 1][rows - 1](&tile) };
            tile.x = tile.x.wrapping_add(rows * count);
            tile.dw = tile.dw.wrapping_add(rows * count * tile.dw_step);
        }
    }

    /// Pixels of the tallest forward tile.
    pub(crate) fn longest_piece(&self) -> usize {
        self.forward[1].len()
    }

    /// Panels of output channels: the first channel, how many there are, and vectors, for each.
    pub(crate) fn panels(&self, channels: usize) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let lanes = self.lanes;
        (0..channels).step_by(2 * lanes).map(move |first| {
            let rest = (channels - first).min(2 * lanes);
            (first, rest, if rest > lanes { 2 } else { 1 })
        })
    }
}

/// Two kinds of pieces, `(size, how many)`: as few pieces of at most `max` as cover `total`, of nearly equal sizes.
fn even_split(total: usize, max: usize) -> impl Iterator<Item = (usize, usize)> {
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

/// # Safety
/// The processor has the instruction set `S`, and all that the fields of `t` address is valid.
#[inline(always)]
unsafe fn forward<S: Simd, const ROWS: usize, const VECTORS: usize>(t: &ForwardTile) {
    // SAFETY: the caller vouches for the instruction set and for every address.
    unsafe {
        let full = t.channels == VECTORS * S::LANES;
        let mut bias = [S::splat(0.0); VECTORS];
        if !t.bias.is_null() {
            for v in 0..VECTORS {
                bias[v] = load_channels::<S>(t.bias, v, t.channels, full);
            }
        }
        let (low, high) = (S::splat(t.low), S::splat(t.high));
        for tile in 0..t.count {
            let mut sums = [bias; ROWS];
            let first = t.x.add(tile * ROWS * t.pixel_step);
            let mut weights = t.weights;
            for row in 0..t.rows {
                for column in 0..t.columns {
                    let x = first.add(row * t.row_step + column * t.column_step);
                    // Every third pixel has a pointer; its neighbours are one and two steps away.
                    let x: [*const f32; 5] = std::array::from_fn(|i| x.wrapping_add(3 * i * t.pixel_step));
                    for k in 0..t.run {
                        let w: [S::Vector; VECTORS] =
                            std::array::from_fn(|v| S::load(weights.add(v * S::LANES)));
                        weights = weights.add(VECTORS * S::LANES);
                        unrolled!(r < ROWS => {
                            let value = S::splat(*x[r / 3].add(r % 3 * t.pixel_step + k));
                            for v in 0..VECTORS {
                                sums[r][v] = S::multiply_add(value, w[v], sums[r][v]);
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
                        sums[r][v] = S::add(sums[r][v], load_channels::<S>(from, v, t.channels, full));
                    }
                });
            }
            unrolled!(r < ROWS => {
                for v in 0..VECTORS {
                    let value = S::clamp(sums[r][v], low, high);
                    store_channels::<S>(t.y.add(offset + r * t.y_step), v, t.channels, full, value);
                }
            });
        }
    }
}

/// # Safety
/// As [`forward`].
#[inline(always)]
unsafe fn gradient<S: Simd, const ROWS: usize, const VECTORS: usize>(t: &GradientTile) {
    // SAFETY: the caller vouches for the instruction set and for every address.
    unsafe {
        let full = t.channels == VECTORS * S::LANES;
        for tile in 0..t.count {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            for line in 0..t.lines {
                let mut x = t.x.add(line * t.x_line_step + tile * ROWS);
                let mut dy = t.dy.add(line * t.dy_line_step);
                if full {
                    for _ in 0..t.pixels {
                        let d: [S::Vector; VECTORS] = std::array::from_fn(|v| S::load(dy.add(v * S::LANES)));
                        accumulate::<S, ROWS, VECTORS>(x, d, &mut sums);
                        x = x.wrapping_add(t.x_pixel_step);
                        dy = dy.wrapping_add(t.dy_pixel_step);
                    }
                } else {
                    for _ in 0..t.pixels {
                        let d: [S::Vector; VECTORS] =
                            std::array::from_fn(|v| load_channels::<S>(dy, v, t.channels, false));
                        accumulate::<S, ROWS, VECTORS>(x, d, &mut sums);
                        x = x.wrapping_add(t.x_pixel_step);
                        dy = dy.wrapping_add(t.dy_pixel_step);
                    }
                }
            }
            unrolled!(r < ROWS => {
                let to = t.dw.add((tile * ROWS + r) * t.dw_step);
                for v in 0..VECTORS {
                    let sum = S::add(load_channels::<S>(to, v, t.channels, full), sums[r][v]);
                    store_channels::<S>(to, v, t.channels, full, sum);
                }
            });
        }
    }
}

/// One pixel of the weight gradient.
///
/// # Safety
/// The processor has the instruction set `S`, and `x` is valid for `ROWS` elements.
#[inline(always)]
unsafe fn accumulate<S: Simd, const ROWS: usize, const VECTORS: usize>(
    x: *const f32,
    dy: [S::Vector; VECTORS],
    sums: &mut [[S::Vector; VECTORS]; ROWS],
) {
    // SAFETY: the caller vouches for the instruction set and for the address.
    unsafe {
        unrolled!(r < ROWS => {
            let value = S::splat(*x.add(r));
            for v in 0..VECTORS {
                sums[r][v] = S::multiply_add(value, dy[v], sums[r][v]);
            }
        });
    }
}

/// Vector `v` of a panel of `channels` channels that begins at `from`.
///
/// # Safety
/// The processor has the instruction set `S`, and the panel is valid.
#[inline(always)]
unsafe fn load_channels<S: Simd>(from: *const f32, v: usize, channels: usize, full: bool) -> S::Vector {
    // SAFETY: the partial load reads no element beyond the channels that the caller vouches for.
    unsafe {
        let from = from.wrapping_add(v * S::LANES);
        if full {
            S::load(from)
        } else {
            S::load_partial(from, channels.saturating_sub(v * S::LANES).min(S::LANES))
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

/// A module with the tiles of one instruction set, each compiled with its features.
macro_rules! tiles {
    ($module:ident, $simd:ty, $set:expr, [$($rows:literal)*] $(, $features:literal)?) => {
        pub(crate) mod $module {
            use super::*;

            /// # Safety
            /// As [`super::forward`].
            $(#[target_feature(enable = $features)])?
            unsafe fn forward<const ROWS: usize, const VECTORS: usize>(t: &ForwardTile) {
                // SAFETY: the caller's word is passed on.
                unsafe { super::forward::<$simd, ROWS, VECTORS>(t) }
            }

            /// # Safety
            /// As [`super::gradient`].
            $(#[target_feature(enable = $features)])?
            unsafe fn gradient<const ROWS: usize, const VECTORS: usize>(t: &GradientTile) {
                // SAFETY: the caller's word is passed on.
                unsafe { super::gradient::<$simd, ROWS, VECTORS>(t) }
            }

            pub(crate) static TILES: Tiles = Tiles {
                instruction_set: $set,
                lanes: <$simd as Simd>::LANES,
                forward: [&[$(forward::<$rows, 1>),*], &[$(forward::<$rows, 2>),*]],
                gradient: [&[$(gradient::<$rows, 1>),*], &[$(gradient::<$rows, 2>),*]],
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
tiles!(
    avx512, crate::simd::avx512::Avx512, InstructionSet::Avx512, [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
tiles!(avx2, crate::simd::avx2::Avx2, InstructionSet::Avx2, [1 2 3 4 5 6], "avx2,fma");
#[cfg(target_arch = "aarch64")]
tiles!(neon, crate::simd::neon::Neon, InstructionSet::Neon, [1 2 3 4 5 6 7 8 9 10 11 12], "neon");
tiles!(portable, Portable, InstructionSet::Portable, [1 2]);

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
