//! Padding as a node of its own.

use super::LOWEST;
use crate::onnx::read::node::{Attribute, Node};
use crate::onnx::read::source::Source;

/// A `Pad` of zeros that only a convolution reads, or of minus infinity that only a maximum reads, becomes that node's own
/// padding.
pub(super) fn paddings(source: &mut Source) {
    let (producers, uses) = (source.producers(), source.uses());
    for index in 0..source.nodes.len() {
        let node = &source.nodes[index];
        let is_max = node.op == "MaxPool";
        if !(is_max || node.op == "Conv") || node.text("auto_pad", "NOTSET") != "NOTSET" {
            continue;
        }
        let pad = node.input(0).and_then(|x| producers.get(x)).and_then(|index| source.nodes.get(*index));
        let Some(pad) = pad.filter(|pad| pad.op == "Pad" && uses.get(pad.output()) == Some(&1)) else {
            continue;
        };
        let Some((margins, value)) = pad_of(source, pad) else { continue };
        let fits = if is_max { value < LOWEST } else { value == 0.0 };
        let &[0, 0, top, left, 0, 0, bottom, right] = margins.as_slice() else { continue };
        if !fits || margins.iter().any(|margin| *margin < 0) {
            continue;
        }
        let own = node.ints("pads").unwrap_or(&[0; 4]).to_vec();
        let all =
            [top, left, bottom, right].into_iter().zip(&own).map(|(a, b)| a.saturating_add(*b)).collect();
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
pub(in crate::onnx::read) fn pad_of(source: &Source, node: &Node) -> Option<(Vec<i64>, f32)> {
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
