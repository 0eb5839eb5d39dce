//! Winograd's convolution against the plain loops, with the tiles of every instruction set; and how it rounds.

use super::*;
use crate::reference::{assert_close, conv, conv_backward_weights, conv64, noise};
use crate::tile::Tiled;
use crate::window::Window;
use crate::window::tests::square;
use proptest::prelude::*;

/// By how much more the sums of transformed numbers may differ than sums of the numbers themselves: the rows of Bᵀ and of
/// Aᵀ add up to 4.5 and 7.7 times a number, of which the products with the small rows of G take most back.
const AMPLIFICATION: f32 = 8.0;

fn agrees(shape: ConvShape, images: usize, seed: u64) {
    let weights = noise(shape.weights_len(), seed);
    let x = noise(images * shape.window.input_len(), seed ^ 1);
    let (bias, residual) =
        (noise(shape.out_channels, seed ^ 2), noise(images * shape.output_len(), seed ^ 3));
    let mut plain = vec![0.0; images * shape.output_len()];
    for (x, y) in x.chunks(shape.window.input_len()).zip(plain.chunks_mut(shape.output_len())) {
        conv(&shape, x, &weights, y);
    }
    let terms = AMPLIFICATION * (9 * shape.window.channels + 2) as f32;
    for tiles in Tiles::<f32>::all() {
        let packed = Winograd::with_tiles(shape, &weights, tiles);
        for epilogue in crate::reference::epilogues(&bias, &residual) {
            let mut y = vec![f32::NAN; plain.len()];
            let mut scratch = vec![f32::NAN; packed.scratch_len()];
            let given = epilogue.residual.map_or(Residual::None, Residual::Given);
            packed.run(&x, &mut y, epilogue.bias, given, epilogue.activation, &mut scratch);
            let expected: Vec<f32> = plain
                .iter()
                .enumerate()
                .map(|(i, y)| {
                    let bias = epilogue.bias.map_or(0.0, |b| b[i % b.len()]);
                    epilogue.activation.apply(y + bias + epilogue.residual.map_or(0.0, |r| r[i]))
                })
                .collect();
            assert_close(&y, &expected, terms);
        }
        let mut y = residual.clone();
        let mut scratch = vec![f32::NAN; packed.scratch_len()];
        packed.run(&x, &mut y, None, Residual::Output, Activation::Linear, &mut scratch);
        let expected: Vec<f32> = plain.iter().zip(&residual).map(|(y, r)| y + r).collect();
        assert_close(&y, &expected, terms);
    }
}

fn gradient_agrees(shape: ConvShape, images: usize, seed: u64) {
    let x = noise(images * shape.window.input_len(), seed);
    let dy = noise(images * shape.output_len(), seed ^ 1);
    let start = noise(shape.weights_len(), seed ^ 2);
    let mut expected = start.clone();
    for (x, dy) in x.chunks(shape.window.input_len()).zip(dy.chunks(shape.output_len())) {
        conv_backward_weights(&shape, x, dy, &mut expected);
    }
    for tiles in Tiles::<f32>::all() {
        let mut dw = start.clone();
        let mut scratch = vec![f32::NAN; backward_weights_scratch_len(&shape, tiles)];
        backward_weights(&shape, &x, &dy, &mut dw, &mut scratch, tiles);
        assert_close(&dw, &expected, AMPLIFICATION * (images * shape.window.out_pixels() + 1) as f32);
    }
}

proptest! {
    #[test]
    fn any_image_agrees_with_the_plain_loops(
        (height, width) in (1usize..14, 1usize..14),
        pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        (channels, out_channels) in (1usize..4, 1usize..4),
        images in 1usize..4,
        seed: u64,
    ) {
        let [pad_top, pad_bottom, pad_left, pad_right] = pads;
        let window = Window {
            height, width, pad_top, pad_bottom, pad_left, pad_right, ..square(1, channels * CHANNELS, 3, 1, 1)
        };
        if window.out_pixels() > 0 {
            let shape = ConvShape { window, out_channels: out_channels * CHANNELS, groups: 1 };
            agrees(shape, images, seed);
            gradient_agrees(shape, images, seed);
        }
    }
}

#[test]
fn images_of_several_blocks_agree_with_the_plain_loops() {
    let window = square(34, 144, 3, 1, 1).with_same_padding();
    agrees(ConvShape { window, out_channels: 48, groups: 1 }, 1, 1);
    let window = square(22, 144, 3, 1, 1).with_same_padding();
    gradient_agrees(ConvShape { window, out_channels: 48, groups: 1 }, 9, 2);
}

#[test]
fn an_image_has_the_same_bits_whatever_stands_beside_it() {
    for (size, channels) in [(7, 512), (14, 64)] {
        let window = square(size, channels, 3, 1, 1).with_same_padding();
        let shape = ConvShape { window, out_channels: 32, groups: 1 };
        let packed = Winograd::with_tiles(shape, &noise(shape.weights_len(), 1), f32::tiles());
        let x = noise(5 * window.input_len(), 2);
        let run = |x: &[f32]| {
            let mut y = vec![0.0; x.len() / window.input_len() * shape.output_len()];
            let mut scratch = vec![f32::NAN; packed.scratch_len()];
            packed.run(x, &mut y, None, Residual::None, Activation::Linear, &mut scratch);
            y
        };
        let together = run(&x);
        let alone: Vec<f32> = x.chunks(window.input_len()).flat_map(run).collect();
        assert_eq!(together, alone);
    }
}

/// Pixels after a ReLU, in a layer of ResNet50: the root of the mean squared error beside that of the outputs, and the
/// largest error beside the largest output. Measured there, all sums in f32: the direct convolution has 6e-7 and 1.3e-6,
/// these points 1.2e-6 and 2e-6, the usual points 0, ±1, ±2 have 2.6e-6 and 8e-6, and 0, ±½, ±1 2.7e-6 and 9e-6.
#[test]
fn rounding_errors_are_small() {
    let window = square(14, 256, 3, 1, 1).with_same_padding();
    let shape = ConvShape { window, out_channels: 64, groups: 1 };
    let weights = noise(shape.weights_len(), 1);
    let x: Vec<f32> = noise(window.input_len(), 2).iter().map(|x| x.max(0.0)).collect();
    let exact = conv64(&shape, &x, &weights);
    let packed = Winograd::with_tiles(shape, &weights, f32::tiles());
    let mut y = vec![0.0; exact.len()];
    packed.run(&x, &mut y, None, Residual::None, Activation::Linear, &mut vec![0.0; packed.scratch_len()]);
    let errors = || y.iter().zip(&exact).map(|(y, exact)| f64::from(*y) - exact);
    let square_sum = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let relative = (square_sum(&mut errors()) / square_sum(&mut exact.iter().copied())).sqrt();
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |a: f64, b| a.max(b.abs()));
    let worst = largest(&mut errors()) / largest(&mut exact.iter().copied());
    assert!(relative < 2e-6 && worst < 4e-6, "{relative:e} {worst:e}");
}
