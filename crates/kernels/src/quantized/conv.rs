//! Convolution of bytes: the loops of [`crate::conv`] around the tile of [`super::tile`].

use super::tile::{ByteTile, ByteTiles, GROUP, LANES, MAX_VECTORS, channel};
use super::{Quantization, lane as lane_of, round_weights};
use crate::conv::padded::Runs;
use crate::conv::walk::{Panel, Taps, Visitor, Walk};
use crate::window::ConvShape;

/// A convolution whose weights do not change, between images of known quantisations.
#[derive(Debug)]
pub struct QuantizedConv {
    shape: ConvShape,
    /// The input's byte for 0, which lies around the image.
    zero: u8,
    pub(super) tiles: &'static ByteTiles,
    panels: Vec<Panel>,
    /// Bytes of weights of one lane.
    depth: usize,
    weights: Vec<i8>,
    /// Of each lane of the panels: see [`ByteTile`].
    scales: Vec<f32>,
    offsets: Vec<f32>,
    residual_scales: Vec<f32>,
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
            depth: depth.max(1),
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
        self.walk().scratch_len::<u8>()
    }

    fn walk(&self) -> Walk {
        Walk { shape: self.shape, group: GROUP, longest_piece: self.tiles.longest_piece() }
    }

    /// `y = conv(x) + bias + residual`, rounded to the output's bytes.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`, `residual`: `[out_height, out_width, out_channels]`
    /// * `scratch`: at least [`Self::scratch_len`] bytes of any content
    pub fn forward(&self, x: &[u8], residual: Option<&[u8]>, y: &mut [u8], scratch: &mut [u8]) {
        let pixels = self.shape.check_lens(x, y);
        assert!(residual.is_none_or(|residual| residual.len() == y.len()), "residual has the output's shape");
        let mut lines = Lines { conv: self, residual, y };
        self.walk().run(pixels, &self.panels, x, self.zero, scratch, &mut lines);
    }
}

/// Panels of as many vectors as are filled: 4, 2 or 1.
fn panels(shape: &ConvShape, depth: usize) -> Vec<Panel> {
    let per_group = shape.out_channels / shape.groups.max(1);
    let (mut panels, mut offset) = (Vec::new(), 0);
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
            panels.push(Panel { group, first: group * per_group + first, channels, vectors, offset });
            offset += depth * vectors * LANES;
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

impl Visitor<u8> for Lines<'_> {
    fn compute(&mut self, panel: &Panel, taps: Taps<'_, u8>) {
        let out_channels = self.conv.shape.out_channels;
        let Some(count) = taps.checked(out_channels, self.y.len()) else { return };
        let Taps { source, first, runs, pixels } = taps;
        let at = pixels.start * out_channels + panel.first;
        let lane = panel.offset / self.conv.depth;
        let lanes = lane..lane + panel.vectors * LANES;
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
        // SAFETY: `Taps::checked` bounds every tap and every output pixel; the panel's weights were packed for these
        // runs, and its lanes have scales and offsets; the residual has the output's length, as `forward` found.
        unsafe { self.conv.tiles.run(panel.vectors, count, tile) };
    }
}
