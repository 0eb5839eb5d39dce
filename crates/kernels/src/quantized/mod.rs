//! Kernels on images of bytes, with weights of bytes: int8 inference.
//!
//! A byte `q` of channel `c` stands for `(q - zero) * scales[c]`. Because each channel of an image is scaled by itself, the
//! scales of a convolution's input go into its weights before those are rounded, and cost nothing later. Weights have one
//! scale an output channel. Sums are taken in i32, which is exact, so that every instruction set gives the same bits.
//!
//! The rounding to bytes at the end bounds a result by 0 and 255. Activations that only bound their input need nothing
//! else: the range of a `relu` begins at `zero = 0`, and what lies above its upper bound is above 255.

mod conv;
mod depthwise;
#[cfg(target_arch = "x86_64")]
mod depthwise_tile;
mod tile;

pub use conv::QuantizedConv;
pub use depthwise::QuantizedDepthwise;

use crate::dispatch::vectorized;

/// How the bytes of one image stand for numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// Of each channel.
    pub scales: Vec<f32>,
    /// The byte that stands for 0.
    pub zero: u8,
}

/// The least range, of an image or of weights that are all 0: no scale is 0.
const SMALLEST: f32 = 1e-30;

impl Quantization {
    /// Of channels whose values lie between these bounds: from 0 up where none is below, else on both sides of 0.
    ///
    /// A channel's range is at least `floor` of the widest one's, so that a channel that was quiet when the bounds were
    /// taken can still say something.
    pub fn of_ranges(low: &[f32], high: &[f32], floor: f32) -> Self {
        let signed = low.iter().any(|low| *low < 0.0);
        let steps = if signed { 127.0 } else { 255.0 };
        let reach = |(low, high): (&f32, &f32)| high.max(-low).max(0.0);
        let widest = low.iter().zip(high).map(reach).fold(SMALLEST, f32::max);
        let scales = low.iter().zip(high).map(|bounds| reach(bounds).max(widest * floor) / steps).collect();
        Self { scales, zero: if signed { 128 } else { 0 } }
    }

    /// Writes values as bytes, rounded to the nearest and of two to the even; both `[pixels, channels]`.
    pub fn quantize(&self, from: &[f32], to: &mut [u8]) {
        assert_eq!(from.len(), to.len(), "values and bytes have one length");
        quantize(&self.scales, f32::from(self.zero), from, to);
    }

    /// Writes bytes as values; both `[pixels, channels]`.
    pub fn dequantize(&self, from: &[u8], to: &mut [f32]) {
        assert_eq!(from.len(), to.len(), "bytes and values have one length");
        dequantize(&self.scales, f32::from(self.zero), from, to);
    }
}

vectorized! {
    fn quantize(scales: &[f32], zero: f32, from: &[f32], to: &mut [u8]) {
        for (from, to) in from.chunks_exact(scales.len()).zip(to.chunks_exact_mut(scales.len())) {
            for ((from, to), scale) in from.iter().zip(to).zip(scales) {
                *to = (from / scale + zero).round_ties_even() as u8;
            }
        }
    }
}

vectorized! {
    fn dequantize(scales: &[f32], zero: f32, from: &[u8], to: &mut [f32]) {
        for (from, to) in from.chunks_exact(scales.len()).zip(to.chunks_exact_mut(scales.len())) {
            for ((from, to), scale) in from.iter().zip(to).zip(scales) {
                *to = (f32::from(*from) - zero) * scale;
            }
        }
    }
}

/// Weights of one output channel as bytes: the quantised weights, and what one step of them is worth.
fn round_weights(weights: impl Iterator<Item = f32> + Clone) -> (impl Iterator<Item = i8>, f32) {
    let largest = weights.clone().fold(SMALLEST, |largest, weight| largest.max(weight.abs()));
    let scale = largest / 127.0;
    (weights.map(move |weight| (weight / scale).round_ties_even() as i8), scale)
}

/// What a sum of weights and bytes is multiplied with and what is added then, to be a byte of the output. `worth` is a step
/// of the weights, `weights` their sum.
fn lane(
    worth: f32,
    weights: i32,
    bias: f32,
    input: &Quantization,
    output: &Quantization,
    channel: usize,
) -> [f32; 2] {
    let step = output.scales[channel];
    let scale = worth / step;
    [scale, bias / step + f32::from(output.zero) - scale * (i32::from(input.zero) * weights) as f32]
}

#[cfg(test)]
mod tests;
