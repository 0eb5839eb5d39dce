//! Layers that exporters take apart into several nodes, put together again: each becomes one node, of the operator that
//! later versions of ONNX have for it (`Swish`, `Gelu`, `LayerNormalization`, …) or of one named here (`Affine`).
//!
//! Only the last node of a pattern is replaced. What the others make may be read elsewhere too; where it is not, they are
//! dropped with all else that no output needs.

use super::constant::{Constant, Data};
use super::fold;
use super::node::{Attribute, Node};
use super::source::Source;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    for index in 0..source.nodes.len() {
        if let Some(node) = (Matcher { source, producers: &producers }).whole(index) {
            source.nodes[index] = node;
        }
    }
    source.prune();
    affine(source);
    paddings(source);
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
            (Some(number), None) if node.op != "Sub" && node.op != "Div" && node.op != "Pow" => Some((b, number)),
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
            "Mul" | "Div" => self.activation(node).or_else(|| self.layer_normalization(node))?,
            "Add" => self.layer_normalization(node)?,
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

    /// Swish, hard swish, hard sigmoid, GELU.
    fn activation(&self, node: &'a Node) -> Option<Found<'a>> {
        let mut factors = Vec::new();
        let number = self.factors(node.output(), DEPTH, &mut factors);
        let sixth = close(number, 1.0 / 6.0);
        let plain = |op: &'static str, x: &'a str| Some((op, vec![x], Vec::new()));
        let (x, gate) = match factors.as_slice() {
            [only] if sixth => {
                let x = self.relu6_of_plus_3(only)?;
                let attributes = vec![("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
                return Some(("HardSigmoid", vec![x], attributes));
            }
            [a, b] => {
                // the gate is made from the other
                let is_gate = |gate: &str, x: &str| self.gate(gate, x, number).is_some();
                if is_gate(b, a) { (*a, *b) } else if is_gate(a, b) { (*b, *a) } else { return None }
            }
            _ => return None,
        };
        plain(self.gate(gate, x, number)?, x)
    }

    /// The operator of `x · gate · number`, where it is one.
    fn gate(&self, gate: &str, x: &str, number: f32) -> Option<&'static str> {
        let of_x = |node: &Node| node.input(0) == Some(x);
        if close(number, 1.0) {
            if self.made_by(gate, "Sigmoid").is_some_and(of_x) {
                return Some("Swish");
            }
            let hard = self.made_by(gate, "HardSigmoid").filter(|node| of_x(node))?;
            let is_keras = close(hard.float("alpha", 0.2), 1.0 / 6.0) && close(hard.float("beta", 0.5), 0.5);
            return is_keras.then_some("HardSwish");
        }
        if close(number, 1.0 / 6.0) {
            return (self.relu6_of_plus_3(gate)? == x).then_some("HardSwish");
        }
        let erf = self.made_by(self.number_is(gate, "Add", 1.0)?, "Erf").filter(|_| close(number, 0.5))?;
        let mut factors = Vec::new();
        let scale = self.factors(erf.input(0)?, DEPTH, &mut factors);
        (factors == [x] && close(scale, std::f32::consts::FRAC_1_SQRT_2)).then_some("Gelu")
    }

    fn relu6_of_plus_3(&self, value: &str) -> Option<&'a str> {
        let clip = self.node(value)?;
        let bounds = match clip.op.as_str() {
            "Clip" => clip_bounds(self.source, clip)?,
            _ => return None,
        };
        (bounds == (Some(0.0), Some(6.0))).then_some(())?;
        self.number_is(clip.input(0)?, "Add", 3.0)
    }

    /// `min(relu(x), number)`
    fn clip(&self, node: &'a Node) -> Option<Found<'a>> {
        let (inner, number) = self.with_number(node)?;
        let relu = self.made_by(inner, "Relu")?;
        let attributes = vec![("min", Attribute::Float(0.0)), ("max", Attribute::Float(number))];
        Some(("Clip", vec![relu.input(0)?], attributes))
    }

    /// `(x − mean) / √(variance + ε)`, and with `· γ + β`.
    fn layer_normalization(&self, node: &'a Node) -> Option<Found<'a>> {
        let constant = |value: &str| self.source.constant(value).is_some();
        let split = |node: &'a Node| match (node.input(0)?, node.input(1)?) {
            (a, b) if constant(b) => Some((a, b)),
            (a, b) if constant(a) => Some((b, a)),
            _ => None,
        };
        let (rest, beta) = match node.op.as_str() {
            "Add" => split(node).map(|(rest, beta)| (rest, Some(beta)))?,
            _ => (node.output(), None),
        };
        let product = self.made_by(rest, "Mul").and_then(split);
        let (rest, gamma) = product.map_or((rest, None), |(rest, gamma)| (rest, Some(gamma)));
        let quotient = self.node(rest)?;
        let (difference, deviation) = match (quotient.op.as_str(), quotient.input(0)?, quotient.input(1)?) {
            ("Div", a, b) => (a, b),
            ("Mul", a, b) => (a, self.made_by(b, "Reciprocal")?.input(0)?),
            _ => return None,
        };
        let (variance, epsilon) = self.with_number(self.made_by(self.made_by(deviation, "Sqrt")?.input(0)?, "Add")?)?;
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

/// Sums, differences, products and quotients with known tensors become `Affine` nodes, `x · scale + offset`, and chains
/// of them one.
fn affine(source: &mut Source) {
    let uses = source.uses();
    // where each affine value is made
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..source.nodes.len() {
        let Some((x, mut scale, mut offset)) = scale_and_offset(source, &source.nodes[index]) else { continue };
        let mut x = x.to_owned();
        let below = made.get(&x).filter(|_| uses.get(&x) == Some(&1)).and_then(|below| source.nodes.get(*below));
        if let Some(below) = below
            && let (Some(s), Some(o)) = (below.tensor("scale"), below.tensor("offset"))
            && let Some((s, o)) = fold::binary("Mul", s, &scale).zip(chain(o, &scale, &offset))
        {
            (scale, offset) = (s, o);
            x = below.input(0).unwrap_or_default().to_owned();
        }
        let node = &mut source.nodes[index];
        node.op = "Affine".to_owned();
        node.inputs = vec![x];
        let tensor = |constant| Attribute::Tensor(Rc::new(constant));
        node.attributes = BTreeMap::from([("scale".to_owned(), tensor(scale)), ("offset".to_owned(), tensor(offset))]);
        made.insert(node.output().to_owned(), index);
    }
    source.prune();
}

/// `below · scale + offset`
fn chain(below: &Constant, scale: &Constant, offset: &Constant) -> Option<Constant> {
    fold::binary("Add", &fold::binary("Mul", below, scale)?, offset)
}

fn scale_and_offset<'a>(source: &'a Source, node: &'a Node) -> Option<(&'a str, Constant, Constant)> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    if node.inputs.len() != 2 {
        return None;
    }
    let floats = |name: &str| source.constant(name).filter(|constant| matches!(constant.data, Data::Float(_)));
    let number = |value: f32| Constant::floats(&[], vec![value]);
    let known = floats(a).map(|constant| (b, constant, true)).or_else(|| floats(b).map(|constant| (a, constant, false)));
    let (x, constant, first) = known?;
    let own = || Constant::clone(constant);
    match (node.op.as_str(), first) {
        ("Add", _) => Some((x, number(1.0), own())),
        ("Sub", false) => Some((x, number(1.0), fold::binary("Mul", constant, &number(-1.0))?)),
        ("Sub", true) => Some((x, number(-1.0), own())),
        ("Mul", _) => Some((x, own(), number(0.0))),
        ("Div", false) => Some((x, fold::binary("Div", &number(1.0), constant)?, number(0.0))),
        _ => None,
    }
}

/// A `Pad` of zeros that only a convolution reads, or of minus infinity that only a maximum reads, becomes that node's own
/// padding.
fn paddings(source: &mut Source) {
    let (producers, uses) = (source.producers(), source.uses());
    for index in 0..source.nodes.len() {
        let node = &source.nodes[index];
        let is_max = node.op == "MaxPool";
        if !(is_max || node.op == "Conv") || node.text("auto_pad", "NOTSET") != "NOTSET" {
            continue;
        }
        let pad = node.input(0).and_then(|x| producers.get(x)).and_then(|index| source.nodes.get(*index));
        let Some(pad) = pad.filter(|pad| pad.op == "Pad" && uses.get(pad.output()) == Some(&1)) else { continue };
        let Some((margins, value)) = pad_of(source, pad) else { continue };
        let fits = if is_max { value < LOWEST } else { value == 0.0 };
        let &[0, 0, top, left, 0, 0, bottom, right] = margins.as_slice() else { continue };
        if !fits || margins.iter().any(|margin| *margin < 0) {
            continue;
        }
        let own = node.ints("pads").unwrap_or(&[0; 4]).to_vec();
        let all = [top, left, bottom, right].into_iter().zip(&own).map(|(a, b)| a.saturating_add(*b)).collect();
        let x = pad.inputs.first().cloned().unwrap_or_default();
        let node = &mut source.nodes[index];
        node.attributes.insert("pads".to_owned(), Attribute::Ints(all));
        if let Some(input) = node.inputs.first_mut() {
            *input = x;
        }
    }
    source.prune();
}

/// The margins of a constant padding as ONNX has them (all beginnings, then all ends), and its value.
pub(super) fn pad_of(source: &Source, node: &Node) -> Option<(Vec<i64>, f32)> {
    (node.text("mode", "constant") == "constant" && node.input(3).is_none()).then_some(())?;
    if let Some(pads) = node.ints("pads") {
        return Some((pads.to_vec(), node.float("value", 0.0)));
    }
    let value = match node.input(2) {
        None => 0.0,
        Some(name) => source.number(name)?,
    };
    Some((source.constant(node.input(1)?)?.as_known()?, value))
}
