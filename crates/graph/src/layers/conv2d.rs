//! `Conv2D`: `y = activation(x ∗ kernel + bias)`. Kernels are HWIO.
//! Keras: `keras.layers.Conv2D`; `Convolution2D` in Keras 1.

use super::convolution::Convolution;
use super::{Config, Initializer, LayerKind, WeightSpec};
use crate::ops::{self, Lowering, Role, ValueId};
use crate::{Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2D {
    /// The channels of the output.
    pub filters: usize,
    /// Channels are convolved in this many groups.
    pub groups: usize,
    /// How the kernel begins.
    pub kernel_initializer: Initializer,
    /// Geometry, bias, activation.
    pub convolution: Convolution,
}

impl Conv2D {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let groups = config.usize_or("groups", 1)?;
        let filters = config.usize("filters")?;
        if groups == 0 || filters == 0 || !filters.is_multiple_of(groups) {
            return Err(config
                .error(format!("{filters} filters in {groups} groups\nhelp: groups must divide filters")));
        }
        Ok(Self {
            filters,
            groups,
            kernel_initializer: Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?,
            convolution: Convolution::from_config(config)?,
        })
    }

    pub(super) fn kernel_shape(&self, input: &Shape) -> Result<[usize; 4], String> {
        let [height, width] = self.convolution.kernel_size;
        match input.as_slice() {
            [_, _, channels] if channels.is_multiple_of(self.groups) => {
                Ok([height, width, channels / self.groups, self.filters])
            }
            [_, _, channels] => Err(format!("{channels} channels do not divide into {} groups", self.groups)),
            other => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }
}

impl LayerKind for Conv2D {
    fn class_name(&self) -> &'static str {
        "Conv2D"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.convolution.config();
        config.insert("filters".to_owned(), json!(self.filters));
        config.insert("groups".to_owned(), json!(self.groups));
        config.insert("kernel_initializer".to_owned(), self.kernel_initializer.to_config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let kernel = self.kernel_shape(super::one_of(inputs)?)?;
        let kernel = WeightSpec::trainable("kernel", &kernel, self.kernel_initializer.clone());
        Ok([kernel].into_iter().chain(self.convolution.bias_spec(self.filters)).collect())
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.kernel_shape(super::one_of(inputs)?)?;
        let [height, width] = self.convolution.extents(&inputs[0])?;
        Ok(vec![height, width, self.filters])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]).clone();
        let kernel = self.kernel_shape(&shape).map_err(crate::Error::surgery)?;
        let kernel = lowering.weight("kernel", &kernel, Role::Trainable);
        let params: Vec<_> =
            [kernel].into_iter().chain(self.convolution.bias_param(lowering, self.filters)).collect();
        let op = ops::Conv2d {
            sliding: self.convolution.sliding,
            groups: self.groups,
            bias: self.convolution.use_bias,
            activation: Activation::Linear,
            residual: false,
        };
        let product = lowering.push(op, &inputs[..1], &params)?;
        self.convolution.activation.lower(lowering, product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    fn shape(config: Value, input: &[usize]) -> Result<Shape, String> {
        read("Conv2D", config).expect("valid").output_shape(&[input.to_vec()])
    }

    #[test]
    fn output_shapes_are_those_of_keras() {
        let config = |padding: &str| json!({"filters": 8, "kernel_size": [3, 2], "strides": [2, 1], "padding": padding});
        assert_eq!(shape(config("valid"), &[9, 7, 3]), Ok(vec![4, 6, 8]));
        assert_eq!(shape(config("same"), &[9, 7, 3]), Ok(vec![5, 7, 8]));
        let dilated = json!({"filters": 8, "kernel_size": 3, "dilation_rate": 3});
        assert_eq!(shape(dilated.clone(), &[9, 7, 3]), Ok(vec![3, 1, 8]));
        assert!(shape(dilated, &[9, 6, 3]).is_err());
        assert!(shape(json!({"filters": 8, "kernel_size": 3}), &[9, 3]).is_err());
    }

    #[test]
    fn groups_must_divide_channels_and_filters() {
        let config = |filters: usize| json!({"filters": filters, "kernel_size": 1, "groups": 2});
        assert!(read("Conv2D", config(3)).expect_err("odd").to_string().contains("help:"));
        assert!(shape(config(4), &[5, 5, 3]).is_err());
        let kernel = read("Conv2D", config(4)).expect("valid").weights(&[vec![5, 5, 6]]).expect("known");
        assert_eq!(kernel[0].shape, [1, 1, 3, 4]);
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_a_reason() {
        for (key, value) in [
            ("data_format", json!("channels_first")),
            ("padding", json!("causal")),
            ("strides", json!([0, 1])),
        ] {
            let mut config = json!({"filters": 8, "kernel_size": [3, 3]});
            config[key] = value;
            let error = read("Conv2D", config).expect_err(key).to_string();
            assert!(error.contains(&format!("`{key}`")) && error.contains("help:"), "{error}");
        }
        assert!(
            read("Conv2D", json!({"filters": 8})).expect_err("no size").to_string().contains("`kernel_size`")
        );
    }
}
