//! Normalisation by the statistics of an image's own blocks: a pixel (layer normalisation), or some channels of all pixels
//! (group normalisation).
//!
//! A block is summed row by row: a row in `f32` in a fixed number of lanes, the rows in `f64`. One result always.

use crate::dispatch::vectorized;

/// Sums of a row are taken in so many lanes.
const LANES: usize = 16;

/// How an image `[pixels, channels]` is cut into blocks, and what is added to their variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks {
    /// Channels of the image.
    pub channels: usize,
    /// Pixels of a block.
    pub pixels: usize,
    /// Channels of a block, which divide those of the image.
    pub width: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Blocks {
    fn check(&self, x: &[f32], others: &[usize], weights: &[usize]) {
        let Self { channels, pixels, width, .. } = *self;
        assert!(width > 0 && pixels > 0 && channels.is_multiple_of(width), "channels are whole blocks");
        assert!(x.len().is_multiple_of(channels * pixels), "the values are whole blocks");
        assert!(others.iter().all(|len| *len == x.len()), "all values have one length");
        assert!(weights.iter().all(|len| *len == channels), "weights are one a channel");
    }

    fn numbers(&self) -> f64 {
        (self.pixels * self.width) as f64
    }
}

/// Calls `work(first element)` for all rows of one block.
#[inline(always)]
fn each_row(blocks: &Blocks, start: usize, mut work: impl FnMut(usize)) {
    for pixel in 0..blocks.pixels {
        work(start + pixel * blocks.channels);
    }
}

/// `Σ f([a, b, c])` over three rows.
#[inline(always)]
fn sum([a, b, c]: [&[f32]; 3], f: impl Fn([f32; 3]) -> f32) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let [a, b, c] = [a, b, c].map(|row| row.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder()).zip(c.remainder());
    let rest: f32 = rest.map(|((&a, &b), &c)| f([a, b, c])).sum();
    for ((a, b), c) in a.zip(b).zip(c) {
        for l in 0..LANES {
            lanes[l] += f([a[l], b[l], c[l]]);
        }
    }
    f64::from(lanes.iter().sum::<f32>() + rest)
}

/// Mean and `1 / √(variance + ε)` of one block.
#[inline(always)]
fn statistics(blocks: &Blocks, x: &[f32], start: usize) -> (f32, f32) {
    let row = |at: usize| &x[at..at + blocks.width];
    let mut total = 0.0;
    each_row(blocks, start, |at| total += sum([row(at); 3], |[x, ..]| x));
    let mean = (total / blocks.numbers()) as f32;
    let mut squares = 0.0;
    each_row(blocks, start, |at| squares += sum([row(at); 3], |[x, ..]| (x - mean) * (x - mean)));
    (mean, (1.0 / (squares / blocks.numbers() + f64::from(blocks.epsilon)).sqrt()) as f32)
}

/// The first element of every block, with the first channel of it.
fn starts(blocks: &Blocks, len: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let Blocks { channels, pixels, width, .. } = *blocks;
    (0..len)
        .step_by(channels * pixels)
        .flat_map(move |image| (0..channels).step_by(width).map(move |channel| (image + channel, channel)))
}

vectorized! {
    /// `y = (x - mean) / √(variance + ε) * gamma + beta`, the statistics being those of the block that `x` lies in.
    ///
    /// * `x`, `y`: `[images, pixels, channels]`
    /// * `gamma`, `beta`: `[channels]`
    pub fn group_norm(blocks: Blocks, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
        blocks.check(x, &[y.len()], &[gamma.len(), beta.len()]);
        for (start, channel) in starts(&blocks, x.len()) {
            let (mean, factor) = statistics(&blocks, x, start);
            let (gamma, beta) = (&gamma[channel..channel + blocks.width], &beta[channel..channel + blocks.width]);
            each_row(&blocks, start, |at| {
                let (x, y) = (&x[at..at + blocks.width], &mut y[at..at + blocks.width]);
                for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                    *y = (x - mean) * factor * gamma + beta;
                }
            });
        }
    }
}

