//! Arithmetic with known tensors.

use crate::onnx::read::constant::{Constant, Data, product};
use crate::onnx::read::fold;
use crate::onnx::read::node::{Attribute, Node};
use crate::onnx::read::source::Source;
use frostline_graph::ops::broadcast;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Sums, differences, products and quotients with known tensors become `Affine` nodes, `x · scale + offset`, and chains
/// of them one.
pub(super) fn affine(source: &mut Source) {
    let uses = source.uses();
    // where each affine value is made
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..source.nodes.len() {
        let Some((x, mut scale, mut offset)) = scale_and_offset(source, &source.nodes[index]) else {
            continue;
        };
        let mut x = x.to_owned();
        let below =
            made.get(&x).filter(|_| uses.get(&x) == Some(&1)).and_then(|below| source.nodes.get(*below));
        if let Some(below) = below
            && let (Some(s), Some(o)) = (below.tensor("scale"), below.tensor("offset"))
            && is_small(&[s, o, &scale, &offset])
            && let Some((s, o)) = fold::binary("Mul", s, &scale).zip(chain(o, &scale, &offset))
        {
            (scale, offset) = (s, o);
            x = below.input(0).unwrap_or_default().to_owned();
        }
        let node = &mut source.nodes[index];
        node.op = "Affine".to_owned();
        node.inputs = vec![x];
        let tensor = |constant| Attribute::Tensor(Rc::new(constant));
        node.attributes =
            BTreeMap::from([("scale".to_owned(), tensor(scale)), ("offset".to_owned(), tensor(offset))]);
        made.insert(node.output().to_owned(), index);
    }
    source.prune();
}

/// No more elements than these together: a row and a column make a table, and a hundred of them a hundred tables.
const SMALL: usize = 1 << 16;

/// Whether tensors joined element by element are no more than the largest of them, or few.
fn is_small(tensors: &[&Constant]) -> bool {
    let dims = tensors.iter().try_fold(Vec::new(), |dims, tensor| broadcast(&dims, &tensor.dims));
    let largest = tensors.iter().map(|tensor| tensor.len()).max().unwrap_or(0);
    dims.and_then(|dims| product(&dims)).is_some_and(|len| len <= largest.max(SMALL))
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
    let floats =
        |name: &str| source.constant(name).filter(|constant| matches!(constant.data, Data::Float(_)));
    let number = |value: f32| Constant::floats(&[], vec![value]);
    let known = floats(a)
        .map(|constant| (b, constant, true))
        .or_else(|| floats(b).map(|constant| (a, constant, false)));
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
