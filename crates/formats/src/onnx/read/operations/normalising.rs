//! Normalisation and softmax along axes.

use super::{array, stored_axis, tensor};
use crate::onnx::read::convert::Converter;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;
use serde_json::json;

impl Converter<'_> {
    pub(in crate::onnx::read) fn log_softmax(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let default = if self.source.opset < 13 { 1 } else { -1 };
        let axis = stored_axis(&x, node.int("axis").unwrap_or(default))?;
        self.in_place(name, "LogSoftmax", json!({ "axis": axis }), &x)
    }

    pub(in crate::onnx::read) fn lp_normalization(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(-1))?;
        let order = node.int("p").unwrap_or(2);
        // no norm is too small for this operator
        self.in_place(name, "Normalize", json!({"axis": axis, "order": order, "epsilon": 1e-30}), &x)
    }

    pub(in crate::onnx::read) fn instance_normalization(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Result<Value, String> {
        let x = self.image_or_sequence(node, name)?;
        let (scale, offset) = (self.weight(node, 1, "scale")?, self.weight(node, 2, "bias")?);
        let epsilon = node.float("epsilon", 1e-5);
        let config = json!({"groups": -1, "axis": -1, "epsilon": epsilon});
        let made = self.builder.alike(name, "GroupNormalization", config, &x)?;
        let channels = x.channels();
        for (variable, constant) in [("gamma", scale), ("beta", offset)] {
            let data = constant.as_floats().unwrap_or_default().to_vec();
            self.builder.weight(&made, variable, &[channels], data)?;
        }
        Ok(made)
    }

    /// `x / (bias + α / size · Σ x²)^β`, the sum over the channels around each. Source: ONNX's `LRN`.
    pub(in crate::onnx::read) fn local_response(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image(node, name)?;
        let (alpha, beta, bias) =
            (node.float("alpha", 1e-4), node.float("beta", 0.75), node.float("bias", 1.0));
        let size = node
            .int("size")
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=1 << 16).contains(size));
        let size = size.ok_or("it has no size")?;
        let channels = x.channels();
        let (before, behind) = ((size - 1) / 2, size / 2);
        let reaches = |from: usize, to: usize| from + before >= to && from <= to + behind;
        let share = alpha / size as f32;
        let band = (0..channels * channels)
            .map(|place| if reaches(place / channels, place % channels) { share } else { 0.0 })
            .collect();
        let square = self.in_place(&format!("{name}.square"), "Square", json!({}), &x)?;
        let around = vec![tensor(0), array(vec![channels; 2], band)];
        let sums = self.one(&format!("{name}.sums"), "Matmul", json!({}), around, &[&square])?;
        let shifted =
            self.one(&format!("{name}.bias"), "Add", json!({}), vec![tensor(0), json!(bias)], &[&sums])?;
        let divisor = self.one(
            &format!("{name}.power"),
            "Power",
            json!({}),
            vec![tensor(0), json!(beta)],
            &[&shifted],
        )?;
        let made = self.one(name, "TrueDivide", json!({}), vec![tensor(0), tensor(1)], &[&x, &divisor])?;
        Ok(Value { nonnegative: x.nonnegative, ..made.stored_as(&x) })
    }
}
