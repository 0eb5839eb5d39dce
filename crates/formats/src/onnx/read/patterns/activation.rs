//! Activations that older opsets have no operator for.

use super::{DEPTH, Found, Matcher, clip_bounds, close};
use crate::onnx::read::node::{Attribute, Node};

impl<'a> Matcher<'a> {
    /// Swish, hard swish, hard sigmoid, GELU.
    pub(super) fn activation(&self, node: &'a Node) -> Option<Found<'a>> {
        let mut factors = Vec::new();
        let number = self.factors(node.output(), DEPTH, &mut factors);
        let sixth = close(number, 1.0 / 6.0);
        let plain = |op: &'static str, x: &'a str| Some((op, vec![x], Vec::new()));
        let (x, gate) = match factors.as_slice() {
            [only] if sixth => {
                let x = self.relu6_of_plus_3(only)?;
                let attributes =
                    vec![("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
                return Some(("HardSigmoid", vec![x], attributes));
            }
            [a, b] => {
                // the gate is made from the other
                let is_gate = |gate: &str, x: &str| self.gate(gate, x, number).is_some();
                if is_gate(b, a) {
                    (*a, *b)
                } else if is_gate(a, b) {
                    (*b, *a)
                } else {
                    return None;
                }
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
}
