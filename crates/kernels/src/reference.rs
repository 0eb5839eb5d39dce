//! The plain versions: one loop an index, nothing clever. Every fast kernel is tested against them.

use crate::activation::Activation;
use crate::depthwise::DepthwiseShape;
use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::window::{ConvShape, Window};

/// Calls `visit(output index, input index, weight index)` for every product of a convolution.
fn each_product(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let window = &shape.window;
    let (per_group, out_per_group) = (shape.channels_per_group(), shape.out_channels / shape.groups);
    for oy in 0..window.out_height() {
        for ox in 0..window.out_width() {
            for (ky, kx) in cells(window, oy, ox) {
                let (y, x) = (window.input_y(oy, ky), window.input_x(ox, kx));
                for o in 0..shape.out_channels {
                    for c in 0..per_group {
                        visit(
                            (oy * window.out_width() + ox) * shape.out_channels + o,
                            (y * window.width + x) * window.channels + o / out_per_group * per_group + c,
                            ((ky * window.kernel_w + kx) * per_group + c) * shape.out_channels + o,
                        );
                    }
                }
            }
        }
    }
}

/// The window cells that lie on real input at one output pixel.
fn cells(window: &Window, oy: usize, ox: usize) -> impl Iterator<Item = (usize, usize)> {
    let columns = window.taps_w(ox);
    window.taps_h(oy).flat_map(move |ky| columns.clone().map(move |kx| (ky, kx)))
}

/// `y = conv(x, weights)`, without epilogue.
pub(crate) fn conv(shape: &ConvShape, x: &[f32], weights: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    each_product(shape, |o, i, w| y[o] += x[i] * weights[w]);
}

/// `dx += dL/dx`.
pub(crate) fn conv_backward_input(shape: &ConvShape, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_product(shape, |o, i, w| dx[i] += dy[o] * weights[w]);
}

/// `dw += dL/dw`.
pub(crate) fn conv_backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    each_product(shape, |o, i, w| dw[w] += dy[o] * x[i]);
}

/// Calls `visit(output index, input index, weight index)` for every product of a depthwise convolution.
fn each_depthwise_product(shape: &DepthwiseShape, mut visit: impl FnMut(usize, usize, usize)) {
    let (window, out_channels) = (&shape.window, shape.out_channels());
    for oy in 0..window.out_height() {
        for ox in 0..window.out_width() {
            for (ky, kx) in cells(window, oy, ox) {
                let (y, x) = (window.input_y(oy, ky), window.input_x(ox, kx));
                for o in 0..out_channels {
                    visit(
                        (oy * window.out_width() + ox) * out_channels + o,
                        (y * window.width + x) * window.channels + o / shape.multiplier,
                        (ky * window.kernel_w + kx) * out_channels + o,
                    );
                }
            }
        }
    }
}

/// `y = conv(x, weights)`, without epilogue.
pub(crate) fn depthwise(shape: &DepthwiseShape, x: &[f32], weights: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    each_depthwise_product(shape, |o, i, w| y[o] += x[i] * weights[w]);
}

/// `dx += dL/dx`.
pub(crate) fn depthwise_backward_input(shape: &DepthwiseShape, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_depthwise_product(shape, |o, i, w| dx[i] += dy[o] * weights[w]);
}

/// `dw += dL/dw`.
pub(crate) fn depthwise_backward_weights(shape: &DepthwiseShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    each_depthwise_product(shape, |o, i, w| dw[w] += dy[o] * x[i]);
}

/// Values as elements hold them, and the elements.
pub(crate) fn stored<E: Element>(values: &mut [f32]) -> Vec<E> {
    let elements: Vec<E> = values.iter().map(|value| E::of(*value)).collect();
    values.iter_mut().zip(&elements).for_each(|(value, element)| *value = element.value());
    elements
}

/// `conv(x, weights)` of numbers that elements hold exactly, in f64.
pub(crate) fn conv64(shape: &ConvShape, x: &[f32], weights: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; shape.output_len()];
    each_product(shape, |o, i, w| y[o] += f64::from(x[i]) * f64::from(weights[w]));
    y
}

