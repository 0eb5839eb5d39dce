//! `SeparableConv2D`: a depthwise convolution, then a 1x1 convolution that mixes the channels.
//! Keras: `keras.layers.SeparableConv2D`; Chollet 2017.

use super::convolution::Convolution;
use super::{Config, Initializer, LayerKind, WeightSpec};
use crate::ops::{Conv2d, Depthwise, Lowering, Role, Sliding, ValueId};
use crate::{Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct SeparableConv2D {
    /// The channels of the output.
    pub filters: usize,
    /// Channels between the two convolutions for each input channel.
    pub depth_multiplier: usize,
    /// How the depthwise kernel begins.
    pub depthwise_initializer: Initializer,
    /// How the 1x1 kernel begins.
    pub pointwise_initializer: Initializer,
    /// Geometry, bias, activation.
    pub convolution: Convolution,
}

impl SeparableConv2D {
    /// Reads the attributes. Old files carry `groups` and `kernel_initializer` too, which mean nothing here.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.ignore(&["groups", "kernel_initializer"]);
        let filters = config.usize("filters")?;
        if filters == 0 {
            return Err(config.error("`filters` is 0\nhelp: expected a number above 0"));
        }
        Ok(Self {
            filters,
            depth_multiplier: config.usize_or("depth_multiplier", 1)?.max(1),
            depthwise_initializer: Initializer::read(
                config,
                "depthwise_initializer",
                Initializer::GLOROT_UNIFORM,
            )?,
            pointwise_initializer: Initializer::read(
                config,
                "pointwise_initializer",
                Initializer::GLOROT_UNIFORM,
            )?,
            convolution: Convolution::from_config(config)?,
        })
    }

    /// The shapes of both kernels.
    fn kernel_shapes(&self, input: &Shape) -> Result<[[usize; 4]; 2], String> {
        let [height, width] = self.convolution.kernel_size;
        match input.as_slice() {
            [_, _, channels] => Ok([
                [height, width, *channels, self.depth_multiplier],
                [1, 1, channels * self.depth_multiplier, self.filters],
            ]),
            other => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }
}

impl LayerKind for SeparableConv2D {
    fn class_name(&self) -> &'static str {
        "SeparableConv2D"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.convolution.config();
        config.insert("filters".to_owned(), json!(self.filters));
        config.insert("depth_multiplier".to_owned(), json!(self.depth_multiplier));
        config.insert("depthwise_initializer".to_owned(), self.depthwise_initializer.to_config());
        config.insert("pointwise_initializer".to_owned(), self.pointwise_initializer.to_config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let [depthwise, pointwise] = self.kernel_shapes(super::one_of(inputs)?)?;
        let kernels = [
            WeightSpec::trainable("depthwise_kernel", &depthwise, self.depthwise_initializer.clone()),
            WeightSpec::trainable("pointwise_kernel", &pointwise, self.pointwise_initializer.clone()),
        ];
        Ok(kernels.into_iter().chain(self.convolution.bias_spec(self.filters)).collect())
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [height, width] = self.convolution.extents(super::one_of(inputs)?)?;
        Ok(vec![height, width, self.filters])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]).clone();
        let [depthwise, pointwise] = self.kernel_shapes(&shape).map_err(crate::Error::surgery)?;
        let depthwise = lowering.weight("depthwise_kernel", &depthwise, Role::Trainable);
        let pointwise = lowering.weight("pointwise_kernel", &pointwise, Role::Trainable);
        let bias = self.convolution.bias_param(lowering, self.filters);
        let (sliding, activation) = (self.convolution.sliding, Activation::Linear);
        let op = Depthwise { sliding, bias: false, activation };
        let middle = lowering.push(op, &inputs[..1], &[depthwise])?;
        let op = Conv2d {
            sliding: Sliding::default(),
            groups: 1,
            bias: self.convolution.use_bias,
            activation,
            residual: false,
        };
        let params: Vec<_> = [pointwise].into_iter().chain(bias).collect();
        let product = lowering.push(op, &[middle], &params)?;
        self.convolution.activation.lower(lowering, product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn two_kernels_make_the_layer() {
        let config = json!({"filters": 7, "kernel_size": 3, "depth_multiplier": 2, "strides": 2});
        let kind = read("SeparableConv2D", config).expect("valid");
        assert_eq!(kind.output_shape(&[vec![9, 9, 3]]), Ok(vec![4, 4, 7]));
        let shapes: Vec<_> =
            kind.weights(&[vec![9, 9, 3]]).expect("known").into_iter().map(|w| w.shape).collect();
        assert_eq!(shapes, [vec![3, 3, 3, 2], vec![1, 1, 6, 7], vec![7]]);
    }
}
