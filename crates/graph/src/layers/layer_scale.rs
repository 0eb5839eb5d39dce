//! `LayerScale`: each channel times a factor that is learned.
//! Source: Touvron et al. 2021. Keras: `keras.applications.convnext`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{ByWeight, ByWeightKind, Lowering, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerScale {
    /// Where the factors begin.
    pub init_values: f32,
    /// How many there are: one a channel.
    pub projection_dim: usize,
}

impl LayerScale {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self {
            init_values: config.f32_or("init_values", 1e-6)?,
            projection_dim: config.usize("projection_dim")?,
        })
    }
}

impl LayerKind for LayerScale {
    fn class_name(&self) -> &'static str {
        "LayerScale"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("init_values".to_owned(), number(self.init_values)),
            ("projection_dim".to_owned(), json!(self.projection_dim)),
        ])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        self.output_shape(inputs)?;
        let begin = Initializer::Constant(self.init_values);
        Ok(vec![WeightSpec::trainable("gamma", &[self.projection_dim], begin)])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        match input.last() == Some(&self.projection_dim) {
            true => Ok(input.clone()),
            false => Err(format!("{} factors do not fit values of {input:?}", self.projection_dim)),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let gamma = lowering.weight("gamma", &[self.projection_dim], Role::Trainable);
        lowering.push(ByWeight { kind: ByWeightKind::Scale }, inputs, &[gamma])
    }

    fn keras_module(&self) -> &'static str {
        "keras.src.applications.convnext"
    }
}
