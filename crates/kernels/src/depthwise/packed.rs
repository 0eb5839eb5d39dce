//! A depthwise convolution of bf16 whose weights do not change.

#[cfg(target_arch = "x86_64")]
use super::pairs;
use super::tile::{Line, LinesOf};
use super::{DepthwiseShape, depthwise};
use crate::activation::Activation;
use crate::element::{Bf16, activate_in_place};
use crate::epilogue::Epilogue;
use crate::window::Window;

/// Weights and bias, packed once more in bf16 where the processor multiplies pairs of it and the window is 3x3.
#[derive(Debug)]
pub struct PackedDepthwise {
    shape: DepthwiseShape,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    pairs: Option<Pairs>,
}

struct Pairs {
    lines: &'static LinesOf<Bf16>,
    weights: Vec<Bf16>,
    bias: Vec<f32>,
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pairs")
    }
}

impl PackedDepthwise {
    /// * `weights`: `[kernel_h, kernel_w, channels, multiplier]`
    /// * `bias`: `[channels * multiplier]`
    pub fn new(shape: DepthwiseShape, weights: &[f32], bias: Option<&[f32]>) -> Self {
        assert_eq!(weights.len(), shape.weights_len(), "weights have the shape's length");
        assert!(bias.is_none_or(|bias| bias.len() == shape.out_channels()), "bias has one number a channel");
        #[cfg(target_arch = "x86_64")]
        let pairs = pairs::lines_of(&shape).map(|lines| {
            let (weights, bias) = pairs::pack(shape.window.channels, weights, bias);
            Pairs { lines, weights, bias }
        });
        #[cfg(not(target_arch = "x86_64"))]
        let pairs = None;
        Self { shape, weights: weights.to_vec(), bias: bias.map(<[f32]>::to_vec), pairs }
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> DepthwiseShape {
        self.shape
    }

    /// `y = activation(conv(x) + bias)`.
    ///
    /// * `x`: `[height, width, channels]`
    /// * `y`: `[out_height, out_width, channels * multiplier]`
    pub fn forward(&self, x: &[Bf16], y: &mut [Bf16], activation: Activation) {
        self.forward_rows(&self.shape.window, x, y, activation);
    }

    /// [`Self::forward`] on some rows: `window` has another height and other rows of padding than that of the shape.
    pub fn forward_rows(&self, window: &Window, x: &[Bf16], y: &mut [Bf16], activation: Activation) {
        let shape = DepthwiseShape { window: *window, ..self.shape };
        let Some(pairs) = &self.pairs else {
            let epilogue = Epilogue { bias: self.bias.as_deref(), residual: None, activation };
            return depthwise(&shape, x, &self.weights, y, epilogue, &mut []);
        };
        shape.check(x, &self.weights, y);
        let row = window.out_width() * window.channels;
        let (bounds, second_pass) = activation.in_passes();
        for oy in 0..window.out_height() {
            let y = &mut y[oy * row..(oy + 1) * row];
            let line = Line {
                window,
                oy,
                x,
                weights: &self.weights,
                turned: false,
                bias: None,
                residual: None,
                add: false,
                bounds,
                pairs: Some((&pairs.weights, &pairs.bias)),
            };
            line.run(pairs.lines, y);
            if let Some(activation) = second_pass {
                activate_in_place(activation, y);
            }
        }
    }
}
