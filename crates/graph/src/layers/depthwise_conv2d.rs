//! `DepthwiseConv2D`: each channel convolved by itself, `depth_multiplier` times.
//! Keras: `keras.layers.DepthwiseConv2D`.

use super::convolution::Convolution;
use super::{Config, Initializer, LayerKind, WeightSpec};
use crate::ops::{Depthwise, Lowering, Role, ValueId};
use crate::{Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2D {
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// How the kernel begins.
    pub depthwise_initializer: Initializer,
    /// Geometry, bias, activation.
    pub convolution: Convolution,
}

impl DepthwiseConv2D {
    /// Reads the attributes. Old files carry `groups`, `filters` and `kernel_initializer` too, which mean nothing
    /// here.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.ignore(&["groups", "filters", "kernel_initializer"]);
        Ok(Self {
            depth_multiplier: config.usize_or("depth_multiplier", 1)?.max(1),
            depthwise_initializer: Initializer::read(
                config,
                "depthwise_initializer",
                Initializer::GLOROT_UNIFORM,
            )?,
            convolution: Convolution::from_config(config)?,
        })
    }

    fn kernel_shape(&self, input: &Shape) -> Result<[usize; 4], String> {
        let [height, width] = self.convolution.kernel_size;
        match input.as_slice() {
            [_, _, channels] => Ok([height, width, *channels, self.depth_multiplier]),
            other => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }
}

impl LayerKind for DepthwiseConv2D {
    fn class_name(&self) -> &'static str {
        "DepthwiseConv2D"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.convolution.config();
        config.insert("depth_multiplier".to_owned(), json!(self.depth_multiplier));
        config.insert("depthwise_initializer".to_owned(), self.depthwise_initializer.to_config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let kernel = self.kernel_shape(super::one_of(inputs)?)?;
        let bias = self.convolution.bias_spec(kernel[2] * kernel[3]);
        let kernel = WeightSpec::trainable("kernel", &kernel, self.depthwise_initializer.clone());
        Ok([kernel].into_iter().chain(bias).collect())
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let kernel = self.kernel_shape(super::one_of(inputs)?)?;
        let [height, width] = self.convolution.extents(&inputs[0])?;
        Ok(vec![height, width, kernel[2] * kernel[3]])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]).clone();
        let shape = self.kernel_shape(&shape).map_err(crate::Error::surgery)?;
        let kernel = lowering.weight("kernel", &shape, Role::Trainable);
        let bias = self.convolution.bias_param(lowering, shape[2] * shape[3]);
        let params: Vec<_> = [kernel].into_iter().chain(bias).collect();
        let op = Depthwise {
            sliding: self.convolution.sliding,
            bias: self.convolution.use_bias,
            activation: Activation::Linear,
        };
        let product = lowering.push(op, &inputs[..1], &params)?;
        self.convolution.activation.lower(lowering, product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn each_channel_gives_as_many_as_the_multiplier_says() {
        let config = json!({"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "groups": 1});
        let kind = read("DepthwiseConv2D", config).expect("valid");
        assert_eq!(kind.output_shape(&[vec![5, 6, 3]]), Ok(vec![5, 6, 6]));
        let shapes: Vec<_> =
            kind.weights(&[vec![5, 6, 3]]).expect("known").into_iter().map(|w| w.shape).collect();
        assert_eq!(shapes, [vec![3, 3, 3, 2], vec![6]]);
    }
}