/// The same of a depthwise convolution.
pub(crate) fn depthwise64(shape: &DepthwiseShape, x: &[f32], weights: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; shape.output_len()];
    each_depthwise_product(shape, |o, i, w| y[o] += f64::from(x[i]) * f64::from(weights[w]));
    y
}

/// Asserts that `y` is `activation(plain + bias + residual)`, as sums of `terms` products of numbers up to one in f32,
/// and then rounded to `E` before and after the activation: a relative error of at most 2⁻⁸ where `E` is bf16, and what
/// the activation makes of the first one, whose slope is below 1.2.
pub(crate) fn assert_stored<E: Element>(y: &[E], plain: &[f64], epilogue: &Epilogue<'_, E>, terms: f32) {
    assert_eq!(y.len(), plain.len());
    let unit =
        f64::from(E::of(1.0 + 1.0 / 256.0 + 1.0 / 4096.0).value() - 1.0 - 1.0 / 256.0 - 1.0 / 4096.0).abs();
    let relative = if unit > 0.0 { 1.0 / 256.0 } else { 0.0 };
    for (i, (y, plain)) in y.iter().zip(plain).enumerate() {
        let bias = epilogue.bias.map_or(0.0, |b| b[i % b.len()]);
        let residual = epilogue.residual.map_or(0.0, |r| r[i].value());
        let sum = plain + f64::from(bias) + f64::from(residual);
        let expected = f64::from(epilogue.activation.apply(sum as f32));
        let sums = f64::from(4.0 * f32::EPSILON * (terms + 1.0).max(4.0));
        let second = if epilogue.activation.bounds().is_none() { 1.2 * relative * sum.abs() } else { 0.0 };
        let tolerance = sums + relative * expected.abs() + second;
        assert!((f64::from(y.value()) - expected).abs() <= tolerance, "element {i}: {y:?}, not {expected}");
    }
}

/// The epilogues that kernels are tested with.
pub(crate) fn epilogues<'a, E>(bias: &'a [f32], residual: &'a [E]) -> [Epilogue<'a, E>; 4] {
    let (bias, residual) = (Some(bias), Some(residual));
    [
        Epilogue { bias: None, residual: None, activation: Activation::Linear },
        Epilogue { bias, residual: None, activation: Activation::relu6() },
        Epilogue { bias: None, residual, activation: Activation::relu() },
        Epilogue { bias, residual, activation: Activation::Silu },
    ]
}

/// Reproducible numbers in [-1, 1).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Both are sums of `terms` products of numbers up to one, added in any order.
pub(crate) fn assert_close(value: &[f32], expected: &[f32], terms: f32) {
    assert_eq!(value.len(), expected.len());
    let tolerance = 4.0 * f32::EPSILON * (terms + 1.0).max(4.0);
    for (i, (v, e)) in value.iter().zip(expected).enumerate() {
        assert!((v - e).abs() <= tolerance, "element {i}: {v}, not {e}");
    }
}

/// Asserts that `gradient` is the slope of `objective` at `x`. The objective is summed in f64; it is taken on steps of
/// `step`, exact for functions up to second degree.
pub(crate) fn assert_gradient(x: &[f32], gradient: &[f32], step: f32, objective: impl Fn(&[f32]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    let mut moved = x.to_vec();
    // Every element where there are few, an even sample of about a hundred where there are many.
    for i in (0..x.len()).step_by(x.len().div_ceil(100).max(1)) {
        moved[i] = x[i] + step;
        let (high, above) = (objective(&moved), moved[i]);
        moved[i] = x[i] - step;
        let (low, below) = (objective(&moved), moved[i]);
        moved[i] = x[i];
        let slope = (high - low) / (f64::from(above) - f64::from(below));
        let error = (slope - f64::from(gradient[i])).abs();
        assert!(error <= 2e-3 * slope.abs().max(1.0), "element {i}: {} not {slope}", gradient[i]);
    }
}

/// `Σ a b` in f64.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
