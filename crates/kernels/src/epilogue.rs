//! What is done to the output of a convolution of any kind before it is stored.

use crate::activation::Activation;

/// What is done to the output before it is stored: `activation(conv + bias + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a, E = f32> {
    /// `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// The shape of the output.
    pub residual: Option<&'a [E]>,
    /// Applied last.
    pub activation: Activation,
}

impl<E> Epilogue<'_, E> {
    pub(crate) fn check(&self, out_channels: usize, output_len: usize) {
        assert!(self.bias.is_none_or(|b| b.len() == out_channels), "bias has one number an output channel");
        assert!(self.residual.is_none_or(|r| r.len() == output_len), "residual has the output's shape");
    }
}
