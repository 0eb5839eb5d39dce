//! Convolution of bytes: the loops of [`crate::conv`] around the tile of [`super::tile`].

use super::tile::{ByteTile, ByteTiles, GROUP, LANES, MAX_VECTORS, channel};
use super::{Quantization, lane as lane_of, round_weights};
use crate::conv::padded::{Runs, gather_pixels, gathered_gap, pad_rows, padded_len};
use crate::conv::{blocks, fitting};
use crate::window::ConvShape;
use std::ops::Range;

/// A convolution whose weights do not change, between images of known quantisations.
#[derive(Debug)]
pub struct QuantizedConv {
    shape: ConvShape,
    /// The input's byte for 0, which lies around the image.
    zero: u8,
    pub(super) tiles: &'static ByteTiles,
    panels: Vec<Panel>,
    weights: Vec<i8>,
    /// Of each lane of the panels: see [`ByteTile`].
    scales: Vec<f32>,
    offsets: Vec<f32>,
    residual_scales: Vec<f32>,
}

/// Output channels that are computed side by side.
#[derive(Clone, Copy, Debug)]
struct Panel {
    group: usize,
    first: usize,
    channels: usize,
    vectors: usize,
    /// Where its weights and its lanes begin.
    offset: usize,
    lane: usize,
}

