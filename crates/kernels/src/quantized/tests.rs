//! The tiles of this processor against plain loops, bit for bit, and those against f64 on the numbers that bytes stand for.

use super::tile::PORTABLE;
use super::*;
use crate::depthwise::DepthwiseShape;
use crate::reference::{conv64, depthwise64, noise};
use crate::window::tests::square;
use crate::window::{ConvShape, Window};
use proptest::prelude::*;

/// Numbers around 0, or none below it, with the quantisation of their range.
fn image(len: usize, channels: usize, signed: bool, seed: u64) -> (Vec<f32>, Vec<u8>, Quantization) {
    let mut values = noise(len, seed);
    for (index, value) in values.iter_mut().enumerate() {
        *value *= (1 + index % channels) as f32;
        if !signed {
            *value = value.max(0.0);
        }
    }
    let quantization = ranges(&values, channels);
    let mut bytes = vec![0; len];
    quantization.quantize(&values, &mut bytes);
    quantization.dequantize(&bytes, &mut values);
    (values, bytes, quantization)
}

fn ranges(values: &[f32], channels: usize) -> Quantization {
    let bound = |c: usize, f: fn(f32, f32) -> f32| values[c..].iter().step_by(channels).copied().fold(0.0, f);
    let low: Vec<f32> = (0..channels).map(|c| bound(c, f32::min)).collect();
    let high: Vec<f32> = (0..channels).map(|c| bound(c, f32::max)).collect();
    Quantization::of_ranges(&low, &high, 1e-3)
}

/// Each byte is within a step of what f64 makes of the same input, and as far as rounded weights may have moved it.
fn assert_bytes(y: &[u8], exact: &[f64], output: &Quantization, slack: impl Fn(usize) -> f64) {
    for (index, (byte, exact)) in y.iter().zip(exact).enumerate() {
        let scale = f64::from(output.scales[index % output.scales.len()]);
        let wanted = (exact / scale + f64::from(output.zero)).clamp(0.0, 255.0);
        let apart = (f64::from(*byte) - wanted).abs();
        assert!(
            apart <= 0.51 + slack(index) / scale,
            "byte {index} is {byte}, which should be near {wanted}"
        );
    }
}

/// Half a step of every weight of an output channel, at the largest byte: as far as rounding them may move a sum.
fn rounding(
    weights: &[f32],
    channels: usize,
    taps: usize,
    input: &Quantization,
    per: impl Fn(usize, usize) -> usize,
) -> Vec<f64> {
    let one = |c: usize| {
        let scaled = (0..taps).map(|tap| weights[tap * channels + c] * input.scales[per(tap, c)]);
        let largest = scaled.fold(0.0f32, |a, b| a.max(b.abs()));
        f64::from(largest) / 127.0 * 0.51 * taps as f64 * f64::from(255 - input.zero)
    };
    (0..channels).map(one).collect()
}

fn conv_agrees(shape: ConvShape, signed: bool, seed: u64) {
    let channels = shape.out_channels;
    let (values, bytes, input) = image(shape.window.input_len(), shape.window.channels, signed, seed);
    let (added, added_bytes, residual) = image(shape.output_len(), channels, true, seed ^ 1);
    let weights = noise(shape.weights_len(), seed ^ 2);
    let bias = noise(channels, seed ^ 3);
    let plain = conv64(&shape, &values, &weights);
    let (in_group, out_group) = (shape.channels_per_group(), channels / shape.groups);
    let taps = weights.len() / channels;
    let slack =
        rounding(&weights, channels, taps, &input, |tap, c| c / out_group * in_group + tap % in_group);
    for with_residual in [false, true] {
        let exact: Vec<f64> = plain
            .iter()
            .enumerate()
            .map(|(i, y)| {
                y + f64::from(bias[i % channels]) + if with_residual { f64::from(added[i]) } else { 0.0 }
            })
            .collect();
        let output = ranges(&exact.iter().map(|y| *y as f32).collect::<Vec<_>>(), channels);
        let residual = with_residual.then_some(&residual);
        let mut conv = QuantizedConv::new(shape, &weights, Some(&bias), [&input, &output], residual);
        let added = with_residual.then_some(added_bytes.as_slice());
        let mut results = [vec![7; exact.len()], vec![9; exact.len()]];
        let mut scratch = vec![250; conv.scratch_len()];
        conv.forward(&bytes, added, &mut results[0], &mut scratch);
        conv.tiles = &PORTABLE;
        conv.forward(&bytes, added, &mut results[1], &mut vec![3; conv.scratch_len()]);
        assert_eq!(results[0], results[1], "{shape:?}");
        assert_bytes(&results[0], &exact, &output, |index| slack[index % channels]);
    }
}