vectorized! {
    /// `dx += dL/dx` of [`group_norm`].
    ///
    /// * `x`, `dy`, `dx`: `[images, pixels, channels]`
    /// * `gamma`: `[channels]`
    pub fn group_norm_backward_input(blocks: Blocks, x: &[f32], gamma: &[f32], dy: &[f32], dx: &mut [f32]) {
        blocks.check(x, &[dy.len(), dx.len()], &[gamma.len()]);
        for (start, channel) in starts(&blocks, x.len()) {
            let (mean, factor) = statistics(&blocks, x, start);
            let gamma = &gamma[channel..channel + blocks.width];
            let (mut all, mut along) = (0.0, 0.0);
            each_row(&blocks, start, |at| {
                let (x, dy) = (&x[at..at + blocks.width], &dy[at..at + blocks.width]);
                all += sum([x, dy, gamma], |[_, dy, gamma]| dy * gamma);
                along += sum([x, dy, gamma], |[x, dy, gamma]| (x - mean) * factor * dy * gamma);
            });
            let (all, along) = ((all / blocks.numbers()) as f32, (along / blocks.numbers()) as f32);
            each_row(&blocks, start, |at| {
                let (x, dy) = (&x[at..at + blocks.width], &dy[at..at + blocks.width]);
                let dx = &mut dx[at..at + blocks.width];
                for (((dx, &x), &dy), &gamma) in dx.iter_mut().zip(x).zip(dy).zip(gamma) {
                    *dx += factor * (dy * gamma - all - (x - mean) * factor * along);
                }
            });
        }
    }
}

vectorized! {
    /// `dgamma += Σ dy (x - mean) / √(variance + ε)`, the gradient of [`group_norm`] for `gamma`. That for `beta` is
    /// [`crate::sum_channels`].
    ///
    /// * `x`, `dy`: `[images, pixels, channels]`
    /// * `dgamma`: `[channels]`
    pub fn group_norm_backward_gamma(blocks: Blocks, x: &[f32], dy: &[f32], dgamma: &mut [f32]) {
        blocks.check(x, &[dy.len()], &[dgamma.len()]);
        for (start, channel) in starts(&blocks, x.len()) {
            let (mean, factor) = statistics(&blocks, x, start);
            let dgamma = &mut dgamma[channel..channel + blocks.width];
            each_row(&blocks, start, |at| {
                let (x, dy) = (&x[at..at + blocks.width], &dy[at..at + blocks.width]);
                for ((dgamma, &x), &dy) in dgamma.iter_mut().zip(x).zip(dy) {
                    *dgamma += (x - mean) * factor * dy;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::noise;

    /// In f64, element by element.
    fn plain(blocks: &Blocks, x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f64> {
        let block_of = |index: usize| {
            let (pixel, channel) = (index / blocks.channels, index % blocks.channels);
            (pixel / blocks.pixels, channel / blocks.width)
        };
        let normalised = |index: usize| {
            let own = |other: &usize| block_of(*other) == block_of(index);
            let block: Vec<f64> = (0..x.len()).filter(own).map(|other| f64::from(x[other])).collect();
            let mean = block.iter().sum::<f64>() / block.len() as f64;
            let variance = block.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / block.len() as f64;
            let channel = index % blocks.channels;
            (f64::from(x[index]) - mean) / (variance + f64::from(blocks.epsilon)).sqrt()
                * f64::from(gamma[channel])
                + f64::from(beta[channel])
        };
        (0..x.len()).map(normalised).collect()
    }

    #[test]
    fn blocks_agree_with_f64() {
        for (channels, pixels, width) in [(37, 1, 37), (6, 4, 2), (40, 3, 20), (5, 12, 1), (3, 12, 3)] {
            let blocks = Blocks { channels, pixels, width, epsilon: 1e-3 };
            let x: Vec<f32> = noise(channels * 12, 1).iter().map(|x| 3.0 * x + 5.0).collect();
            let (gamma, beta) = (noise(channels, 2), noise(channels, 3));
            let mut y = vec![f32::NAN; x.len()];
            group_norm(blocks, &x, &gamma, &beta, &mut y);
            for (y, expected) in y.iter().zip(plain(&blocks, &x, &gamma, &beta)) {
                assert!((f64::from(*y) - expected).abs() < 2e-5, "{y} {expected} {blocks:?}");
            }
        }
    }
}
