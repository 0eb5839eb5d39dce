//! Vectors: their norm, their product, and a row of copies.

use super::{Found, Matcher};
use crate::onnx::read::fold;
use crate::onnx::read::node::{Attribute, Node};

/// The least norm that is divided by; a larger one would change small vectors.
const LEAST: f32 = 1e-6;

impl<'a> Matcher<'a> {
    /// `x / max(√Σ x², least)` along one axis.
    pub(super) fn unit_norm(&self, node: &'a Node) -> Option<Found<'a>> {
        let (x, norm) = (node.input(0)?, node.input(1)?);
        let (root, least) = self.with_number(self.made_by(norm, "Max")?)?;
        (0.0..=LEAST).contains(&least).then_some(())?;
        let square = self.made_by(self.made_by(root, "Sqrt")?.input(0)?, "ReduceSumSquare")?;
        let axes = self.axes_of(square)?;
        let &[axis] = axes.as_slice() else { return None };
        let keeps = square.int("keepdims").unwrap_or(1) == 1 && square.input(0) == Some(x);
        keeps.then(|| ("UnitNormalization", vec![x], vec![("axis", Attribute::Int(axis))]))
    }

    /// The sum of a product of two vectors.
    pub(super) fn dot(&self, node: &'a Node) -> Option<Found<'a>> {
        let product = self.made_by(node.input(0)?, "Mul")?;
        let (a, b) = (product.input(0)?, product.input(1)?);
        let is_known = |name: &str| self.source.constant(name).is_some();
        let axes = self.axes_of(node)?;
        let &[axis @ (1 | -1)] = axes.as_slice() else { return None };
        let keeps = node.int("keepdims").unwrap_or(1) == 1;
        (keeps && !is_known(a) && !is_known(b))
            .then(|| ("Dot", vec![a, b], vec![("axis", Attribute::Int(axis))]))
    }

    /// A vector so many times in a column.
    pub(super) fn repeated(&self, node: &'a Node) -> Option<Found<'a>> {
        let row = self.made_by(node.input(0)?, "Unsqueeze")?;
        let repeats = self.source.constant(node.input(1)?)?.as_known()?;
        let &[1, times, 1] = repeats.as_slice() else { return None };
        (self.axes_of(row)? == [1]).then_some(())?;
        Some(("RepeatVector", vec![row.input(0)?], vec![("n", Attribute::Int(times))]))
    }

    fn axes_of(&self, node: &Node) -> Option<Vec<i64>> {
        fold::axes(
            node,
            node.input(1).and_then(|input| self.source.constant(input)).map(|known| known.as_ref()),
        )
    }
}
