//! `PReLU`: `x` where `x > 0`, else `alpha · x` with a learned `alpha` an element.
//! Source: He et al. 2015. Keras: `keras.layers.PReLU`.

use super::{Config, Initializer, LayerKind, WeightSpec};
use crate::ops::{ByWeight, ByWeightKind, Lowering, Role, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct PRelu {
    /// Axes, the first behind the batch being 1, along which one `alpha` is shared.
    pub shared_axes: Vec<usize>,
    /// How `alpha` begins.
    pub alpha_initializer: Initializer,
}

impl PRelu {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axis =
            |value: &Value| value.as_u64().filter(|axis| (1..16).contains(axis)).map(|axis| axis as usize);
        let shared_axes = match config.get("shared_axes") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(axes)) => axes.iter().map(axis).collect(),
            Some(one) => axis(one).map(|axis| vec![axis]),
        };
        Ok(Self {
            shared_axes: shared_axes.ok_or_else(|| {
                config.error("`shared_axes` cannot be read\nhelp: expected a list such as [1, 2]")
            })?,
            alpha_initializer: Initializer::read(config, "alpha_initializer", Initializer::Constant(0.0))?,
        })
    }

    fn alpha_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut shape = super::one_of(inputs)?.clone();
        for axis in &self.shared_axes {
            *shape.get_mut(axis - 1).ok_or_else(|| format!("shares axis {axis} of {:?}", inputs[0]))? = 1;
        }
        Ok(shape)
    }
}

impl LayerKind for PRelu {
    fn class_name(&self) -> &'static str {
        "PReLU"
    }

    fn config(&self) -> Map<String, Value> {
        let shared = if self.shared_axes.is_empty() { Value::Null } else { json!(self.shared_axes) };
        Map::from_iter([
            ("shared_axes".to_owned(), shared),
            ("alpha_initializer".to_owned(), self.alpha_initializer.to_config()),
        ])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let shape = self.alpha_shape(inputs)?;
        Ok(vec![WeightSpec::trainable("alpha", &shape, self.alpha_initializer.clone())])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.alpha_shape(inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = self.alpha_shape(&[lowering.shape(inputs[0]).clone()]).map_err(Error::surgery)?;
        let alpha = lowering.weight("alpha", &shape, Role::Trainable);
        lowering.push(ByWeight { kind: ByWeightKind::NegativeSlope }, inputs, &[alpha])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn an_alpha_is_shared_along_axes() {
        let shape = |axes: Value| {
            let kind = read("PReLU", json!({"shared_axes": axes})).expect("valid");
            kind.weights(&[vec![4, 5, 6]]).map(|weights| weights[0].shape.clone())
        };
        assert_eq!(shape(json!([1, 2])), Ok(vec![1, 1, 6]));
        assert_eq!(shape(Value::Null), Ok(vec![4, 5, 6]));
        assert!(shape(json!([4])).is_err());
        assert!(read("PReLU", json!({"shared_axes": [0]})).is_err());
    }
}