fn depthwise_agrees(shape: DepthwiseShape, signed: bool, seed: u64) {
    let channels = shape.out_channels();
    let (values, bytes, input) = image(shape.window.input_len(), shape.window.channels, signed, seed);
    let (weights, bias) = (noise(shape.weights_len(), seed ^ 2), noise(channels, seed ^ 3));
    let mut exact = depthwise64(&shape, &values, &weights);
    exact.iter_mut().enumerate().for_each(|(i, y)| *y += f64::from(bias[i % channels]));
    let output = ranges(&exact.iter().map(|y| *y as f32).collect::<Vec<_>>(), channels);
    let taps = weights.len() / channels;
    let slack = rounding(&weights, channels, taps, &input, |_, c| c / shape.multiplier);
    let conv = QuantizedDepthwise::new(shape, &weights, Some(&bias), [&input, &output]);
    let (mut y, mut plain) = (vec![7; exact.len()], vec![9; exact.len()]);
    conv.forward(&bytes, &mut y);
    conv.plain(&shape, &bytes, &mut plain);
    assert_eq!(y, plain, "{shape:?}");
    assert_bytes(&y, &exact, &output, |index| slack[index % channels]);
}

fn window(sizes: [usize; 2], channels: usize, kernel: [usize; 2], steps: [usize; 2], same: bool) -> Window {
    let window = Window {
        height: sizes[0],
        width: sizes[1],
        kernel_h: kernel[0],
        kernel_w: kernel[1],
        ..square(1, channels, 1, steps[0], steps[1])
    };
    if same { window.with_same_padding() } else { window }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn convolutions_agree(
        sizes in [3usize..12, 3usize..20],
        kernel in [1usize..4, 1usize..4],
        steps in [1usize..3, 1usize..2],
        channels in 1usize..9,
        out in 1usize..140,
        groups in 1usize..3,
        same: bool,
        signed: bool,
        seed: u64,
    ) {
        let window = window(sizes, channels * groups, kernel, steps, same);
        conv_agrees(ConvShape { window, out_channels: out * groups, groups }, signed, seed);
    }

    #[test]
    fn pointwise_convolutions_agree(
        pixels in 1usize..40, channels in 1usize..70, out in 1usize..140, stride in 1usize..3, signed: bool, seed: u64,
    ) {
        let window = window([3, pixels], channels, [1, 1], [stride, 1], false);
        conv_agrees(ConvShape { window, out_channels: out, groups: 1 }, signed, seed);
    }

    #[test]
    fn depthwise_convolutions_agree(
        sizes in [3usize..9, 3usize..20],
        kernel in 2usize..6,
        steps in [1usize..3, 1usize..3],
        channels in 1usize..140,
        multiplier in 1usize..3,
        same: bool,
        signed: bool,
        seed: u64,
    ) {
        for multiplier in [1, multiplier] {
            let window = window(sizes, channels, [kernel, kernel], steps, same);
            if window.out_pixels() > 0 {
                depthwise_agrees(DepthwiseShape { window, multiplier }, signed, seed);
            }
            let window = Window { kernel_h: 3, kernel_w: 3, dilation_h: 1, dilation_w: 1, ..window };
            let window = if same { window.with_same_padding() } else { window };
            depthwise_agrees(DepthwiseShape { window, multiplier }, signed, seed);
        }
    }
}

#[test]
fn bytes_round_to_the_nearest_and_stop_at_their_ends() {
    let quantization = Quantization { scales: vec![0.5, 2.0], zero: 128 };
    let values = [0.0, 0.0, 0.25, -3.0, 0.75, 3.0, 1e9, -1e9, f32::NAN, 254.0];
    let mut bytes = [0; 10];
    quantization.quantize(&values, &mut bytes);
    assert_eq!(bytes, [128, 128, 128, 126, 130, 130, 255, 0, 0, 255]);
    let mut back = [0.0; 10];
    quantization.dequantize(&bytes, &mut back);
    assert_eq!(back[..6], [0.0, 0.0, 0.0, -4.0, 1.0, 4.0]);
}

#[test]
fn a_quiet_channel_keeps_a_share_of_the_widest() {
    let found = Quantization::of_ranges(&[0.0, 0.0], &[255.0, 0.0], 0.01);
    assert_eq!(found, Quantization { scales: vec![1.0, 0.01], zero: 0 });
    let found = Quantization::of_ranges(&[-12.7, 0.0], &[1.0, 127.0], 0.01);
    assert_eq!(found, Quantization { scales: vec![0.1, 1.0], zero: 128 });
}
