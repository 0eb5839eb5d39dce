//! Convolution: forward, and both gradients, on the register tiles of [`crate::tile`].
//!
//! A 1x1 convolution is one product over the pixels of the image. A wider window reads, for each of its rows, one run of
//! contiguous numbers a pixel (NHWC puts the neighbouring columns and all their channels side by side), so no patches are
//! gathered: the tile makes one pass over the runs. Only where the window leaves the image is the input copied, once, into
//! rows with zeros around them.

mod backward_input;
mod backward_weights;
mod method;
pub(crate) mod padded;
mod winograd;

pub use backward_input::PackedConvGradient;
pub use backward_weights::{
    conv_backward_weights, conv_backward_weights_scratch_len, conv_backward_weights_takes_batches,
};
pub use method::Convolution;

use crate::activation::Activation;
use crate::element::{Stored, activate_in_place};
use crate::matmul::Accumulate;
use crate::tile::{ForwardTile, Tiles};
use crate::window::ConvShape;
use padded::{Runs, gather_pixels, gathered_gap, pad_rows, padded_len};
use std::ops::Range;

/// Bytes of input that one block of the output reads. The block stays in the second-level cache, beside one panel of
/// weights, while all panels pass over it.
const BLOCK_BYTES: usize = 192 * 1024;

/// What is done to the output before it is stored: `activation(conv + bias + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a, E = f32> {
    /// `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// The shape of the output.
    pub residual: Option<&'a [E]>,
    /// Applied last.
    pub activation: Activation,
}

impl<E> Epilogue<'_, E> {
    pub(crate) fn check(&self, out_channels: usize, output_len: usize) {
        assert!(self.bias.is_none_or(|b| b.len() == out_channels), "bias has one number an output channel");
        assert!(self.residual.is_none_or(|r| r.len() == output_len), "residual has the output's shape");
    }
}

/// The weights of a convolution, packed for the register tile: panel after panel of output channels, each run after run
/// of taps, `[run / group, panel width, group]`, with zeros for channels that do not exist and for the last group of an odd
/// run.
#[derive(Clone, Debug)]
pub struct PackedConv<E: 'static = f32> {
    shape: ConvShape,
    tiles: &'static Tiles<E>,
    panels: Vec<Panel>,
    weights: Vec<E>,
}

/// Output channels that are computed side by side.
#[derive(Clone, Copy, Debug)]
struct Panel {
    group: usize,
    /// The first of its output channels.
    first: usize,
    channels: usize,
    vectors: usize,
    /// Where its weights begin.
    offset: usize,
}

/// How a 1x1 convolution reads its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointwise {
    InPlace,
    /// Copied side by side first, a block at a time.
    Gathered,
}

/// Pixels that lie this many bytes apart, or a multiple of that, are all in the same set of the first-level cache, which
/// then holds fewer of them than a tile has rows: 75 % of the peak instead of 97 %.
const COLLIDING_BYTES: usize = 4096;

/// What the products are added to.
#[derive(Clone, Copy)]
enum Residual<'a, E> {
    None,
    Given(&'a [E]),
    /// The output's old values.
    Output,
}

#[allow(private_bounds, reason = "kernels are compiled for the elements of this crate alone")]
impl<E: Stored> PackedConv<E> {
    /// Packs `weights`, `[kernel_h, kernel_w, channels / groups, out_channels]`, rounded.
    pub fn new(shape: ConvShape, weights: &[f32]) -> Self {
        Self::with_tiles(shape, weights, E::tiles())
    }

    fn with_tiles(shape: ConvShape, weights: &[f32], tiles: &'static Tiles<E>) -> Self {
        shape.check();
        let runs = Runs::of(&shape, tiles.group);
        let depth = runs.rows * runs.columns * runs.run;
        let per_group = shape.out_channels / shape.groups;
        let mut panels = Vec::new();
        let mut offset = 0;
        for group in 0..shape.groups {
            for (first, channels, vectors) in tiles.panels(per_group) {
                panels.push(Panel { group, first: group * per_group + first, channels, vectors, offset });
                offset += depth * vectors * tiles.lanes;
            }
        }
        let mut packed = Self { shape, tiles, panels, weights: vec![E::default(); offset] };
        packed.repack(weights);
        packed
    }

