//! In which order a convolution is computed, and how its taps are read, whatever numbers it is of.

use super::padded::{Runs, gather_pixels, gathered_gap, pad_rows, padded_len};
use crate::window::ConvShape;
use std::ops::Range;

/// Bytes of input that one block of the output reads. The block stays in the second-level cache, beside one panel of
/// weights, while all panels pass over it.
const BLOCK_BYTES: usize = 192 * 1024;

/// Pixels that lie this many bytes apart, or a multiple of that, are all in the same set of the first-level cache, which
/// then holds fewer of them than a tile has rows: 75 % of the peak instead of 97 %.
const COLLIDING_BYTES: usize = 4096;

/// How a 1x1 convolution reads its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointwise {
    InPlace,
    /// Copied side by side first, a block at a time.
    Gathered,
}

/// Output pixels on one line: the taps of the first begin at `source[first]`, those of each next one `runs.pixel_step`
/// further.
pub(crate) struct Taps<'a, E> {
    pub(crate) source: &'a [E],
    pub(crate) first: usize,
    pub(crate) runs: Runs,
    pub(crate) pixels: Range<usize>,
}

impl<E> Taps<'_, E> {
    /// The number of pixels, none if there are none. Panics where taps lie outside the source, or pixels outside an output of
    /// `output_len` numbers.
    pub(crate) fn checked(&self, out_channels: usize, output_len: usize) -> Option<usize> {
        let last = self.pixels.len().checked_sub(1)?;
        assert!(
            self.first + last * self.runs.pixel_step + self.runs.reach() <= self.source.len(),
            "the taps lie inside the source"
        );
        assert!(self.pixels.end * out_channels <= output_len, "the pixels lie inside the output");
        Some(last + 1)
    }
}

/// Output channels that are computed side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) group: usize,
    /// The first of its output channels.
    pub(crate) first: usize,
    pub(crate) channels: usize,
    pub(crate) vectors: usize,
    /// Where its weights begin.
    pub(crate) offset: usize,
}

/// Computes what a [`Walk`] comes to.
pub(crate) trait Visitor<E> {
    /// One panel's channels of these pixels.
    fn compute(&mut self, panel: &Panel, taps: Taps<'_, E>);

    /// All channels of these pixels have been computed.
    fn finish(&mut self, _pixels: Range<usize>) {}
}

/// A convolution, for tiles that take `group` elements of a run in one step and `longest_piece` pixels at most.
pub(crate) struct Walk {
    pub(crate) shape: ConvShape,
    pub(crate) group: usize,
    pub(crate) longest_piece: usize,
}

impl Walk {
    /// Elements of scratch memory that [`Self::run`] needs.
    pub(crate) fn scratch_len<E>(&self) -> usize {
        let window = &self.shape.window;
        match self.pointwise::<E>() {
            Some(Pointwise::InPlace) => 0,
            Some(Pointwise::Gathered) => {
                let block = match self.shape.is_pointwise() {
                    // of any number of pixels
                    true => fitting::<E>(window.channels).next_multiple_of(self.longest_piece),
                    false => self.pointwise_blocks::<E>(window.out_pixels()).next().map_or(0, |b| b.len()),
                };
                block * (window.channels + gathered_gap::<E>())
            }
            None if self.is_copied() => padded_len(window) + self.group - 1,
            None => 0,
        }
    }

    /// Whether the tiles read a copy of the input with zeros around: where the window leaves the image, or where the last
    /// group of a run does.
    fn is_copied(&self) -> bool {
        self.shape.window.is_padded() || !Runs::of(&self.shape, 1).run.is_multiple_of(self.group)
    }

    /// How the pixels of a convolution that is one product are read; none where it is not one.
    fn pointwise<E>(&self) -> Option<Pointwise> {
        let window = &self.shape.window;
        if window.kernel_h != 1 || window.kernel_w != 1 || window.is_padded() || self.shape.groups != 1 {
            return None;
        }
        let is_strided = window.stride_h != 1 || window.stride_w != 1;
        let collides =
            window.channels > 0 && (window.channels * size_of::<E>()).is_multiple_of(COLLIDING_BYTES);
        let is_odd = !window.channels.is_multiple_of(self.group);
        Some(if is_strided || collides || is_odd { Pointwise::Gathered } else { Pointwise::InPlace })
    }

    fn pointwise_blocks<E>(&self, pixels: usize) -> impl Iterator<Item = Range<usize>> + use<E> {
        blocks::<E>(pixels, self.shape.window.channels, self.longest_piece)
    }

    /// Calls the visitor for all panels of all of the output's `pixels`. `zero` is what lies around the image; `x` and
    /// `scratch` are as the convolution has them.
    pub(crate) fn run<E: Copy + Default>(
        &self,
        pixels: usize,
        panels: &[Panel],
        x: &[E],
        zero: E,
        scratch: &mut [E],
        visitor: &mut impl Visitor<E>,
    ) {
        assert!(scratch.len() >= self.scratch_len::<E>(), "scratch has the needed length");
        let window = &self.shape.window;
        if let Some(way) = self.pointwise::<E>() {
            let gap = if way == Pointwise::Gathered { gathered_gap::<E>() } else { 0 };
            let runs = Runs::pointwise(window, gap, self.group);
            for block in self.pointwise_blocks::<E>(pixels) {
                let (source, first) = if way == Pointwise::Gathered {
                    gather_pixels(window, x, scratch, block.clone());
                    (&*scratch, 0)
                } else {
                    (x, block.start * window.channels)
                };
                for panel in panels {
                    visitor.compute(panel, Taps { source, first, runs, pixels: block.clone() });
                }
                visitor.finish(block);
            }
            return;
        }

        let (out_height, out_width) = (window.out_height(), window.out_width());
        let runs = Runs::of(&self.shape, self.group);
        let is_copied = self.is_copied();
        let mut padded_rows = 0;
        for block in blocks::<E>(out_height, window.stride_h * runs.line, 1) {
            let source = if is_copied {
                let needed = (block.end - 1) * window.stride_h + window.extent_h();
                pad_rows(window, zero, x, scratch, padded_rows..needed);
                padded_rows = padded_rows.max(needed);
                // What the last group reads beyond its run has no weight, but must be a number.
                let slack = padded_rows * runs.line;
                scratch[slack..slack + self.group - 1].fill(E::default());
                &*scratch
            } else {
                x
            };
            for panel in panels {
                for oy in block.clone() {
                    let first =
                        oy * window.stride_h * runs.line + panel.group * self.shape.channels_per_group();
                    let pixels = oy * out_width..(oy + 1) * out_width;
                    visitor.compute(panel, Taps { source, first, runs, pixels });
                }
            }
            visitor.finish(block.start * out_width..block.end * out_width);
        }
    }
}

/// Cuts `count` items, each of `elements` numbers of input, into nearly equal blocks of about [`BLOCK_BYTES`], whole
/// multiples of `step` where there are several.
fn blocks<E>(count: usize, elements: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(fitting::<E>(elements)).max(1);
    let size = count.div_ceil(pieces).max(1).next_multiple_of(step);
    (0..count).step_by(size).map(move |start| start..(start + size).min(count))
}

fn fitting<E>(elements: usize) -> usize {
    (BLOCK_BYTES / (size_of::<E>() * elements.max(1))).max(1)
}
