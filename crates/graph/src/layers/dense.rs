//! `Dense`: `y = activation(x · kernel + bias)` over the last axis.
//! Keras: `keras.layers.Dense`; `output_dim` in Keras 1.

use super::{Config, Initializer, LayerKind, NamedActivation, WeightSpec};
use crate::ops::{self, Lowering, Role, ValueId};
use crate::{Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
///
/// ```
/// use frostline_graph::layers::{Dense, Kind};
///
/// let output: Kind = Dense::new(10).softmax().into();
/// assert_eq!(output.output_shape(&[vec![64]]), Ok(vec![10]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// The width of the output.
    pub units: usize,
    /// Applied to the result.
    pub activation: NamedActivation,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// How the kernel begins.
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    pub bias_initializer: Initializer,
}

impl Dense {
    /// A layer with Keras's defaults: no activation, a bias.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: NamedActivation::LINEAR,
            use_bias: true,
            kernel_initializer: Initializer::GLOROT_UNIFORM,
            bias_initializer: Initializer::Constant(0.0),
        }
    }

    /// With an activation.
    #[must_use]
    pub fn activation(self, activation: NamedActivation) -> Self {
        Self { activation, ..self }
    }

    /// With `1 / (1 + exp(-x))`: the probability of the second of two classes.
    #[must_use]
    pub fn sigmoid(self) -> Self {
        self.activation(NamedActivation::SIGMOID)
    }

    /// With `exp(x) / Σ exp(x)`: the probabilities of classes.
    #[must_use]
    pub fn softmax(self) -> Self {
        self.activation(NamedActivation::SOFTMAX)
    }

    /// With `max(x, 0)`.
    #[must_use]
    pub fn relu(self) -> Self {
        self.activation(NamedActivation::RELU)
    }

    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let units = config.usize("units")?;
        if units == 0 {
            return Err(config.error("`units` is 0\nhelp: expected a number above 0"));
        }
        Ok(Self {
            units,
            activation: NamedActivation::from_config(config, "activation")?,
            use_bias: config.bool_or("use_bias", true)?,
            kernel_initializer: Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?,
            bias_initializer: Initializer::read(config, "bias_initializer", Initializer::Constant(0.0))?,
        })
    }

    fn kernel_shape(&self, input: &Shape) -> Result<[usize; 2], String> {
        input
            .last()
            .map(|width| [*width, self.units])
            .ok_or_else(|| "expected values, received none".to_owned())
    }
}

impl LayerKind for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("units".to_owned(), json!(self.units)),
            ("activation".to_owned(), self.activation.json()),
            ("use_bias".to_owned(), json!(self.use_bias)),
            ("kernel_initializer".to_owned(), self.kernel_initializer.to_config()),
            ("bias_initializer".to_owned(), self.bias_initializer.to_config()),
        ])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let kernel = self.kernel_shape(super::one_of(inputs)?)?;
        let mut weights = vec![WeightSpec::trainable("kernel", &kernel, self.kernel_initializer.clone())];
        if self.use_bias {
            weights.push(WeightSpec::trainable("bias", &[self.units], self.bias_initializer.clone()));
        }
        Ok(weights)
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut shape = super::one_of(inputs)?.clone();
        *shape.last_mut().ok_or("expected values, received none")? = self.units;
        Ok(shape)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let width = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let mut params = vec![lowering.weight("kernel", &[width, self.units], Role::Trainable)];
        if self.use_bias {
            params.push(lowering.weight("bias", &[self.units], Role::Trainable));
        }
        let op = ops::Dense { bias: self.use_bias, activation: Activation::Linear };
        let product = lowering.push(op, &inputs[..1], &params)?;
        self.activation.lower(lowering, product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn the_last_axis_becomes_the_units() {
        let kind = read("Dense", json!({"units": 4, "use_bias": false})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![5, 6, 3]]), Ok(vec![5, 6, 4]));
        let weights = kind.weights(&[vec![5, 6, 3]]).expect("known");
        assert_eq!((weights.len(), weights[0].shape.clone()), (1, vec![3, 4]));
    }

    #[test]
    fn units_must_be_there_and_above_zero() {
        for config in [json!({}), json!({"units": 0}), json!({"units": -1}), json!({"units": 1.5})] {
            assert!(read("Dense", config).expect_err("wrong").to_string().contains("units"));
        }
        assert_eq!(read("Dense", json!({"units": 3.0})).expect("whole").config()["units"], json!(3));
    }
}
