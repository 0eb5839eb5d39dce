//! Products of matrices.

use super::tensor;
use crate::onnx::read::convert::Converter;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;
use frostline_graph::Tensor;
use frostline_graph::layers::{Argument, Array};
use serde_json::json;
use std::sync::Arc;

impl Converter<'_> {
    /// Matrices of two values, or of one and known numbers.
    pub(in crate::onnx::read) fn matmul_of_values(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Result<Value, String> {
        let mut arguments = Vec::new();
        let mut values = Vec::new();
        for index in 0..2 {
            match self.known(node, index) {
                Some(constant) => {
                    let data =
                        constant.as_floats().ok_or("it multiplies numbers that are not of a float type")?;
                    let tensor = Arc::new(Tensor { shape: constant.dims.clone(), data: data.to_vec() });
                    arguments.push(Argument::Array(Array { tensor, dtype: "float32".to_owned() }).json());
                }
                None => {
                    arguments.push(tensor(values.len()));
                    values.push(self.value(node, index)?.plain(&mut self.builder, name)?);
                }
            }
        }
        if let [a, b] = values.as_slice()
            && a.rank() != b.rank()
        {
            return Err(format!("it multiplies values of {} and {} axes", a.rank(), b.rank()));
        }
        self.one(name, "Matmul", json!({}), arguments, &values.iter().collect::<Vec<_>>())
    }

    pub(in crate::onnx::read) fn einsum(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let equation = node.text("equation", "").to_owned();
        let mut values = Vec::new();
        for index in 0..node.inputs.len() {
            values.push(self.value(node, index)?.plain(&mut self.builder, name)?);
        }
        let arguments = (0..values.len()).map(tensor).collect();
        self.one(
            name,
            "Einsum",
            json!({ "subscripts": equation }),
            arguments,
            &values.iter().collect::<Vec<_>>(),
        )
    }
}
