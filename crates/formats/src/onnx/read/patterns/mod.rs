//! Layers that exporters take apart into several nodes, put together again: each becomes one node, of the operator that
//! later versions of ONNX have for it (`Swish`, `Gelu`, `LayerNormalization`, …) or of one named here (`Affine`).
//!
//! Only the last node of a pattern is replaced. What the others make may be read elsewhere too; where it is not, they are
//! dropped with all else that no output needs.

mod activation;
mod affine;
mod normalization;
mod padding;
mod rectifier;
mod strided;
mod vectors;

pub(super) use padding::pad_of;

use super::node::{Attribute, Node};
use super::source::Source;
use std::collections::BTreeMap;

/// Relative difference within which a constant is the number that it stands for: it may have been float16.
const CLOSE: f32 = 2e-3;
/// Below this a padding counts as minus infinity.
const LOWEST: f32 = -1e30;
/// Products are taken apart so deep.
const DEPTH: usize = 4;

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= CLOSE * b.abs()
}

/// Replaces every pattern, and drops the nodes that are not needed any more.
pub(super) fn recognise(source: &mut Source) {
    let producers = source.producers();
    // all are found before one is replaced: one pattern may be the beginning of a larger one
    let matcher = Matcher { source, producers: &producers };
    let found: Vec<(usize, Node)> =
        (0..source.nodes.len()).filter_map(|index| Some((index, matcher.whole(index)?))).collect();
    for (index, node) in found {
        source.nodes[index] = node;
    }
    source.prune();
    strided::strided(source);
    affine::affine(source);
    padding::paddings(source);
}

/// The graph as patterns look at it: from a value down to what it is made of.
struct Matcher<'a> {
    source: &'a Source,
    producers: &'a BTreeMap<String, usize>,
}

impl<'a> Matcher<'a> {
    fn node(&self, value: &str) -> Option<&'a Node> {
        self.source.nodes.get(*self.producers.get(value)?)
    }

    fn made_by(&self, value: &str, op: &str) -> Option<&'a Node> {
        self.node(value).filter(|node| node.op == op)
    }

    /// The two inputs of a node, a number among them second.
    fn with_number(&self, node: &'a Node) -> Option<(&'a str, f32)> {
        let (a, b) = (node.input(0)?, node.input(1)?);
        match (self.source.number(a), self.source.number(b)) {
            (_, Some(number)) => Some((a, number)),
            (Some(number), None) if node.op != "Sub" && node.op != "Div" && node.op != "Pow" => {
                Some((b, number))
            }
            _ => None,
        }
    }

    /// `value` is `x op number`: `x`.
    fn number_is(&self, value: &str, op: &str, number: f32) -> Option<&'a str> {
        let (x, found) = self.with_number(self.made_by(value, op)?)?;
        close(found, number).then_some(x)
    }

    /// A product as its factors and one number.
    fn factors(&self, value: &'a str, depth: usize, factors: &mut Vec<&'a str>) -> f32 {
        let product = self.node(value).filter(|_| depth > 0);
        match product.map(|node| (node.op.as_str(), node.input(0), node.input(1))) {
            Some(("Mul", Some(a), Some(b))) => {
                let number = |value: &'a str, factors: &mut Vec<&'a str>| match self.source.number(value) {
                    Some(number) => number,
                    None => self.factors(value, depth - 1, factors),
                };
                number(a, factors) * number(b, factors)
            }
            Some(("Div", Some(a), Some(b))) if self.source.number(b).is_some() => {
                self.factors(a, depth - 1, factors) / self.source.number(b).unwrap_or(1.0)
            }
            _ => {
                factors.push(value);
                1.0
            }
        }
    }

    /// The pattern that ends in this node.
    fn whole(&self, index: usize) -> Option<Node> {
        let node = self.source.nodes.get(index)?;
        let (op, inputs, attributes) = match node.op.as_str() {
            "Mul" => self.activation(node).or_else(|| self.normalization(node))?,
            "Div" => {
                self.activation(node).or_else(|| self.normalization(node)).or_else(|| self.unit_norm(node))?
            }
            "Where" => self.rectifier(node)?,
            "ReduceSum" => self.dot(node)?,
            "Tile" => self.repeated(node)?,
            "Add" => self.normalization(node)?,
            "Min" => self.clip(node)?,
            _ => return None,
        };
        Some(Node {
            op: op.to_owned(),
            inputs: inputs.into_iter().map(str::to_owned).collect(),
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..node.clone()
        })
    }

    fn normalization(&self, node: &'a Node) -> Option<Found<'a>> {
        self.layer_normalization(node).or_else(|| self.group_normalization(node))
    }

    /// `min(relu(x), number)`
    fn clip(&self, node: &'a Node) -> Option<Found<'a>> {
        let (inner, number) = self.with_number(node)?;
        let relu = self.made_by(inner, "Relu")?;
        let attributes = vec![("min", Attribute::Float(0.0)), ("max", Attribute::Float(number))];
        Some(("Clip", vec![relu.input(0)?], attributes))
    }
}

/// An operator, its inputs, its attributes.
type Found<'a> = (&'static str, Vec<&'a str>, Vec<(&'static str, Attribute)>);

/// The bounds of a `Clip`: attributes before opset 11, inputs since. `None` where they are not known.
pub(super) fn clip_bounds(source: &Source, node: &Node) -> Option<(Option<f32>, Option<f32>)> {
    let bound = |index: usize, name: &str| match (node.attributes.get(name), node.input(index)) {
        (Some(Attribute::Float(number)), _) => Some(Some(*number)),
        (_, None) => Some(None),
        (_, Some(input)) => source.number(input).map(Some),
    };
    Some((bound(1, "min")?.filter(|min| *min > LOWEST), bound(2, "max")?.filter(|max| *max < -LOWEST)))
}
