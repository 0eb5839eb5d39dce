//! `Permute`: the axes behind the batch in another order.

use super::{Config, LayerKind};
use crate::ops::{self, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Permute {
    /// For each axis of the output the axis of the input; the first behind the batch is 1.
    pub dims: Vec<usize>,
}

impl Permute {
    /// Reads `dims`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let list = config.get("dims").and_then(Value::as_array);
        let axis = |value: &Value| value.as_u64().and_then(|axis| usize::try_from(axis).ok());
        let dims: Option<Vec<usize>> = list.and_then(|list| list.iter().map(axis).collect());
        let names_each = |dims: &Vec<usize>| (1..=dims.len()).all(|axis| dims.contains(&axis));
        let dims = dims.filter(names_each).ok_or_else(|| {
            config.error("`dims` is missing or wrong\nhelp: expected each axis once, such as [2, 1]")
        })?;
        Ok(Self { dims })
    }

    fn op(&self) -> ops::Permute {
        ops::Permute { order: self.dims.iter().map(|axis| axis - 1).collect() }
    }
}

impl LayerKind for Permute {
    fn class_name(&self) -> &'static str {
        "Permute"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("dims".to_owned(), json!(self.dims))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        ops::OpKind::output_shape(&self.op(), inputs, &[])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(self.op(), inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn axes_are_counted_from_one() {
        let kind = read("Permute", json!({"dims": [3, 1, 2]})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![4, 5, 6]]), Ok(vec![6, 4, 5]));
        assert!(kind.output_shape(&[vec![4, 5]]).is_err());
        for wrong in [json!([0, 1]), json!([1, 1]), json!("x")] {
            assert!(read("Permute", json!({"dims": wrong})).is_err());
        }
    }
}
