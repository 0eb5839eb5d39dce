//! Products of values, their norms, and rows of copies.

use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::Value;
use serde_json::json;

impl Converter<'_> {
    /// Whether a node reads two values of one matrix an image.
    pub(super) fn are_matrices(&self, node: &Node) -> bool {
        [0, 1].iter().all(|index| self.value(node, *index).is_ok_and(|value| value.rank() == 3))
    }

    /// `Dot`: two vectors, or two matrices as `MatMul` multiplies them. Which axis of each is summed over is said, so that none
    /// has to be turned.
    pub(super) fn dot(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let mut sides = Vec::with_capacity(2);
        for (index, from_end) in [(0, 1), (1, if node.op == "MatMul" { 2 } else { 1 })] {
            let x = self.value(node, index)?.in_order(&mut self.builder, name)?;
            let axis = x.rank().checked_sub(from_end).and_then(|axis| x.axes.get(axis)).copied();
            sides.push((axis.filter(|axis| *axis > 0), x));
        }
        let wanted = if node.op == "MatMul" { 3 } else { 2 };
        let [(Some(i), a), (Some(j), b)] = sides.as_slice() else {
            return Err("it multiplies the images of a batch".to_owned());
        };
        if node.op == "Dot" && (a.rank() != wanted || b.rank() != wanted) {
            let factors = Node { op: "Mul".to_owned(), ..node.clone() };
            let product = self.merge(&factors, &format!("{name}.product"))?;
            return self.sum_along(&product, name, node.int("axis").unwrap_or(-1));
        }
        if a.rank() != wanted || b.rank() != wanted {
            return Err(format!(
                "it multiplies values of {} and {} axes, where two of {wanted} can be",
                a.rank(),
                b.rank()
            ));
        }
        self.builder.layer(name, "Dot", json!({"axes": [i, j], "normalize": false}), &[a, b])
    }

    /// `UnitNormalization`.
    pub(super) fn unit_norm(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let axis = node.int("axis").and_then(|axis| fold::axis_of(axis, x.rank()));
        let axis = axis.ok_or("its axis is none of its input's")?;
        self.along(x, axis, name, |converter, x| {
            let made = converter.builder.alike(name, "UnitNormalization", json!({"axis": -1}), x)?;
            Ok(Value { nonnegative: x.nonnegative, ..made })
        })
    }

    /// `RepeatVector`.
    pub(super) fn repeat_vector(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        if x.rank() != 2 {
            return Err(format!("it repeats a value of {} axes, where vectors can be", x.rank()));
        }
        let x = x.plain(&mut self.builder, name)?;
        let made =
            self.builder.layer(name, "RepeatVector", json!({"n": node.int("n").unwrap_or(1)}), &[&x])?;
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }
}
