//! `UnitNormalization`: rows of the last axis divided by their Euclidean norm.

use super::{Config, LayerKind};
use crate::ops::{Lowering, UnitNorm, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitNormalization {
    /// As the file has it: −1, or the index of the last axis, batch counted; alone or in a list.
    pub axis: Value,
}

impl UnitNormalization {
    /// Reads `axis`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { axis: config.get("axis").cloned().unwrap_or(Value::from(-1)) })
    }
}

impl LayerKind for UnitNormalization {
    fn class_name(&self) -> &'static str {
        "UnitNormalization"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_owned(), self.axis.clone())])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        super::is_last_axis(&self.axis, input).then(|| input.clone()).ok_or_else(|| {
            format!("normalises axis {} of {input:?}\nhelp: only the last axis can be run", self.axis)
        })
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(UnitNorm, inputs, &[])
    }
}
