//! `RMSNormalization` over the last axis: each place by the root of its mean square.
//! Source: Zhang, Sennrich 2019. Keras: `keras.layers.RMSNormalization`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{
    Affine, Binary, BinaryKind, ByWeight, ByWeightKind, Elementwise, Function, Lowering, Reduce, ReduceKind,
    Role, ValueId,
};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsNormalization {
    /// As the file has it: −1, or the index of the last axis, batch counted; alone or in a list.
    pub axis: Value,
    /// Added to the mean square.
    pub epsilon: f32,
}

impl RmsNormalization {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axis = config.get("axis").cloned().unwrap_or(json!(-1));
        Ok(Self { axis, epsilon: config.f32_or("epsilon", 1e-6)? })
    }
}

impl LayerKind for RmsNormalization {
    fn class_name(&self) -> &'static str {
        "RMSNormalization"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_owned(), self.axis.clone()), ("epsilon".to_owned(), number(self.epsilon))])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        Ok(vec![WeightSpec::trainable(
            "scale",
            &[super::normalised(&self.axis, inputs)?],
            Initializer::Constant(1.0),
        )])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::normalised(&self.axis, inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]).clone();
        let channels = shape.last().copied().unwrap_or(1);
        let scale = lowering.weight("scale", &[channels], Role::Trainable);
        let square = Elementwise { function: Function::Power { exponent: 2.0 } };
        let square = lowering.push(square, inputs, &[])?;
        let mean = Reduce { kind: ReduceKind::Mean, axes: vec![shape.len() - 1], keep_dims: true };
        let mean = lowering.push(mean, &[square], &[])?;
        let mean = lowering.push(Affine { scale: vec![1.0], offset: vec![self.epsilon] }, &[mean], &[])?;
        let factor = lowering.push(Elementwise { function: Function::Rsqrt }, &[mean], &[])?;
        let made = lowering.push(Binary { kind: BinaryKind::Multiply }, &[inputs[0], factor], &[])?;
        lowering.push(ByWeight { kind: ByWeightKind::Scale }, &[made], &[scale])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn only_the_last_axis_is_normalised() {
        let shape = |axis: Value| {
            let kind = read("RMSNormalization", json!({"axis": axis})).expect("valid");
            kind.output_shape(&[vec![4, 6]])
        };
        for axis in [json!(-1), json!([2]), json!([-1])] {
            assert_eq!(shape(axis), Ok(vec![4, 6]));
        }
        assert!(shape(json!([1, 2])).is_err() && shape(json!(1)).is_err());
    }
}
