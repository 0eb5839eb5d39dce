//! Values that the file rounds: they keep the range that they have there, and are not rounded.

use super::constant::range;
use super::convert::Converter;
use super::node::Node;
use super::value::Value;
use crate::onnx::proto::tensor_proto::DataType;
use serde_json::json;

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
