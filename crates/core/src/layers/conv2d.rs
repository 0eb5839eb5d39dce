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

    fn kernel_shape(&self, input: &Shape) -> Result<[usize; 4], String> {
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

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.kernel_shape(super::one_of(inputs)?)?;
        let [height, width] = self.convolution.extents(&inputs[0])?;
        Ok(vec![height, width, self.filters])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]).clone();
        let kernel = self.kernel_shape(&shape).map_err(crate::Error::Surgery)?;
        let kernel = lowering.weight("kernel", &kernel, Role::Trainable);
        let params: Vec<_> =
            [kernel].into_iter().chain(self.convolution.bias_param(lowering, self.filters)).collect();
        let op = ops::Conv2d {
            strides: self.convolution.strides,
            padding: self.convolution.padding,
            dilation: self.convolution.dilation_rate,
            groups: self.groups,
            bias: self.convolution.use_bias,
            activation: Activation::Linear,
            residual: false,
        };
        let product = lowering.push(op, &inputs[..1], &params)?;
        self.convolution.activation.lower(lowering, product)
    }
}
