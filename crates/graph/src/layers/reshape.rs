//! `Flatten` and `Reshape`: the same elements in another shape.

use super::{Config, LayerKind};
use crate::ops::{self, Lowering, ValueId};
use crate::{Error, Extents, Result, Shape};
use serde_json::{Map, Value, json};

/// All elements of an image in one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Flatten;

/// A shape as the config says; one extent may be −1 and follows from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// Without the batch.
    pub target_shape: Vec<i64>,
}

impl Flatten {
    /// Reads `data_format`, which must be `channels_last`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        Ok(Self)
    }
}

impl Reshape {
    /// Reads `target_shape`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let list = config.get("target_shape").and_then(Value::as_array);
        let extents = list.and_then(|list| list.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
        let valid = |extents: &Vec<i64>| {
            extents.iter().filter(|extent| **extent == -1).count() <= 1
                && extents.iter().all(|extent| *extent == -1 || (1..1 << 32).contains(extent))
        };
        let target_shape = extents.filter(valid).ok_or_else(|| {
            config.error(
                "`target_shape` is missing or wrong\nhelp: expected extents above 0, of which one may be -1",
            )
        })?;
        Ok(Self { target_shape })
    }
}

impl LayerKind for Flatten {
    fn class_name(&self) -> &'static str {
        "Flatten"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("data_format".to_owned(), json!("channels_last"))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(vec![super::one_of(inputs)?.iter().product()])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = vec![lowering.shape(inputs[0]).iter().product()];
        lowering.push(ops::Reshape { shape }, inputs, &[])
    }
}

impl LayerKind for Reshape {
    fn class_name(&self) -> &'static str {
        "Reshape"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("target_shape".to_owned(), json!(self.target_shape))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        let elements: usize = input.iter().product();
        let known: usize =
            self.target_shape.iter().filter(|extent| **extent > 0).map(|extent| *extent as usize).product();
        let extent = |extent: &i64| usize::try_from(*extent).unwrap_or(elements / known.max(1));
        let shape: Shape = self.target_shape.iter().map(extent).collect();
        match shape.elements() == elements {
            true => Ok(shape),
            false => Err(format!("cannot reshape {input:?} to {:?}", self.target_shape)),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = self.output_shape(&[lowering.shape(inputs[0]).clone()]).map_err(Error::surgery)?;
        lowering.push(ops::Reshape { shape }, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn one_extent_may_follow_from_the_others() {
        let shape = |target: Value| {
            read("Reshape", json!({"target_shape": target})).expect("valid").output_shape(&[vec![4, 5, 3]])
        };
        assert_eq!(shape(json!([-1, 6])), Ok(vec![10, 6]));
        assert_eq!(shape(json!([3, 20])), Ok(vec![3, 20]));
        assert!(shape(json!([-1, 7])).is_err() && shape(json!([61])).is_err());
        for wrong in [json!([-1, -1]), json!([0]), json!([-2]), json!("x")] {
            assert!(read("Reshape", json!({"target_shape": wrong})).is_err());
        }
        assert_eq!(read("Flatten", json!({})).expect("valid").output_shape(&[vec![4, 5, 3]]), Ok(vec![60]));
    }
}
