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
pub(crate) mod walk;
mod winograd;

pub use backward_input::PackedConvGradient;
pub use backward_weights::{
    conv_backward_weights, conv_backward_weights_scratch_len, conv_backward_weights_takes_batches,
};
pub use method::Convolution;

use crate::activation::Activation;
use crate::element::activate_in_place;
use crate::epilogue::Epilogue;
use crate::matmul::Accumulate;
use crate::tile::Tiled;
use crate::tile::{ForwardTile, Tiles};
use crate::window::ConvShape;
use padded::Runs;
use std::ops::Range;
use walk::{Panel, Taps, Visitor, Walk};

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

/// What the products are added to.
#[derive(Clone, Copy)]
enum Residual<'a, E> {
    None,
    Given(&'a [E]),
    /// The output's old values.
    Output,
}

#[allow(private_bounds, reason = "kernels are compiled for the elements of this crate alone")]
impl<E: Tiled> PackedConv<E> {
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
        self.walk().scratch_len::<E>()
    }

    fn walk(&self) -> Walk {
        let (group, longest_piece) = (self.tiles.group, self.tiles.longest_piece());
        Walk { shape: self.shape, group, longest_piece }
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
        let pixels = self.shape.check_lens(x, y);
        // What the tile cannot apply before it stores is a second pass over each block, while it is in the cache.
        let (bounds, second_pass) = activation.in_passes();
        let mut lines = Lines { conv: self, bias, residual, bounds, second_pass, y };
        self.walk().run(pixels, &self.panels, x, E::default(), scratch, &mut lines);
    }
}

/// The output of one call, and what is done to it.
struct Lines<'a, E: 'static> {
    conv: &'a PackedConv<E>,
    bias: Option<&'a [f32]>,
    residual: Residual<'a, E>,
    bounds: (f32, f32),
    second_pass: Option<Activation>,
    y: &'a mut [E],
}

impl<E: Tiled> Visitor<E> for Lines<'_, E> {
    fn compute(&mut self, panel: &Panel, taps: Taps<'_, E>) {
        let out_channels = self.conv.shape.out_channels;
        let Some(count) = taps.checked(out_channels, self.y.len()) else { return };
        let Taps { source, first, runs, pixels } = taps;
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
        // SAFETY: `Taps::checked` bounds every tap and every output pixel; the panel's weights were packed for these
        // runs; bias and residual have the lengths that `Epilogue::check` found, those of one pixel and of `y`.
        unsafe { self.conv.tiles.run_forward(panel.vectors, count, tile) };
    }

    fn finish(&mut self, pixels: Range<usize>) {
        if let Some(activation) = self.second_pass {
            let out_channels = self.conv.shape.out_channels;
            let elements = pixels.start * out_channels..pixels.end * out_channels;
            activate_in_place(activation, &mut self.y[elements]);
        }
    }
}

#[cfg(test)]
mod tests;
