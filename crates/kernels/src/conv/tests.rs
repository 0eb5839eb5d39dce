//! The tiles of every instruction set that this processor can run, against the plain loops.

use super::*;
use crate::element::{Bf16, Element};
use crate::reference::{self, assert_close, assert_gradient, dot, noise};
use crate::window::Window;
use crate::window::tests::square;
use proptest::prelude::*;

/// Numbers that no kernel may leave in its output.
fn poison(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// Forward with every kind of epilogue, and both gradients.
fn agrees(shape: ConvShape, seed: u64) {
    let weights = noise(shape.weights_len(), seed);
    let x = noise(shape.window.input_len(), seed ^ 1);
    let bias = noise(shape.out_channels, seed ^ 2);
    let residual = noise(shape.output_len(), seed ^ 3);
    let dy = noise(shape.output_len(), seed ^ 4);
    let depth = (shape.window.kernel_h * shape.window.kernel_w * shape.channels_per_group()) as f32;
    let mut plain = vec![0.0; shape.output_len()];
    reference::conv(&shape, &x, &weights, &mut plain);

    for tiles in Tiles::<f32>::all() {
        let packed = PackedConv::with_tiles(shape, &weights, tiles);
        let mut scratch = poison(packed.scratch_len());
        for (bias, residual, activation) in [
            (None, None, Activation::Linear),
            (Some(&bias), None, Activation::relu6()),
            (None, Some(&residual), Activation::relu()),
            (Some(&bias), Some(&residual), Activation::Silu),
        ] {
            let expected: Vec<f32> = plain
                .iter()
                .enumerate()
                .map(|(i, y)| {
                    let bias = bias.map_or(0.0, |b| b[i % b.len()]);
                    activation.apply(y + bias + residual.map_or(0.0, |r| r[i]))
                })
                .collect();
            let mut y = poison(shape.output_len());
            let epilogue =
                Epilogue { bias: bias.map(Vec::as_slice), residual: residual.map(Vec::as_slice), activation };
            packed.forward(&x, &mut y, epilogue, &mut scratch);
            assert_close(&y, &expected, depth + 2.0);
        }

        let start = noise(x.len(), seed ^ 5);
        let (mut dx, mut expected) = (start.clone(), start);
        reference::conv_backward_input(&shape, &weights, &dy, &mut expected);
        let packed = PackedConvGradient::with_tiles(shape, &weights, tiles);
        packed.backward_input(&dy, &mut dx, Accumulate::Add, &mut poison(packed.scratch_len()));
        let terms = shape.window.kernel_h * shape.window.kernel_w * shape.out_channels / shape.groups;
        assert_close(&dx, &expected, terms as f32);
        let (mut dx, mut expected) = (poison(x.len()), vec![0.0; x.len()]);
        reference::conv_backward_input(&shape, &weights, &dy, &mut expected);
        packed.backward_input(&dy, &mut dx, Accumulate::Overwrite, &mut poison(packed.scratch_len()));
        assert_close(&dx, &expected, terms as f32);

        let start = noise(weights.len(), seed ^ 6);
        let (mut dw, mut expected) = (start.clone(), start);
        reference::conv_backward_weights(&shape, &x, &dy, &mut expected);
        let mut scratch = poison(conv_backward_weights_scratch_len(&shape));
        backward_weights::with_tiles(&shape, &x, &dy, &mut dw, &mut scratch, tiles);
        assert_close(&dw, &expected, shape.window.out_pixels() as f32);
    }
}

/// Bf16: forward with every kind of epilogue, against sums in f64 of the rounded numbers.
fn bf16_agrees(shape: ConvShape, seed: u64) {
    let (mut weights, mut x) = (noise(shape.weights_len(), seed), noise(shape.window.input_len(), seed ^ 1));
    let (bias, mut residual) = (noise(shape.out_channels, seed ^ 2), noise(shape.output_len(), seed ^ 3));
    let [_, x_stored, residual] = [&mut weights, &mut x, &mut residual].map(|v| reference::stored::<Bf16>(v));
    let plain = reference::conv64(&shape, &x, &weights);
    let depth = (shape.window.kernel_h * shape.window.kernel_w * shape.channels_per_group()) as f32;
    for tiles in Tiles::<Bf16>::all() {
        let packed = PackedConv::with_tiles(shape, &weights, tiles);
        let mut scratch = vec![Bf16::of(f32::NAN); packed.scratch_len()];
        for epilogue in reference::epilogues(&bias, &residual) {
            let mut y = vec![Bf16::of(f32::NAN); shape.output_len()];
            packed.forward(&x_stored, &mut y, epilogue, &mut scratch);
            reference::assert_stored(&y, &plain, &epilogue, depth + 2.0);
        }
    }
}

fn windows() -> impl Strategy<Value = Window> {
    let size = (1usize..20, 1usize..34, 1usize..9);
    let kernel = (1usize..5, 1usize..5, 1usize..4, 1usize..4, 1usize..3, 1usize..3);
    let pad = (0usize..3, 0usize..3, 0usize..3, 0usize..3);
    (size, kernel, pad).prop_filter_map("the window fits", |(size, kernel, pad)| {
        let (height, width, channels) = size;
        let (kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w) = kernel;
        let (pad_top, pad_bottom, pad_left, pad_right) = pad;
        let window = Window {
            height,
            width,
            channels,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_bottom,
            pad_left,
            pad_right,
        };
        (window.out_pixels() > 0).then_some(window)
    })
}

proptest! {
    #[test]
    fn any_window_agrees_with_the_plain_loops(window in windows(), out_channels in 1usize..40, seed in any::<u64>()) {
        let shape = ConvShape { window, out_channels, groups: 1 };
        agrees(shape, seed);
        bf16_agrees(shape, seed);
    }

    #[test]
    fn groups_agree_with_the_plain_loops(
        window in windows(), groups in 1usize..5, out_per_group in 1usize..20, seed in any::<u64>(),
    ) {
        let window = Window { channels: window.channels * groups, ..window };
        let shape = ConvShape { window, out_channels: out_per_group * groups, groups };
        agrees(shape, seed);
        bf16_agrees(shape, seed);
    }

    #[test]
    fn pointwise_agrees_with_the_plain_loops(
        size in 1usize..18, channels in 1usize..70, out_channels in 1usize..140, seed in any::<u64>(),
    ) {
        let shape = ConvShape { window: square(size, channels, 1, 1, 1), out_channels, groups: 1 };
        agrees(shape, seed);
        bf16_agrees(shape, seed);
    }
}

#[test]
fn images_of_several_blocks_agree_with_the_plain_loops() {
    for window in [square(60, 40, 1, 1, 1), square(57, 24, 3, 1, 1), square(75, 16, 3, 2, 1)] {
        let shape = ConvShape { window: window.with_same_padding(), out_channels: 40, groups: 1 };
        agrees(shape, 9);
        bf16_agrees(shape, 9);
    }
}

#[test]
fn gathered_pixels_agree_with_the_plain_loops() {
    for (size, channels, stride) in [(5, 1024, 1), (20, 16, 2), (9, 1024, 3), (70, 24, 2)] {
        let shape = ConvShape { window: square(size, channels, 1, stride, 1), out_channels: 40, groups: 1 };
        agrees(shape, 10);
        bf16_agrees(shape, 10);
    }
}

#[test]
fn other_weights_take_the_place_of_the_first() {
    let shape = ConvShape { window: square(5, 3, 3, 1, 1).with_same_padding(), out_channels: 7, groups: 1 };
    let (first, second) = (noise(shape.weights_len(), 1), noise(shape.weights_len(), 2));
    let (x, dy) = (noise(75, 3), noise(175, 4));
    let mut packed = PackedConv::new(shape, &first);
    packed.repack(&second);
    let (mut y, mut expected) = (vec![0.0; 175], vec![0.0; 175]);
    packed.forward(&x, &mut y, Epilogue::default(), &mut poison(packed.scratch_len()));
    reference::conv(&shape, &x, &second, &mut expected);
    assert_close(&y, &expected, 27.0);

    let mut packed = PackedConvGradient::new(shape, &first);
    packed.repack(&second);
    let (mut dx, mut expected) = (vec![0.0; 75], vec![0.0; 75]);
    packed.backward_input(&dy, &mut dx, Accumulate::Add, &mut poison(packed.scratch_len()));
    reference::conv_backward_input(&shape, &second, &dy, &mut expected);
    assert_close(&dx, &expected, 63.0);
}

#[test]
fn nan_passes_through_the_bounds() {
    let shape = ConvShape { window: square(1, 1, 1, 1, 1), out_channels: 3, groups: 1 };
    for tiles in Tiles::<f32>::all() {
        let mut y = [0.0; 3];
        let epilogue = Epilogue { activation: Activation::relu6(), ..Epilogue::default() };
        PackedConv::with_tiles(shape, &[1.0; 3], tiles).forward(&[f32::NAN], &mut y, epilogue, &mut []);
        assert!(y.iter().all(|y| y.is_nan()), "{tiles:?}");
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (kernel, stride, dilation, groups) in
        [(1, 1, 1, 1), (3, 1, 1, 1), (3, 2, 1, 2), (3, 1, 2, 1), (2, 3, 1, 4)]
    {
        let window = square(9, 4, kernel, stride, dilation).with_same_padding();
        let shape = ConvShape { window, out_channels: 8, groups };
        let (x, weights) = (noise(window.input_len(), 1), noise(shape.weights_len(), 2));
        let dy = noise(shape.output_len(), 3);
        let objective = |x: &[f32], weights: &[f32]| {
            let mut y = vec![0.0; dy.len()];
            let packed = PackedConv::new(shape, weights);
            packed.forward(x, &mut y, Epilogue::default(), &mut poison(packed.scratch_len()));
            dot(&y, &dy)
        };
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        let packed = PackedConvGradient::new(shape, &weights);
        packed.backward_input(&dy, &mut dx, Accumulate::Add, &mut poison(packed.scratch_len()));
        conv_backward_weights(
            &shape,
            &x,
            &dy,
            &mut dw,
            &mut poison(conv_backward_weights_scratch_len(&shape)),
        );
        assert_gradient(&x, &dx, 0.25, |x| objective(x, &weights));
        assert_gradient(&weights, &dw, 0.25, |weights| objective(&x, weights));
    }
}

#[test]
fn a_pointwise_convolution_takes_any_number_of_pixels() {
    for (channels, out_channels) in [(24, 40), (1024, 33)] {
        let one = ConvShape { window: square(1, channels, 1, 1, 1), out_channels, groups: 1 };
        let many = ConvShape { window: square(17, channels, 1, 1, 1), out_channels, groups: 1 };
        let weights = noise(one.weights_len(), 1);
        let (x, dy) = (noise(289 * channels, 2), noise(289 * out_channels, 3));
        let run = |shape: ConvShape| {
            let packed = PackedConv::new(shape, &weights);
            let gradient = PackedConvGradient::new(shape, &weights);
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            let mut dw = vec![0.0; weights.len()];
            packed.forward(&x, &mut y, Epilogue::default(), &mut poison(1 << 20));
            gradient.backward_input(&dy, &mut dx, Accumulate::Overwrite, &mut poison(1 << 20));
            conv_backward_weights(&shape, &x, &dy, &mut dw, &mut poison(1 << 20));
            [y, dx, dw]
        };
        assert_eq!(run(one), run(many));
    }
}

/// What a convolution whose method is chosen by its shape gives for several images, against the plain loops.
#[test]
fn methods_chosen_by_shape_agree_with_the_plain_loops() {
    for (size, channels, out_channels) in [(14, 32, 48), (7, 48, 32), (15, 20, 32)] {
        let window = square(size, channels, 3, 1, 1).with_same_padding();
        let shape = ConvShape { window, out_channels, groups: 1 };
        let images = if channels == 20 { 1 } else { 3 };
        let weights = noise(shape.weights_len(), 1);
        let (x, dy) = (noise(images * window.input_len(), 2), noise(images * shape.output_len(), 3));
        let each = || x.chunks(window.input_len()).zip(dy.chunks(shape.output_len()));
        let (mut y, mut dx, mut dw) = (poison(dy.len()), poison(x.len()), vec![0.0; weights.len()]);
        let (mut y_plain, mut dx_plain) = (Vec::new(), Vec::new());
        let mut dw_plain = vec![0.0; weights.len()];
        for (x, dy) in each() {
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            reference::conv(&shape, x, &weights, &mut y);
            reference::conv_backward_input(&shape, &weights, dy, &mut dx);
            reference::conv_backward_weights(&shape, x, dy, &mut dw_plain);
            y_plain.extend(y);
            dx_plain.extend(dx);
        }
        let packed = Convolution::new(shape, &weights, images);
        assert_eq!(packed.takes_batches(), images > 1);
        packed.forward(&x, &mut y, Epilogue::default(), &mut poison(packed.scratch_len()));
        let terms = 8.0 * (9 * channels.max(out_channels)) as f32;
        assert_close(&y, &y_plain, terms);
        let packed = PackedConvGradient::for_batches(shape, &weights, images);
        packed.backward_input(&dy, &mut dx, Accumulate::Overwrite, &mut poison(packed.scratch_len()));
        assert_close(&dx, &dx_plain, terms);
        let mut scratch = poison(conv_backward_weights_scratch_len(&shape));
        conv_backward_weights(&shape, &x, &dy, &mut dw, &mut scratch);
        assert_close(&dw, &dw_plain, 8.0 * (images * window.out_pixels()) as f32);
    }
}
