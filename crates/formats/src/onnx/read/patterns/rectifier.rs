//! ReLU with all its settings.

use super::{Found, Matcher, close};
use crate::onnx::read::node::{Attribute, Node};

impl<'a> Matcher<'a> {
    /// `where(x > threshold, min(x, max), slope · x − slope · threshold)`: what lies below the threshold falls to it.
    pub(super) fn rectifier(&self, node: &'a Node) -> Option<Found<'a>> {
        let above = self.made_by(node.input(0)?, "Greater")?;
        let (x, threshold) = (above.input(0)?, self.source.number(above.input(1)?)?);
        let kept = node.input(1)?;
        let max = match kept == x {
            true => None,
            false => {
                let (inner, max) = self.with_number(self.made_by(kept, "Min")?)?;
                (inner == x).then_some(())?;
                Some(max)
            }
        };
        let (mut below, mut slope, mut offset) = (node.input(2)?, 1.0, 0.0);
        if let Some((inner, number)) = self.made_by(below, "Add").and_then(|sum| self.with_number(sum)) {
            (below, offset) = (inner, number);
        }
        if let Some((inner, number)) =
            self.made_by(below, "Mul").and_then(|product| self.with_number(product))
        {
            (below, slope) = (inner, number);
        }
        (below == x && (close(offset, -slope * threshold) || offset == -slope * threshold)).then_some(())?;
        let mut attributes =
            vec![("slope", Attribute::Float(slope)), ("threshold", Attribute::Float(threshold))];
        attributes.extend(max.map(|max| ("max", Attribute::Float(max))));
        Some(("Rectifier", vec![x], attributes))
    }
}
