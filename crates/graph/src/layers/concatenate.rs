//! `Concatenate`: several values behind each other along one axis.

use super::{Config, LayerKind};
use crate::ops::{Concat, Lowering, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Concatenate {
    /// Batch counted; negative from the end.
    pub axis: i64,
}

impl Concatenate {
    /// Reads `axis`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axis = config.get("axis").map_or(Some(-1), Value::as_i64);
        axis.map(|axis| Self { axis }).ok_or_else(|| config.error("`axis` is not a whole number"))
    }

    /// The axis without the batch, for values of this rank.
    fn axis(&self, rank: usize) -> Result<usize, String> {
        let axis = if self.axis < 0 { rank as i64 + self.axis } else { self.axis - 1 };
        usize::try_from(axis).ok().filter(|axis| *axis < rank).ok_or_else(|| {
            format!("cannot join values of {rank} dimensions (batch not counted) along axis {}", self.axis)
        })
    }
}

impl LayerKind for Concatenate {
    fn class_name(&self) -> &'static str {
        "Concatenate"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_owned(), json!(self.axis))])
    }

    fn on_mask(&self) -> super::MaskRule {
        // channels of a sequence
        if [-1, 2].contains(&self.axis) { super::MaskRule::Passed } else { super::MaskRule::Refused }
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let first = inputs.first().ok_or("expected inputs, received none")?;
        let axis = self.axis(first.len())?;
        crate::ops::OpKind::output_shape(&Concat { axis }, inputs, &[])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let axis = self.axis(lowering.shape(inputs[0]).len()).map_err(Error::surgery)?;
        lowering.push(Concat { axis }, inputs, &[])
    }

    fn takes_list(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn the_axis_counts_the_batch_or_from_the_end() {
        let shape = |axis: i64| {
            let kind = read("Concatenate", json!({"axis": axis})).expect("valid");
            kind.output_shape(&[vec![4, 5, 3], vec![4, 5, 3]])
        };
        assert_eq!([shape(-1), shape(3)], [Ok(vec![4, 5, 6]), Ok(vec![4, 5, 6])]);
        assert_eq!([shape(1), shape(-3)], [Ok(vec![8, 5, 3]), Ok(vec![8, 5, 3])]);
        assert!(shape(0).is_err() && shape(4).is_err() && shape(-4).is_err());
    }

    #[test]
    fn shapes_must_agree_but_for_the_axis() {
        let kind = read("Concatenate", json!({})).expect("valid");
        assert!(kind.output_shape(&[vec![4, 5, 3], vec![4, 6, 3]]).is_err());
        assert!(kind.output_shape(&[vec![4, 5, 3], vec![5, 3]]).is_err());
        assert!(kind.output_shape(&[]).is_err());
    }
}
