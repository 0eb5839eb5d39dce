//! `LayerNormalization` over the last axis: each pixel by its own mean and variance.
//! Source: Ba, Kiros, Hinton 2016. Keras: `keras.layers.LayerNormalization`.

use super::group_normalization::Affine;
use super::{Config, LayerKind, WeightSpec, number};
use crate::ops::{GroupNorm, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormalization {
    /// As the file has it: −1, or the index of the last axis, batch counted; alone or in a list.
    pub axis: Value,
    /// Added to the variance.
    pub epsilon: f32,
    /// Gamma and beta.
    pub affine: Affine,
}

impl LayerNormalization {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        if config.bool_or("rms_scaling", false)? {
            return Err(config.error("`rms_scaling` is true\nhelp: Keras gave it up; it cannot be run"));
        }
        let axis = config.get("axis").cloned().unwrap_or(json!(-1));
        Ok(Self { axis, epsilon: config.f32_or("epsilon", 1e-3)?, affine: Affine::from_config(config)? })
    }
}

impl LayerKind for LayerNormalization {
    fn class_name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.affine.config();
        config.insert("axis".to_owned(), self.axis.clone());
        config.insert("epsilon".to_owned(), number(self.epsilon));
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        Ok(self.affine.weights(super::normalised(&self.axis, inputs)?))
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::normalised(&self.axis, inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let channels = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let params = self.affine.params(lowering, channels);
        let Affine { scale, center, .. } = self.affine;
        let op = GroupNorm { groups: 1, by_pixel: true, epsilon: self.epsilon, scale, center };
        lowering.push(op, inputs, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn only_the_last_axis_is_normalised() {
        let shape = |axis: Value| {
            let kind = read("LayerNormalization", json!({"axis": axis})).expect("valid");
            kind.output_shape(&[vec![4, 5, 6]])
        };
        for axis in [json!(-1), json!([3]), json!(3), json!([-1])] {
            assert_eq!(shape(axis), Ok(vec![4, 5, 6]));
        }
        assert!(shape(json!([1, 2, 3])).is_err() && shape(json!(1)).is_err());
        assert!(read("LayerNormalization", json!({"rms_scaling": true})).is_err());
    }
}
