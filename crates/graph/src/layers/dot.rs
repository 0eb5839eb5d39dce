//! `Dot`: the product of two vectors, or of two matrices, along an axis of each.

use super::{Config, LayerKind};
use crate::ops::{Lowering, Permute, Product, Reshape, UnitNorm, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// The axis of each that is summed over, or one for both; the first behind the batch is 1, the last −1.
    pub axes: Value,
    /// Whether both are divided by their norms along it first: the cosine.
    pub normalize: bool,
}

impl Dot {
    /// Reads `axes` and `normalize`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axes = config.get("axes").cloned().unwrap_or(Value::Null);
        pair(&axes).ok_or_else(|| {
            config.error("`axes` is missing or wrong\nhelp: expected a number, or one for each input")
        })?;
        Ok(Self { axes, normalize: config.bool_or("normalize", false)? })
    }

    /// The axes, from 0 behind the batch.
    fn summed(&self, inputs: &[Shape]) -> Result<[usize; 2], String> {
        let [a, b] = inputs else { return Err(format!("expected two inputs, received {}", inputs.len())) };
        let axis = |axis: i64, shape: &Shape| {
            let counted = if axis < 0 { axis + shape.len() as i64 } else { axis - 1 };
            usize::try_from(counted).ok().filter(|axis| *axis < shape.len())
        };
        let axes = pair(&self.axes).and_then(|[first, second]| axis(first, a).zip(axis(second, b)));
        match axes {
            Some((i, j)) if a[i] == b[j] && a.len() == b.len() && a.len() <= 2 => Ok([i, j]),
            _ => Err(format!(
                "axes {} of {inputs:?} cannot be multiplied\nhelp: two vectors or two matrices can be",
                self.axes
            )),
        }
    }
}

/// One axis of each input.
fn pair(axes: &Value) -> Option<[i64; 2]> {
    match axes {
        Value::Array(axes) => {
            <&[Value; 2]>::try_from(axes.as_slice()).ok().map(|[a, b]| Some([a.as_i64()?, b.as_i64()?]))?
        }
        axis => axis.as_i64().map(|axis| [axis, axis]),
    }
}

impl LayerKind for Dot {
    fn class_name(&self) -> &'static str {
        "Dot"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("axes".to_owned(), self.axes.clone()),
            ("normalize".to_owned(), json!(self.normalize)),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let summed = self.summed(inputs)?;
        let left =
            |input: usize| inputs[input].iter().enumerate().filter(move |(axis, _)| *axis != summed[input]);
        let shape: Shape = [0, 1].into_iter().flat_map(left).map(|(_, extent)| *extent).collect();
        Ok(if shape.is_empty() { vec![1] } else { shape })
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shapes: Vec<Shape> = inputs.iter().map(|input| lowering.shape(*input).clone()).collect();
        let summed = self.summed(&shapes).map_err(Error::surgery)?;
        let mut rows = Vec::new();
        for ((input, shape), axis) in inputs.iter().zip(&shapes).zip(summed) {
            // what is summed over comes last
            let mut value = match (shape.len(), axis) {
                (2, 0) => lowering.push(Permute { order: vec![1, 0] }, &[*input], &[])?,
                (2, _) => *input,
                _ => lowering.push(Reshape { shape: vec![1, shape[0]] }, &[*input], &[])?,
            };
            if self.normalize {
                value = lowering.push(UnitNorm, &[value], &[])?;
            }
            rows.push(value);
        }
        let product = lowering.push(Product { transposed: true }, &rows, &[])?;
        match shapes[0].len() {
            2 => Ok(product),
            _ => lowering.push(Reshape { shape: vec![1] }, &[product], &[]),
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

    #[test]
    fn shapes_are_those_of_keras() {
        let shape = |axes: Value, a: &[usize], b: &[usize]| {
            read("Dot", json!({"axes": axes})).expect("valid").output_shape(&[a.to_vec(), b.to_vec()])
        };
        assert_eq!(shape(json!(1), &[7], &[7]), Ok(vec![1]));
        assert_eq!(shape(json!([1, 2]), &[3, 4], &[5, 3]), Ok(vec![4, 5]));
        assert_eq!(shape(json!(-1), &[3, 4], &[5, 4]), Ok(vec![3, 5]));
        assert!(shape(json!(1), &[3, 4], &[5, 4]).is_err() && shape(json!(3), &[3, 4], &[3, 4]).is_err());
        assert!(read("Dot", json!({})).is_err());
    }
}
