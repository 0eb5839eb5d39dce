//! The tiles of every instruction set that this processor can run, and the plain loops, against the reference.

use super::backward::{backward_input_on, backward_weights_on};
use super::*;
use crate::activation::Activation;
use crate::element::Bf16;
use crate::matmul::Accumulate;
use crate::reference::{self, assert_close, assert_gradient, dot, noise};
use crate::window::tests::square;
use proptest::prelude::*;

fn agrees(shape: DepthwiseShape, seed: u64) {
    let (weights, bias) = (noise(shape.weights_len(), seed), noise(shape.out_channels(), seed ^ 1));
    let (x, residual) = (noise(shape.window.input_len(), seed ^ 2), noise(shape.output_len(), seed ^ 3));
    let dy = noise(shape.output_len(), seed ^ 4);
    let terms = (shape.window.kernel_h * shape.window.kernel_w * shape.multiplier) as f32;
    let mut plain = vec![0.0; shape.output_len()];
    reference::depthwise(&shape, &x, &weights, &mut plain);
    for lines in Lines::<f32>::all() {
        for (bias, residual, activation) in [
            (None, None, Activation::Linear),
            (Some(&bias), None, Activation::relu6()),
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
            let mut y = vec![f32::NAN; shape.output_len()];
            let epilogue =
                Epilogue { bias: bias.map(Vec::as_slice), residual: residual.map(Vec::as_slice), activation };
            forward_on(lines, &shape, &x, &weights, &mut y, epilogue);
            assert_close(&y, &expected, terms + 2.0);
        }
        let start = noise(x.len(), seed ^ 5);
        let (mut dx, mut expected) = (start.clone(), start);
        reference::depthwise_backward_input(&shape, &weights, &dy, &mut expected);
        backward_input_on(lines, &shape, &weights, &dy, &mut dx, Accumulate::Add);
        assert_close(&dx, &expected, terms);
    }
    for lines in Lines::<f32>::all() {
        let start = noise(weights.len(), seed ^ 6);
        let (mut dw, mut expected) = (start.clone(), start);
        reference::depthwise_backward_weights(&shape, &x, &dy, &mut expected);
        backward_weights_on(lines, &shape, &x, &dy, &mut dw);
        assert_close(&dw, &expected, shape.window.out_pixels() as f32);
    }
}

/// Bf16: forward with every kind of epilogue, against sums in f64 of the rounded numbers.
fn bf16_agrees(shape: DepthwiseShape, seed: u64) {
    let weights = noise(shape.weights_len(), seed);
    let mut x = noise(shape.window.input_len(), seed ^ 2);
    let (bias, mut residual) = (noise(shape.out_channels(), seed ^ 1), noise(shape.output_len(), seed ^ 3));
    let [x_stored, residual] = [&mut x, &mut residual].map(|v| reference::stored::<Bf16>(v));
    let plain = reference::depthwise64(&shape, &x, &weights);
    let terms = (shape.window.kernel_h * shape.window.kernel_w) as f32;
    for lines in Lines::<Bf16>::all() {
        for epilogue in reference::epilogues(&bias, &residual) {
            let mut y = vec![Bf16::of(f32::NAN); shape.output_len()];
            forward_on(lines, &shape, &x_stored, &weights, &mut y, epilogue);
            reference::assert_stored(&y, &plain, &epilogue, terms + 2.0);
        }
    }
    // Packed, weights are rounded too.
    let mut weights = weights;
    reference::stored::<Bf16>(&mut weights);
    let plain = reference::depthwise64(&shape, &x, &weights);
    for epilogue in reference::epilogues(&bias, &residual) {
        let packed = PackedDepthwise::new(shape, &weights, epilogue.bias);
        let mut y = vec![Bf16::of(f32::NAN); shape.output_len()];
        packed.forward(&x_stored, &mut y, epilogue.activation);
        reference::assert_stored(&y, &plain, &Epilogue { residual: None, ..epilogue }, terms + 2.0);
    }
}

proptest! {
    #[test]
    fn any_window_agrees_with_the_plain_loops(
        height in 1usize..14, width in 1usize..20, channels in 1usize..40, multiplier in 1usize..4,
        kernel in (1usize..6, 1usize..6), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        pad in (0usize..3, 0usize..3, 0usize..3, 0usize..3), seed in any::<u64>(),
    ) {
        let window = Window {
            height, width, channels, kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0, stride_w: stride.1,
            dilation_h: dilation.0, dilation_w: dilation.1, pad_top: pad.0, pad_bottom: pad.1, pad_left: pad.2,
            pad_right: pad.3,
        };
        prop_assume!(window.out_pixels() > 0);
        let shape = DepthwiseShape { window, multiplier };
        agrees(shape, seed);
        bf16_agrees(shape, seed);
    }

    #[test]
    fn windows_with_tiles_agree_with_the_plain_loops(
        height in 1usize..14, width in 1usize..40, channels in 1usize..70, kernel in 1usize..3, stride in 1usize..3,
        seed in any::<u64>(),
    ) {
        let window = Window { width, height, ..square(1, channels, 2 * kernel + 1, stride, 1) };
        let shape = DepthwiseShape { window: window.with_same_padding(), multiplier: 1 };
        agrees(shape, seed);
        bf16_agrees(shape, seed);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (kernel, stride, multiplier) in [(3, 1, 1), (3, 2, 1), (5, 1, 1), (2, 1, 3)] {
        let window = square(7, 6, kernel, stride, 1).with_same_padding();
        let shape = DepthwiseShape { window, multiplier };
        let (x, weights) = (noise(window.input_len(), 1), noise(shape.weights_len(), 2));
        let dy = noise(shape.output_len(), 3);
        let objective = |x: &[f32], weights: &[f32]| {
            let mut y = vec![0.0; dy.len()];
            depthwise(&shape, x, weights, &mut y, Epilogue::default(), &mut []);
            dot(&y, &dy)
        };
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        depthwise_backward_input(&shape, &weights, &dy, &mut dx, Accumulate::Add);
        depthwise_backward_weights(&shape, &x, &dy, &mut dw);
        assert_gradient(&x, &dx, 0.25, |x| objective(x, &weights));
        assert_gradient(&weights, &dw, 0.25, |weights| objective(&x, weights));
    }
}
