//! Models that were quantised: weights are widened, and values keep the range that they had, but are not rounded.

use super::constant::{Constant, Data};
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::Value;
use crate::onnx::proto::tensor_proto::DataType;
use serde_json::json;

/// The least and the greatest number of a type that values are quantised to.
pub(super) fn range(kind: Option<i32>) -> Option<[f32; 2]> {
    match DataType::try_from(kind?).ok()? {
        DataType::Uint8 => Some([0.0, 255.0]),
        DataType::Int8 => Some([-128.0, 127.0]),
        DataType::Uint16 => Some([0.0, 65535.0]),
        DataType::Int16 => Some([-32768.0, 32767.0]),
        _ => None,
    }
}

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
            [len] => *dims.get_mut(fold::axis_of(node.int("axis").unwrap_or(1), rank)?)? = *len,
            _ => return None,
        }
        Some(Constant { dims, data: Data::Float(numbers(constant)?) })
    };
    let x = Constant { dims: x.dims.clone(), data: Data::Float(numbers(x)?) };
    let centred = match given(2) {
        Some(zero) => fold::binary("Sub", &x, &along(zero)?)?,
        None => x,
    };
    fold::binary("Mul", &centred, &along(scale)?)
}

fn numbers(constant: &Constant) -> Option<Vec<f32>> {
    match &constant.data {
        Data::Float(values) => Some(values.clone()),
        _ => Some(constant.as_known()?.into_iter().map(|number| number as f32).collect()),
    }
}

impl Converter<'_> {
    /// `QuantizeLinear`. What it clips is clipped: exporters leave a ReLU out where the range does the same.
    pub(super) fn quantise(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let scale = self.known(node, 1).and_then(|scale| scale.uniform());
        let scale = scale.ok_or("its scale is not one known number")?;
        let zero = node.input(2).map_or(Some(0.0), |_| self.known(node, 2)?.uniform());
        let zero = zero.ok_or("its zero point is not one known number")?;
        let range = match node.input(2) {
            None => range(Some(DataType::Uint8 as i32)),
            Some(name) => self.source.ranges.get(name).copied(),
        };
        let [low, high] = range.ok_or("the type that it quantises to is not known")?;
        self.quantised = true;
        let settings = json!({"x_min": (low - zero) * scale, "x_max": (high - zero) * scale});
        let made = self.in_place(name, "Clip", settings, &x)?;
        Ok(Value { nonnegative: low >= zero, ..made })
    }
}
