//! Weights that were quantised, widened.

use super::{axis_of, binary};
use crate::onnx::read::constant::{Constant, Data};
use crate::onnx::read::node::Node;

/// `DequantizeLinear`: `(x − zero) · scale`, one of both for all, or for each place of an axis.
pub(super) fn dequantised(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let given = |index: usize| inputs.get(index).copied().flatten();
    let (x, scale) = (given(0)?, given(1)?);
    (node.int("block_size").unwrap_or(0) == 0).then_some(())?;
    let along = |constant: &Constant| {
        let rank = x.dims.len();
        let mut dims = vec![1; rank];
        match constant.dims.as_slice() {
            [] | [1] => dims.clear(),
            [len] => *dims.get_mut(axis_of(node.int("axis").unwrap_or(1), rank)?)? = *len,
            _ => return None,
        }
        Some(Constant { dims, data: Data::Float(numbers(constant)?) })
    };
    let x = Constant { dims: x.dims.clone(), data: Data::Float(numbers(x)?) };
    let centred = match given(2) {
        Some(zero) => binary("Sub", &x, &along(zero)?)?,
        None => x,
    };
    binary("Mul", &centred, &along(scale)?)
}

fn numbers(constant: &Constant) -> Option<Vec<f32>> {
    match &constant.data {
        Data::Float(values) => Some(values.clone()),
        _ => Some(constant.as_known()?.into_iter().map(|number| number as f32).collect()),
    }
}
