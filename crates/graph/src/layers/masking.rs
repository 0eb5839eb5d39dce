//! `Masking`: steps of a sequence whose channels all have one value do not count in the layers above.
//! Keras: `keras.layers.Masking`.

use super::{Config, LayerKind, MaskRule, number};
use crate::ops::{Binary, BinaryKind, Constant, Lowering, Reduce, ReduceKind, Reshape, Select, ValueId};
use crate::{Result, Shape, Tensor};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    /// The value.
    pub mask_value: f32,
}

impl Masking {
    /// Reads the value.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { mask_value: config.f32_or("mask_value", 0.0)? })
    }
}

impl LayerKind for Masking {
    fn class_name(&self) -> &'static str {
        "Masking"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("mask_value".to_owned(), number(self.mask_value))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match super::one_of(inputs)? {
            shape if shape.len() == 2 => Ok(shape.clone()),
            other => Err(format!("expected a sequence [steps, channels], received {other:?}")),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let steps = lowering.shape(inputs[0])[0];
        let mut constant = |value: f32| {
            lowering.push(Constant { tensor: Arc::new(Tensor::filled(&[1, 1], value)) }, &[], &[])
        };
        let (value, zero) = (constant(self.mask_value)?, constant(0.0)?);
        let other = lowering.push(Binary { kind: BinaryKind::NotEqual }, &[inputs[0], value], &[])?;
        let any = Reduce { kind: ReduceKind::Max, axes: vec![1], keep_dims: true };
        let counts = lowering.push(any, &[other], &[])?;
        let output = lowering.push(Select, &[counts, inputs[0], zero], &[])?;
        let mask = lowering.push(Reshape { shape: vec![steps] }, &[counts], &[])?;
        lowering.set_mask(output, mask);
        Ok(output)
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Refused
    }

    fn makes_mask(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::read;
    use serde_json::json;

    #[test]
    fn the_sequence_keeps_its_shape() {
        let kind = read("Masking", json!({"mask_value": -1.0})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![5, 3]]), Ok(vec![5, 3]));
        assert!(kind.output_shape(&[vec![5]]).is_err());
        assert_eq!(kind.config()["mask_value"], json!(-1.0));
    }
}
