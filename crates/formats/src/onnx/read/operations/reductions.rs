//! One number of all along some axes, and where it is.

use super::{REDUCTIONS, class_of, stored_axis, tensor, without};
use crate::onnx::read::convert::Converter;
use crate::onnx::read::fold;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;
use serde_json::json;

impl Converter<'_> {
    /// One number of all along some axes.
    pub(in crate::onnx::read) fn reduction(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let class = class_of(REDUCTIONS, &node.op).ok_or("it is no reduction")?;
        let mut x = self.unflattened(node, name)?;
        let axes = fold::axes(node, self.known(node, 1).as_deref())
            .ok_or("it goes over all axes, or over such as are not known")?;
        let stored = axes.iter().map(|axis| stored_axis(&x, *axis)).collect::<Result<Vec<_>, String>>()?;
        let keep = node.int("keepdims").unwrap_or(1) != 0;
        let mut settings = json!({"axis": stored, "keepdims": keep});
        match node.op.as_str() {
            "ReduceL1" => settings["ord"] = json!(1),
            "ReduceSumSquare" => x = self.in_place(&format!("{name}.square"), "Square", json!({}), &x)?,
            _ => {}
        }
        if let ([axis], "Norm") = (stored.as_slice(), class) {
            settings["axis"] = json!(axis);
        }
        let nonnegative = x.nonnegative || class == "Norm";
        let made = self.one(name, class, settings, vec![tensor(0)], &[&x])?;
        Ok(Value { nonnegative, ..without(&x, &stored, keep, made) })
    }

    /// The sum along one axis, which is kept.
    pub(in crate::onnx::read) fn sum_along(
        &mut self,
        x: &Value,
        name: &str,
        axis: i64,
    ) -> Result<Value, String> {
        let settings = json!({"axis": [stored_axis(x, axis)?], "keepdims": true});
        self.in_place(name, "Sum", settings, x)
    }

    pub(in crate::onnx::read) fn place(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(0))?;
        let keep = node.int("keepdims").unwrap_or(1) != 0;
        if node.int("select_last_index").unwrap_or(0) != 0 {
            return Err("it takes the last of equal numbers, where the first can be".to_owned());
        }
        let class = if node.op == "ArgMax" { "Argmax" } else { "Argmin" };
        let made = self.one(name, class, json!({"axis": axis, "keepdims": keep}), vec![tensor(0)], &[&x])?;
        Ok(without(&x, &[axis], keep, made))
    }
}
