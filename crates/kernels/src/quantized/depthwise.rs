//! Depthwise convolution of bytes: 3x3 windows with strides 1 and 2 on a register tile where the processor has one, all
//! others as plain loops.

#[cfg(target_arch = "x86_64")]
use super::depthwise_tile::Tiles;
use super::{Quantization, round_weights};
use crate::depthwise::DepthwiseShape;
use crate::dispatch::vectorized;
use crate::window::Window;

/// A depthwise convolution whose weights do not change, between images of known quantisations.
#[derive(Debug)]
pub struct QuantizedDepthwise {
    shape: DepthwiseShape,
    /// The input's byte for 0, which lies around the image.
    zero: u8,
    /// `[kernel_h, kernel_w, channels * multiplier]`.
    weights: Vec<i8>,
    /// Of each output channel: what a sum is multiplied with, and what is added then.
    scales: Vec<f32>,
    offsets: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    tiles: Option<Tiles>,
}

impl QuantizedDepthwise {
    /// * `weights`: `[kernel_h, kernel_w, channels, multiplier]`
    /// * `bias`: `[channels * multiplier]`
    pub fn new(
        shape: DepthwiseShape,
        weights: &[f32],
        bias: Option<&[f32]>,
        [input, output]: [&Quantization; 2],
    ) -> Self {
        let channels = shape.out_channels();
        assert_eq!(weights.len(), shape.weights_len(), "weights have the shape's length");
        assert!(bias.is_none_or(|bias| bias.len() == channels), "bias has one number a channel");
        assert_eq!(input.scales.len(), shape.window.channels, "the input has one scale a channel");
        assert_eq!(output.scales.len(), channels, "the output has one scale a channel");
        let mut bytes = vec![0; weights.len()];
        let (mut scales, mut offsets) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
        for c in 0..channels {
            let scale = input.scales[c / shape.multiplier];
            let (rounded, worth) =
                round_weights(weights[c..].iter().step_by(channels).map(|weight| weight * scale));
            let mut sum = 0;
            for (to, byte) in bytes[c..].iter_mut().step_by(channels).zip(rounded) {
                sum += i32::from(byte);
                *to = byte;
            }
            let [scale, offset] = super::lane(worth, sum, bias.map_or(0.0, |bias| bias[c]), input, output, c);
            scales.push(scale);
            offsets.push(offset);
        }
        Self {
            shape,
            zero: input.zero,
            #[cfg(target_arch = "x86_64")]
            tiles: Tiles::new(&shape, input.zero, &bytes, &scales, &offsets),
            weights: bytes,
            scales,
            offsets,
        }
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> DepthwiseShape {
        self.shape
    }

    /// `y = conv(x) + bias`, rounded to the output's bytes.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`: `[out_height, out_width, channels * multiplier]`
    pub fn forward(&self, x: &[u8], y: &mut [u8]) {
        self.forward_rows(&self.shape.window, x, y);
    }

    /// [`Self::forward`] on some rows: `window` has another height and other rows of padding than that of the shape.
    pub fn forward_rows(&self, window: &Window, x: &[u8], y: &mut [u8]) {
        let shape = DepthwiseShape { window: *window, ..self.shape };
        assert_eq!(x.len(), window.input_len(), "x has the window's input length");
        assert_eq!(y.len(), shape.output_len(), "y has the window's output length");
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = &self.tiles {
            return tiles.forward(window, x, y);
        }
        self.plain(&shape, x, y);
    }

    /// Any window, on any processor.
    pub(super) fn plain(&self, shape: &DepthwiseShape, x: &[u8], y: &mut [u8]) {
        plain(shape, self.zero, &self.weights, &self.scales, &self.offsets, x, y);
    }
}

/// Output channels whose sums are taken side by side.
const CHUNK: usize = 64;

vectorized! {
    fn plain(
        shape: &DepthwiseShape, zero: u8, weights: &[i8], scales: &[f32], offsets: &[f32], x: &[u8], y: &mut [u8],
    ) {
        let (w, channels) = (&shape.window, shape.out_channels());
        if channels == 0 {
            return;
        }
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let (oy, ox) = (pixel / w.out_width(), pixel % w.out_width());
            let (rows, columns) = (w.taps_h(oy), w.taps_w(ox));
            for first in (0..channels).step_by(CHUNK) {
                let end = (first + CHUNK).min(channels);
                let mut sums = [0i32; CHUNK];
                for tap in 0..w.kernel_h * w.kernel_w {
                    let (ky, kx) = (tap / w.kernel_w, tap % w.kernel_w);
                    let weights = &weights[tap * channels..][first..end];
                    if !rows.contains(&ky) || !columns.contains(&kx) {
                        sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += i32::from(zero) * i32::from(*w));
                        continue;
                    }
                    let x = &x[(w.input_y(oy, ky) * w.width + w.input_x(ox, kx)) * w.channels..][..w.channels];
                    if shape.multiplier == 1 {
                        for ((sum, w), x) in sums.iter_mut().zip(weights).zip(&x[first..end]) {
                            *sum += i32::from(*x) * i32::from(*w);
                        }
                    } else {
                        for (i, (sum, w)) in sums.iter_mut().zip(weights).enumerate() {
                            *sum += i32::from(x[(first + i) / shape.multiplier]) * i32::from(*w);
                        }
                    }
                }
                for (((y, sum), scale), offset) in
                    y[first..end].iter_mut().zip(&sums).zip(&scales[first..end]).zip(&offsets[first..end])
                {
                    *y = (*sum as f32).mul_add(*scale, *offset).round_ties_even() as u8;
                }
            }
        }
    }
}
