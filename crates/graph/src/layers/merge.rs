//! `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`: several values, element by element, with
//! broadcasting.

use super::{Config, LayerKind};
use crate::ops::{Affine, Binary, BinaryKind, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// Which merge; none has attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The sum.
    Add,
    /// The first less the second.
    Subtract,
    /// The product.
    Multiply,
    /// The mean.
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
}

impl Merge {
    /// There is nothing to read.
    pub fn from_config(self, _: &Config<'_>) -> Result<Self> {
        Ok(self)
    }

    fn binary(self) -> Binary {
        let kind = match self {
            Self::Add | Self::Average => BinaryKind::Add,
            Self::Subtract => BinaryKind::Subtract,
            Self::Multiply => BinaryKind::Multiply,
            Self::Maximum => BinaryKind::Maximum,
            Self::Minimum => BinaryKind::Minimum,
        };
        Binary { kind }
    }
}

impl LayerKind for Merge {
    fn class_name(&self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Subtract => "Subtract",
            Self::Multiply => "Multiply",
            Self::Average => "Average",
            Self::Maximum => "Maximum",
            Self::Minimum => "Minimum",
        }
    }

    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (first, others) = inputs.split_first().ok_or("expected at least two inputs, received none")?;
        if others.is_empty() || (*self == Self::Subtract && others.len() != 1) {
            return Err(format!("expected two inputs, received {}", inputs.len()));
        }
        others.iter().try_fold(first.clone(), |shape, other| {
            crate::ops::broadcast(&shape, other)
                .ok_or_else(|| format!("shapes {inputs:?} do not fit together"))
        })
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let fold = |value: ValueId, other: &ValueId| lowering.push(self.binary(), &[value, *other], &[]);
        let merged = inputs[1..].iter().try_fold(inputs[0], fold)?;
        match self {
            Self::Average => {
                let share = Affine { scale: vec![1.0 / inputs.len() as f32], offset: vec![0.0] };
                lowering.push(share, &[merged], &[])
            }
            _ => Ok(merged),
        }
    }

    fn takes_list(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;
    use serde_json::json;

    #[test]
    fn shapes_are_broadcast_as_numpy_does() {
        for class in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"] {
            let shape = |shapes: &[&[usize]]| {
                let shapes: Vec<Shape> = shapes.iter().map(|shape| shape.to_vec()).collect();
                read(class, json!({})).expect("valid").output_shape(&shapes)
            };
            assert_eq!(shape(&[&[4, 5, 3], &[1, 1, 3]]), Ok(vec![4, 5, 3]), "{class}");
            assert!(shape(&[&[4, 5, 3], &[4, 5, 2]]).is_err(), "{class}");
            assert!(shape(&[&[4, 5, 3]]).is_err(), "{class}");
        }
    }
}
