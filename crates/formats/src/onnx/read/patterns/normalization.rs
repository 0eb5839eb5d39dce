//! Normalisations.

use super::{Found, Matcher};
use crate::onnx::read::constant::Data;
use crate::onnx::read::fold;
use crate::onnx::read::node::{Attribute, Node};
use std::rc::Rc;

impl<'a> Matcher<'a> {
    /// `(x − mean) / √(variance + ε)`, and with `· γ + β`.
    pub(super) fn layer_normalization(&self, node: &'a Node) -> Option<Found<'a>> {
        let (rest, beta) = match node.op.as_str() {
            "Add" => self.with_constant(node).map(|(rest, beta)| (rest, Some(beta)))?,
            _ => (node.output(), None),
        };
        let product = self.made_by(rest, "Mul").and_then(|node| self.with_constant(node));
        let (rest, gamma) = product.map_or((rest, None), |(rest, gamma)| (rest, Some(gamma)));
        let quotient = self.node(rest)?;
        let (difference, deviation) = match (quotient.op.as_str(), quotient.input(0)?, quotient.input(1)?) {
            ("Div", a, b) => (a, b),
            ("Mul", a, b) => (a, self.made_by(b, "Reciprocal")?.input(0)?),
            _ => return None,
        };
        let (variance, epsilon) =
            self.with_number(self.made_by(self.made_by(deviation, "Sqrt")?.input(0)?, "Add")?)?;
        let (squared, axis) = self.mean(variance)?;
        let square = self.node(squared)?;
        let of = match square.op.as_str() {
            "Pow" => self.number_is(squared, "Pow", 2.0)?,
            "Mul" if square.input(0) == square.input(1) => square.input(0)?,
            _ => return None,
        };
        // some exporters compute the difference twice
        let centred = |value: &str| {
            let node = self.made_by(value, "Sub")?;
            let (x, mean) = (node.input(0)?, node.input(1)?);
            (self.mean(mean)? == (x, axis)).then_some(x)
        };
        let x = centred(difference)?;
        (centred(of)? == x).then_some(())?;
        let mut inputs = vec![x];
        match (gamma, beta) {
            (Some(gamma), beta) => inputs.extend([gamma, beta.unwrap_or("")]),
            (None, None) => {}
            (None, Some(_)) => return None,
        }
        let attributes = vec![
            ("axis", Attribute::Int(axis)),
            ("epsilon", Attribute::Float(epsilon)),
            // the weights lie along the axis, in whatever shape
            ("one_axis", Attribute::Int(1)),
        ];
        Some(("LayerNormalization", inputs, attributes))
    }

    /// What a mean over one axis, kept, is taken of.
    fn mean(&self, value: &str) -> Option<(&'a str, i64)> {
        let node = self.made_by(value, "ReduceMean").filter(|node| node.int("keepdims").unwrap_or(1) == 1)?;
        let given = node.input(1).and_then(|name| self.source.constant(name));
        match fold::axes(node, given.map(Rc::as_ref))?.as_slice() {
            [axis] => Some((node.input(0)?, *axis)),
            _ => None,
        }
    }

    /// An `InstanceNormalization` of the groups as channels, and with `· γ + β`: what PyTorch's `GroupNorm` is before opset 18.
    pub(super) fn group_normalization(&self, node: &'a Node) -> Option<Found<'a>> {
        let (rest, beta) = match node.op.as_str() {
            "Add" => self.with_constant(node).map(|(rest, beta)| (rest, Some(beta)))?,
            _ => (node.output(), None),
        };
        let product = self.made_by(rest, "Mul").and_then(|node| self.with_constant(node));
        let (rest, gamma) = product.map_or((rest, None), |(rest, gamma)| (rest, Some(gamma)));
        if beta.is_some() && gamma.is_none() {
            return None;
        }
        let normal = self.made_by(self.made_by(rest, "Reshape")?.input(0)?, "InstanceNormalization")?;
        let grouped = self.made_by(normal.input(0)?, "Reshape")?;
        let target = self.source.constant(grouped.input(1)?)?.as_known()?;
        let &[0 | 1, groups, -1] = target.as_slice() else { return None };
        let is_all = |index: usize, number: f32| {
            let weight = normal.input(index).and_then(|name| self.source.constant(name));
            weight.is_some_and(
                |weight| matches!(&weight.data, Data::Float(all) if all.iter().all(|value| *value == number)),
            )
        };
        (is_all(1, 1.0) && is_all(2, 0.0)).then_some(())?;
        let mut inputs = vec![grouped.input(0)?];
        inputs.extend([gamma.unwrap_or(""), beta.unwrap_or("")]);
        let epsilon = Attribute::Float(normal.float("epsilon", 1e-5));
        let attributes =
            vec![("num_groups", Attribute::Int(groups)), ("epsilon", epsilon), ("whole", Attribute::Int(1))];
        Some(("GroupNormalization", inputs, attributes))
    }

    /// The two inputs of a node, the known one second.
    fn with_constant(&self, node: &'a Node) -> Option<(&'a str, &'a str)> {
        let known = |value: &str| self.source.constant(value).is_some();
        match (node.input(0)?, node.input(1)?) {
            (a, b) if known(b) => Some((a, b)),
            (a, b) if known(a) => Some((b, a)),
            _ => None,
        }
    }
}
