//! How much a node asks for before it is computed: a few bytes of a file may ask for any number of elements, and any number of nodes
//! for as many again.

use super::axis_of;
use crate::onnx::read::constant::{Constant, product};
use crate::onnx::read::node::Node;
use std::cell::Cell;
use std::collections::BTreeMap;

/// Elements that a file of few tensors may compute in all.
const ELEMENTS: usize = 1 << 21;
/// As many more for each element that it stores.
const ELEMENTS_A_STORED: usize = 4;
/// A number in a layer's settings takes as much memory.
const ELEMENTS_A_SETTING: usize = 16;
/// Multiplications that a file of few tensors may ask for in all.
const PRODUCTS: usize = 1 << 28;
const PRODUCTS_A_STORED: usize = 64;

/// What a file may still compute from known tensors.
#[derive(Debug)]
pub(in crate::onnx::read) struct Budget {
    elements: Cell<usize>,
    products: Cell<usize>,
    is_exceeded: Cell<bool>,
}

impl Budget {
    /// Of a file that stores so many elements.
    pub(in crate::onnx::read) fn new(stored: usize) -> Self {
        let of = |base: usize, each: usize| Cell::new(base.saturating_add(stored.saturating_mul(each)));
        Self {
            elements: of(ELEMENTS, ELEMENTS_A_STORED),
            products: of(PRODUCTS, PRODUCTS_A_STORED),
            is_exceeded: Cell::new(false),
        }
    }

    /// Whether something was not computed because it asked for too much.
    pub(in crate::onnx::read) fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }

    /// Takes what numbers in a layer's settings need, which are held and written as text; false where there is not as much.
    pub(in crate::onnx::read) fn takes_settings(&self, numbers: usize) -> bool {
        let left = self.elements.get().checked_sub(numbers.saturating_mul(ELEMENTS_A_SETTING));
        if let Some(left) = left {
            self.elements.set(left);
        }
        left.is_some()
    }

    /// [`super::evaluate`], if it does not ask for more than there is.
    pub(in crate::onnx::read) fn evaluate(
        &self,
        node: &Node,
        inputs: &[Option<&Constant>],
    ) -> Option<Constant> {
        let [elements, products] = asked(node, inputs);
        if elements > self.elements.get() || products > self.products.get() {
            self.is_exceeded.set(true);
            return None;
        }
        let made = super::evaluate(node, inputs)?;
        self.elements.set(self.elements.get().saturating_sub(made.len()));
        self.products.set(self.products.get() - products);
        Some(made)
    }
}