    /// Packs other weights of the same shape into the same memory.
    pub fn repack(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.shape.weights_len(), "weights have the shape's length");
        if self.shape.out_channels == 0 {
            return;
        }
        let (group, run) = (self.tiles.group, Runs::of(&self.shape, 1).run);
        for panel in &self.panels {
            let width = panel.vectors * self.tiles.lanes;
            let runs = self.weights[panel.offset..].chunks_exact_mut(run.next_multiple_of(group) * width);
            for (to, from) in runs.zip(weights.chunks_exact(run * self.shape.out_channels)) {
                for (index, from) in from.chunks_exact(self.shape.out_channels).enumerate() {
                    let to = to[index / group * group * width + index % group..].iter_mut().step_by(group);
                    let channels = &from[panel.first..panel.first + panel.channels];
                    to.zip(channels).for_each(|(to, from)| *to = E::of(*from));
                }
            }
        }
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// Elements of scratch memory that [`Self::forward`] needs.
    pub fn scratch_len(&self) -> usize {
        match self.pointwise() {
            Some(Pointwise::InPlace) => 0,
            Some(Pointwise::Gathered) => {
                let block = match self.shape.is_pointwise() {
                    true => {
                        fitting::<E>(self.shape.window.channels).next_multiple_of(self.tiles.longest_piece())
                    }
                    false => {
                        self.pointwise_blocks(self.shape.window.out_pixels()).next().map_or(0, |b| b.len())
                    }
                };
                block * (self.shape.window.channels + gathered_gap::<E>())
            }
            None if self.is_copied() => padded_len(&self.shape.window) + self.tiles.group - 1,
            None => 0,
        }
    }

    /// Whether the tiles read a copy of the input with zeros around: where the window leaves the image, or where the last
    /// group of a run does.
    fn is_copied(&self) -> bool {
        self.shape.window.is_padded() || !Runs::of(&self.shape, 1).run.is_multiple_of(self.tiles.group)
    }

    /// How the pixels of a convolution that is one product are read; none where it is not one.
    fn pointwise(&self) -> Option<Pointwise> {
        let window = &self.shape.window;
        if window.kernel_h != 1 || window.kernel_w != 1 || window.is_padded() || self.shape.groups != 1 {
            return None;
        }
        let is_strided = window.stride_h != 1 || window.stride_w != 1;
        let collides =
            window.channels > 0 && (window.channels * size_of::<E>()).is_multiple_of(COLLIDING_BYTES);
        let is_odd = !window.channels.is_multiple_of(self.tiles.group);
        Some(if is_strided || collides || is_odd { Pointwise::Gathered } else { Pointwise::InPlace })
    }

    fn pointwise_blocks(&self, pixels: usize) -> impl Iterator<Item = Range<usize>> + use<E> {
        blocks::<E>(pixels, self.shape.window.channels, self.tiles.longest_piece())
    }

    /// `y = activation(conv(x) + bias + residual)`.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`: `[out_height, out_width, out_channels]`
    /// * `scratch`: at least [`Self::scratch_len`] elements of any content
    ///
    /// A 1x1 convolution without stride and padding takes any number of pixels at a time.
    pub fn forward(&self, x: &[E], y: &mut [E], epilogue: Epilogue<'_, E>, scratch: &mut [E]) {
        let Epilogue { bias, residual, activation } = epilogue;
        epilogue.check(self.shape.out_channels, y.len());
        let residual = residual.map_or(Residual::None, Residual::Given);
        self.run(x, y, bias, residual, activation, scratch);
    }

    /// `y = conv(x)` or `y += conv(x)`; shapes as in [`Self::forward`].
    fn product(&self, x: &[E], y: &mut [E], accumulate: Accumulate, scratch: &mut [E]) {
        let residual = if accumulate == Accumulate::Add { Residual::Output } else { Residual::None };
        self.run(x, y, None, residual, Activation::Linear, scratch);
    }

