//! `Rescaling`: `y = x · scale + offset`, one number for all or one a channel.

use super::{Config, LayerKind, number};
use crate::ops::{Affine, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescaling {
    /// Factors.
    pub scale: Vec<f32>,
    /// Terms.
    pub offset: Vec<f32>,
}

impl Rescaling {
    /// Reads `scale` and `offset`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let scale = config.numbers("scale")?.filter(|list| !list.is_empty());
        let scale = scale.ok_or_else(|| config.error("its config has no `scale`"))?;
        let offset = config.numbers("offset")?.filter(|list| !list.is_empty()).unwrap_or_else(|| vec![0.0]);
        Ok(Self { scale, offset })
    }
}

impl LayerKind for Rescaling {
    fn class_name(&self) -> &'static str {
        "Rescaling"
    }

    fn config(&self) -> Map<String, Value> {
        let list = |numbers: &[f32]| match numbers {
            [one] => number(*one),
            many => Value::Array(many.iter().map(|each| number(*each)).collect()),
        };
        Map::from_iter([("scale".to_owned(), list(&self.scale)), ("offset".to_owned(), list(&self.offset))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(Affine { scale: self.scale.clone(), offset: self.offset.clone() }, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;
    use serde_json::json;

    #[test]
    fn one_number_serves_all_channels_or_each_has_its_own() {
        let config = json!({"scale": [0.5, 0.25], "offset": -1.0});
        assert_eq!(Value::Object(read("Rescaling", config.clone()).expect("valid").config()), config);
        assert_eq!(read("Rescaling", json!({"scale": 2})).expect("valid").config()["offset"], json!(0.0));
        assert!(read("Rescaling", json!({})).is_err() && read("Rescaling", json!({"scale": "x"})).is_err());
    }
}