/// The elements and the multiplications that a node asks for; what is no more than its inputs is none.
fn asked(node: &Node, inputs: &[Option<&Constant>]) -> [usize; 2] {
    let given = |index: usize| inputs.get(index).copied().flatten();
    let dims_of = |index: usize| given(index).map(|tensor| tensor.dims.as_slice());
    let numbers = |index: usize| given(index).and_then(Constant::as_known).unwrap_or_default();
    let of_numbers = |numbers: &[i64]| {
        numbers
            .iter()
            .fold(1usize, |all, number| all.saturating_mul(usize::try_from(*number).unwrap_or(1).max(1)))
    };
    let of = |dims: &[usize]| product(dims).unwrap_or(usize::MAX);
    let largest: Vec<usize> = match node.op.as_str() {
        // aligned at the end
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Max" | "Min" | "Equal" | "Greater"
        | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Where" | "Expand" => {
            let mut all: Vec<Vec<usize>> =
                inputs.iter().flatten().map(|tensor| tensor.dims.clone()).collect();
            if node.op == "Expand" {
                let extents = numbers(1).iter().map(|extent| usize::try_from(*extent).unwrap_or(1)).collect();
                all.truncate(1);
                all.push(extents);
            }
            let rank = all.iter().map(Vec::len).max().unwrap_or(0);
            let at =
                |dims: &Vec<usize>, place: usize| dims.len().checked_sub(place + 1).map_or(1, |at| dims[at]);
            (0..rank).map(|place| all.iter().map(|dims| at(dims, place)).max().unwrap_or(1)).collect()
        }
        _ => Vec::new(),
    };
    match node.op.as_str() {
        "ConstantOfShape" => [of_numbers(&numbers(0)), 0],
        "Tile" => [of(dims_of(0).unwrap_or_default()).saturating_mul(of_numbers(&numbers(1))), 0],
        "Gather" => {
            let dims = dims_of(0).unwrap_or_default();
            let axis = axis_of(node.int("axis").unwrap_or(0), dims.len());
            let others =
                dims.iter().enumerate().filter(|(at, _)| Some(*at) != axis).map(|(_, extent)| *extent);
            [of(&others.collect::<Vec<_>>()).saturating_mul(of(dims_of(1).unwrap_or_default())), 0]
        }
        "GatherND" => {
            let (width, places) = dims_of(1).and_then(<[usize]>::split_last).unwrap_or((&0, &[]));
            let part = dims_of(0).and_then(|dims| dims.get(*width..)).unwrap_or_default();
            [of(places).saturating_mul(of(part)), 0]
        }
        "OneHot" => [of(dims_of(0).unwrap_or_default()).saturating_mul(of_numbers(&numbers(1))), 0],
        "MatMul" | "Gemm" => {
            let (a, b) = (dims_of(0).unwrap_or_default(), dims_of(1).unwrap_or_default());
            let (outer_a, [rows, inner]) = a.split_last_chunk().unwrap_or((&[], &[1, 1]));
            let (outer_b, [depth, columns]) = b.split_last_chunk().unwrap_or((&[], &[1, 1]));
            // either may be turned, in Gemm
            let (sides, inner) = match node.op.as_str() {
                "Gemm" => (rows.max(inner).saturating_mul(*depth.max(columns)), *rows.max(inner)),
                _ => (rows.saturating_mul(*columns), *inner),
            };
            let outer = of(outer_a).saturating_mul(of(outer_b));
            [outer.saturating_mul(sides), outer.saturating_mul(sides).saturating_mul(inner)]
        }
        "Conv" => {
            let (image, kernel) = (dims_of(0).unwrap_or_default(), dims_of(1).unwrap_or_default());
            let margins = of_numbers(
                &node
                    .ints("pads")
                    .unwrap_or_default()
                    .iter()
                    .map(|pad| pad.saturating_add(1))
                    .collect::<Vec<_>>(),
            );
            let filters = kernel.first().copied().unwrap_or(1);
            let made = of(image.get(2..).unwrap_or_default())
                .saturating_mul(margins)
                .saturating_mul(filters)
                .saturating_mul(image.first().copied().unwrap_or(1));
            [made.min(super::MOST), made.saturating_mul(of(kernel.get(1..).unwrap_or_default()))]
        }
        "Einsum" => {
            let equation = node.text("equation", "").replace(' ', "");
            let terms = equation.split("->").next().unwrap_or_default().split(',');
            let letters: BTreeMap<char, usize> = terms
                .zip(inputs.iter().flatten())
                .flat_map(|(term, tensor)| term.chars().zip(tensor.dims.iter().copied()))
                .collect();
            [0, of(&letters.into_values().collect::<Vec<_>>())]
        }
        _ => [if largest.is_empty() { 0 } else { of(&largest) }, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::read::constant::Extent;

    fn list(numbers: &[i64]) -> Constant {
        Constant::whole(numbers.iter().map(|number| Extent::Known(*number)).collect())
    }

    #[test]
    fn what_all_nodes_compute_together_is_bounded() {
        let budget = Budget::new(0);
        let node = |op: &str| Node { op: op.to_owned(), ..Node::default() };
        let shape = list(&[1 << 10, 1 << 10]);
        let zeros = budget.evaluate(&node("ConstantOfShape"), &[Some(&shape)]).expect("a million");
        assert!(budget.evaluate(&node("MatMul"), &[Some(&zeros), Some(&zeros)]).is_none(), "2^30 products");
        assert!(budget.is_exceeded());
        budget.evaluate(&node("ConstantOfShape"), &[Some(&shape)]).expect("a million more");
        assert!(budget.evaluate(&node("ConstantOfShape"), &[Some(&list(&[2]))]).is_none());
        let large = Budget::new(1 << 24);
        assert!(large.evaluate(&node("MatMul"), &[Some(&zeros), Some(&zeros)]).is_some());
        assert!(!large.is_exceeded());
    }
}
