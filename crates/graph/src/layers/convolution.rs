//! What the convolution layers have in common: geometry, bias, activation.

use super::{Config, Initializer, NamedActivation, WeightSpec};
use crate::Result;
use crate::ops::{Lowering, Padding, ParamId, Role, Sliding};
use serde_json::{Map, Value, json};

/// Attributes of every convolution, as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Height and width.
    pub kernel_size: [usize; 2],
    /// `strides`, `dilation_rate` and `padding`, which is `valid` or `same`.
    pub sliding: Sliding,
    /// Applied to the result.
    pub activation: NamedActivation,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// How the bias begins.
    pub bias_initializer: Initializer,
}

/// Reads `padding`.
pub(super) fn padding(config: &Config<'_>) -> Result<Padding> {
    match config.str_or("padding", "valid")? {
        "valid" => Ok(Padding::Valid),
        "same" => Ok(Padding::Same),
        other => Err(config.error(format!("`padding` is `{other}`\nhelp: expected `valid` or `same`"))),
    }
}

/// Keras's name of a padding.
pub(super) fn padding_name(padding: Padding) -> &'static str {
    if padding == Padding::Same { "same" } else { "valid" }
}

/// Fails unless all numbers are above 0.
pub(super) fn positive(config: &Config<'_>, key: &str, pair: [usize; 2]) -> Result<[usize; 2]> {
    match pair.contains(&0) {
        true => Err(config.error(format!("`{key}` is {pair:?}\nhelp: expected numbers above 0"))),
        false => Ok(pair),
    }
}

impl Convolution {
    /// Reads the attributes that all convolutions have.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        Ok(Self {
            kernel_size: positive(config, "kernel_size", config.required_pair("kernel_size")?)?,
            sliding: Sliding {
                strides: positive(config, "strides", config.pair_or("strides", [1, 1])?)?,
                dilation: positive(config, "dilation_rate", config.pair_or("dilation_rate", [1, 1])?)?,
                padding: padding(config)?,
            },
            activation: NamedActivation::from_config(config, "activation")?,
            use_bias: config.bool_or("use_bias", true)?,
            bias_initializer: Initializer::read(config, "bias_initializer", Initializer::Constant(0.0))?,
        })
    }

    /// The attributes as a config.
    pub fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("kernel_size".to_owned(), json!(self.kernel_size)),
            ("strides".to_owned(), json!(self.sliding.strides)),
            ("padding".to_owned(), json!(padding_name(self.sliding.padding))),
            ("data_format".to_owned(), json!("channels_last")),
            ("dilation_rate".to_owned(), json!(self.sliding.dilation)),
            ("activation".to_owned(), self.activation.json()),
            ("use_bias".to_owned(), json!(self.use_bias)),
            ("bias_initializer".to_owned(), self.bias_initializer.to_config()),
        ])
    }

    /// The bias, where there is one.
    pub(super) fn bias_spec(&self, channels: usize) -> Option<WeightSpec> {
        self.use_bias.then(|| WeightSpec::trainable("bias", &[channels], self.bias_initializer.clone()))
    }

    /// The bias as a parameter, where there is one.
    pub(super) fn bias_param(&self, lowering: &mut Lowering<'_>, channels: usize) -> Option<ParamId> {
        self.use_bias.then(|| lowering.weight("bias", &[channels], Role::Trainable))
    }

    /// The output's height and width.
    pub(super) fn extents(&self, input: &[usize]) -> Result<[usize; 2], String> {
        output_extents(input, self.kernel_size, self.sliding)
    }
}

/// The height and width that a window sliding over `[height, width, channels]` gives.
pub(super) fn output_extents(
    input: &[usize],
    size: [usize; 2],
    sliding: Sliding,
) -> Result<[usize; 2], String> {
    let window = sliding.window(input, size)?;
    Ok([window.out_height(), window.out_width()])
}