    fn run(
        &self,
        x: &[E],
        y: &mut [E],
        bias: Option<&[f32]>,
        residual: Residual<'_, E>,
        activation: Activation,
        scratch: &mut [E],
    ) {
        let window = &self.shape.window;
        let pixels = self.shape.check_lens(x, y);
        assert!(scratch.len() >= self.scratch_len(), "scratch has the needed length");
        let out_channels = self.shape.out_channels;
        // What the tile cannot apply before it stores is a second pass over each block, while it is in the cache.
        let (bounds, second_pass) = match activation.bounds() {
            Some(bounds) => (bounds, Activation::Linear),
            None => ((f32::NEG_INFINITY, f32::INFINITY), activation),
        };
        let mut lines = Lines { conv: self, bias, residual, bounds, y };

        if let Some(way) = self.pointwise() {
            let gap = if way == Pointwise::Gathered { gathered_gap::<E>() } else { 0 };
            let runs = Runs::pointwise(window, gap, self.tiles.group);
            for block in self.pointwise_blocks(pixels) {
                let (source, first) = if way == Pointwise::Gathered {
                    gather_pixels(window, x, scratch, block.clone());
                    (&*scratch, 0)
                } else {
                    (x, block.start * window.channels)
                };
                for panel in &self.panels {
                    lines.compute(panel, source, first, runs, block.clone());
                }
                lines.finish(second_pass, block.start * out_channels..block.end * out_channels);
            }
            return;
        }

        let (out_height, out_width) = (window.out_height(), window.out_width());
        let runs = Runs::of(&self.shape, self.tiles.group);
        let is_copied = self.is_copied();
        let mut padded_rows = 0;
        for block in blocks::<E>(out_height, window.stride_h * runs.line, 1) {
            let source = if is_copied {
                let needed = (block.end - 1) * window.stride_h + window.extent_h();
                pad_rows(window, E::default(), x, scratch, padded_rows..needed);
                padded_rows = padded_rows.max(needed);
                // What the last group reads beyond its run has no weight, but must be a number.
                let slack = padded_rows * runs.line;
                scratch[slack..slack + self.tiles.group - 1].fill(E::default());
                &*scratch
            } else {
                x
            };
            for panel in &self.panels {
                for oy in block.clone() {
                    let first =
                        oy * window.stride_h * runs.line + panel.group * self.shape.channels_per_group();
                    lines.compute(panel, source, first, runs, oy * out_width..(oy + 1) * out_width);
                }
            }
            let row = out_width * out_channels;
            lines.finish(second_pass, block.start * row..block.end * row);
        }
    }
}

/// Cuts `count` items, each of `elements` numbers of input, into nearly equal blocks of about [`BLOCK_BYTES`], whole
/// multiples of `step` where there are several.
pub(crate) fn blocks<E>(count: usize, elements: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(fitting::<E>(elements)).max(1);
    let size = count.div_ceil(pieces).max(1).next_multiple_of(step);
    (0..count).step_by(size).map(move |start| start..(start + size).min(count))
}

pub(crate) fn fitting<E>(elements: usize) -> usize {
    (BLOCK_BYTES / (size_of::<E>() * elements.max(1))).max(1)
}

/// The output of one call, and what is done to it.
struct Lines<'a, E: 'static> {
    conv: &'a PackedConv<E>,
    bias: Option<&'a [f32]>,
    residual: Residual<'a, E>,
    bounds: (f32, f32),
    y: &'a mut [E],
}

impl<E: Stored> Lines<'_, E> {
    /// Computes one panel's channels of the output pixels `pixels`, which lie on one line: the taps of the first begin
    /// at `source[first]`, those of each next one `runs.pixel_step` further.
    fn compute(&mut self, panel: &Panel, source: &[E], first: usize, runs: Runs, pixels: Range<usize>) {
        let out_channels = self.conv.shape.out_channels;
        let Some(last) = pixels.len().checked_sub(1) else { return };
        assert!(
            first + last * runs.pixel_step + runs.reach() <= source.len(),
            "the taps lie inside the source"
        );
        assert!(pixels.end * out_channels <= self.y.len(), "the pixels lie inside the output");
        let at = pixels.start * out_channels + panel.first;
        let y = self.y[at..].as_mut_ptr();
        let tile = ForwardTile {
            x: source[first..].as_ptr(),
            pixel_step: runs.pixel_step,
            rows: runs.rows,
            row_step: runs.row_step,
            columns: runs.columns,
            column_step: runs.column_step,
            run: runs.run,
            weights: self.conv.weights[panel.offset..].as_ptr(),
            y,
            y_step: out_channels,
            residual: match self.residual {
                Residual::None => std::ptr::null(),
                Residual::Given(residual) => residual[at..].as_ptr(),
                Residual::Output => y,
            },
            bias: self.bias.map_or(std::ptr::null(), |bias| bias[panel.first..].as_ptr()),
            channels: panel.channels,
            low: self.bounds.0,
            high: self.bounds.1,
            count: 0,
        };
        // SAFETY: the two assertions above bound every tap and every output pixel; the panel's weights were packed for these
        // runs; bias and residual have the lengths that `Epilogue::check` found, those of one pixel and of `y`.
        unsafe { self.conv.tiles.run_forward(panel.vectors, pixels.len(), tile) };
    }

    fn finish(&mut self, activation: Activation, elements: Range<usize>) {
        if activation != Activation::Linear {
            activate_in_place(activation, &mut self.y[elements]);
        }
    }
}

#[cfg(test)]
mod tests;