impl QuantizedConv {
    /// * `weights`: `[kernel_h, kernel_w, channels / groups, out_channels]`
    /// * `bias`: `[out_channels]`
    /// * `residual`: of an image of the output's shape that is added
    pub fn new(
        shape: ConvShape,
        weights: &[f32],
        bias: Option<&[f32]>,
        [input, output]: [&Quantization; 2],
        residual: Option<&Quantization>,
    ) -> Self {
        shape.check();
        assert_eq!(weights.len(), shape.weights_len(), "weights have the shape's length");
        assert!(
            bias.is_none_or(|bias| bias.len() == shape.out_channels),
            "bias has one number an output channel"
        );
        assert_eq!(input.scales.len(), shape.window.channels, "the input has one scale a channel");
        assert_eq!(output.scales.len(), shape.out_channels, "the output has one scale a channel");
        let (in_group, out_group) = (shape.channels_per_group(), shape.out_channels / shape.groups.max(1));
        let (runs, run) = (Runs::of(&shape, GROUP), Runs::of(&shape, 1).run);
        let depth = runs.rows * runs.columns * runs.run;
        let mut packed = Self {
            shape,
            zero: input.zero,
            tiles: ByteTiles::detected(),
            panels: panels(&shape, depth),
            weights: Vec::new(),
            scales: Vec::new(),
            offsets: Vec::new(),
            residual_scales: Vec::new(),
        };
        for panel in &packed.panels {
            let width = panel.vectors * LANES;
            let mut bytes = vec![0i8; depth * width];
            let mut lanes = vec![[0.0; 3]; width];
            for (slot, lane) in lanes.iter_mut().enumerate() {
                let c = channel(panel.vectors, slot / LANES, slot % LANES);
                if c >= panel.channels {
                    continue;
                }
                let out = panel.first + c;
                let taps = weights[out..].iter().step_by(shape.out_channels.max(1)).enumerate();
                let first_in = out / out_group.max(1) * in_group;
                let scaled = taps.map(|(tap, weight)| weight * input.scales[first_in + tap % in_group]);
                let (rounded, worth) = round_weights(scaled);
                let mut sum = 0i32;
                for (tap, byte) in rounded.enumerate() {
                    sum += i32::from(byte);
                    let k = tap / run * runs.run + tap % run;
                    bytes[(k / GROUP * width + slot) * GROUP + k % GROUP] = byte;
                }
                let [scale, offset] =
                    lane_of(worth, sum, bias.map_or(0.0, |bias| bias[out]), input, output, out);
                *lane = [scale, offset, 0.0];
                if let Some(residual) = residual {
                    lane[2] = residual.scales[out] / output.scales[out];
                    lane[1] -= lane[2] * f32::from(residual.zero);
                }
            }
            packed.weights.extend(bytes);
            packed.scales.extend(lanes.iter().map(|lane| lane[0]));
            packed.offsets.extend(lanes.iter().map(|lane| lane[1]));
            packed.residual_scales.extend(lanes.iter().map(|lane| lane[2]));
        }
        packed
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// Bytes of scratch memory that [`Self::forward`] needs.
    pub fn scratch_len(&self) -> usize {
        let window = &self.shape.window;
        match self.is_pointwise() {
            true if self.is_gathered() => {
                // of any number of pixels
                let block = fitting::<u8>(window.channels).next_multiple_of(self.tiles.longest_piece());
                block * (window.channels + gathered_gap::<u8>())
            }
            true => 0,
            false if self.is_copied() => padded_len(window) + GROUP - 1,
            false => 0,
        }
    }

    /// A window of one pixel: one product over all of them.
    fn is_pointwise(&self) -> bool {
        let window = &self.shape.window;
        window.kernel_h == 1 && window.kernel_w == 1 && !window.is_padded() && self.shape.groups == 1
    }

    /// Whether the pixels of such a window are copied side by side first.
    fn is_gathered(&self) -> bool {
        let window = &self.shape.window;
        let is_strided = window.stride_h != 1 || window.stride_w != 1;
        is_strided || !window.channels.is_multiple_of(GROUP)
    }

    /// Whether the tiles read a copy of the input with zeros around.
    fn is_copied(&self) -> bool {
        self.shape.window.is_padded() || !Runs::of(&self.shape, 1).run.is_multiple_of(GROUP)
    }

    fn blocks(&self, pixels: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        blocks::<u8>(pixels, self.shape.window.channels, self.tiles.longest_piece())
    }

    /// `y = conv(x) + bias + residual`, rounded to the output's bytes.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`, `residual`: `[out_height, out_width, out_channels]`
    /// * `scratch`: at least [`Self::scratch_len`] bytes of any content
    pub fn forward(&self, x: &[u8], residual: Option<&[u8]>, y: &mut [u8], scratch: &mut [u8]) {
        let window = &self.shape.window;
        let pixels = self.shape.check_lens(x, y);
        assert!(residual.is_none_or(|residual| residual.len() == y.len()), "residual has the output's shape");
        assert!(scratch.len() >= self.scratch_len(), "scratch has the needed length");
        let mut lines = Lines { conv: self, residual, y };
        if self.is_pointwise() {
            let is_gathered = self.is_gathered();
            let gap = if is_gathered { gathered_gap::<u8>() } else { 0 };
            let runs = Runs::pointwise(window, gap, GROUP);
            for block in self.blocks(pixels) {
                let (source, first) = if is_gathered {
                    gather_pixels(window, x, scratch, block.clone());
                    (&*scratch, 0)
                } else {
                    (x, block.start * window.channels)
                };
                for panel in &self.panels {
                    lines.compute(panel, source, first, runs, block.clone());
                }
            }
            return;
        }
        let (out_height, out_width) = (window.out_height(), window.out_width());
        let runs = Runs::of(&self.shape, GROUP);
        let is_copied = self.is_copied();
        let mut padded_rows = 0;
        for block in blocks::<u8>(out_height, window.stride_h * runs.line, 1) {
            let source = if is_copied {
                let needed = (block.end - 1) * window.stride_h + window.extent_h();
                pad_rows(window, self.zero, x, scratch, padded_rows..needed);
                padded_rows = padded_rows.max(needed);
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
        }
    }
}

/// Panels of as many vectors as are filled: 4, 2 or 1.
fn panels(shape: &ConvShape, depth: usize) -> Vec<Panel> {
    let per_group = shape.out_channels / shape.groups.max(1);
    let (mut panels, mut offset, mut lane) = (Vec::new(), 0, 0);
    for group in 0..shape.groups {
        let mut first = 0;
        while first < per_group {
            let rest = per_group - first;
            // 96 channels are 4 and 2 vectors, 24 are 2
            let vectors = match rest.div_ceil(LANES) {
                1 => 1,
                2 => 2,
                _ => MAX_VECTORS,
            };
            let channels = rest.min(vectors * LANES);
            panels.push(Panel { group, first: group * per_group + first, channels, vectors, offset, lane });
            offset += depth * vectors * LANES;
            lane += vectors * LANES;
            first += channels;
        }
    }
    panels
}

/// The output of one call.
struct Lines<'a> {
    conv: &'a QuantizedConv,
    residual: Option<&'a [u8]>,
    y: &'a mut [u8],
}

impl Lines<'_> {
    /// As the method of the same name in [`crate::conv`].
    fn compute(&mut self, panel: &Panel, source: &[u8], first: usize, runs: Runs, pixels: Range<usize>) {
        let out_channels = self.conv.shape.out_channels;
        let Some(last) = pixels.len().checked_sub(1) else { return };
        assert!(
            first + last * runs.pixel_step + runs.reach() <= source.len(),
            "the taps lie inside the source"
        );
        assert!(pixels.end * out_channels <= self.y.len(), "the pixels lie inside the output");
        let at = pixels.start * out_channels + panel.first;
        let lanes = panel.lane..panel.lane + panel.vectors * LANES;
        let tile = ByteTile {
            x: source[first..].as_ptr(),
            pixel_step: runs.pixel_step,
            rows: runs.rows,
            row_step: runs.row_step,
            columns: runs.columns,
            column_step: runs.column_step,
            run: runs.run,
            weights: self.conv.weights[panel.offset..].as_ptr(),
            scales: self.conv.scales[lanes.clone()].as_ptr(),
            offsets: self.conv.offsets[lanes.clone()].as_ptr(),
            residual_scales: self.conv.residual_scales[lanes].as_ptr(),
            y: self.y[at..].as_mut_ptr(),
            y_step: out_channels,
            residual: self.residual.map_or(std::ptr::null(), |residual| residual[at..].as_ptr()),
            channels: panel.channels,
            count: 0,
        };
        // SAFETY: the two assertions above bound every tap and every output pixel; the panel's weights were packed for these
        // runs, and its lanes have scales and offsets; the residual has the output's length, as `forward` found.
        unsafe { self.conv.tiles.run(panel.vectors, pixels.len(), tile) };
    }
}
