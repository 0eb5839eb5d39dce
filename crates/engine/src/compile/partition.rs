//! The boundary: which ops are static (frozen with all that is below them), which values leave them.

use frostline_graph::ops::{Node, Op, ParamId, Program, ValueId};
use std::collections::BTreeMap;

/// A program cut at its boundary into two.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// The frozen prefix: from the model's inputs to the boundary values.
    pub prefix: Program,
    /// The trainable suffix: from the boundary values to the model's outputs.
    pub suffix: Program,
    /// The layer whose output each boundary value is (`input` for the model's own input), in their order.
    pub boundary: Vec<String>,
}

/// Whether an op gives the same result in every epoch when its inputs do: its layer is frozen, or it has nothing
/// that could train and is not random.
fn is_constant(program: &Program, node: &Node) -> bool {
    program.layers[node.layer].frozen || (node.params.is_empty() && !matches!(node.op, Op::Dropout(_)))
}

/// Cuts a program at the boundary between what is static and the rest.
pub(super) fn partition(program: &Program) -> Partition {
    cut(program, None)
}

/// Cuts a program of frozen layers between what depends on a value and the rest. That value is the first of the boundary.
pub(super) fn partition_at(program: &Program, value: ValueId) -> Partition {
    cut(program, Some(value))
}

/// `moving`: a value that counts as not static, whatever makes it.
fn cut(program: &Program, moving: Option<ValueId>) -> Partition {
    let mut is_static = vec![false; program.values.len()];
    program.inputs.iter().for_each(|value| is_static[value.0] = moving != Some(*value));
    // what no image is looked at for is computed on the side where it is read, and is no feature
    let mut is_of_model = vec![false; program.values.len()];
    let (mut lower, mut upper): (Vec<&Node>, Vec<&Node>) = (Vec::new(), Vec::new());
    for node in &program.nodes {
        let all =
            |marks: &[bool]| is_constant(program, node) && node.inputs.iter().all(|value| marks[value.0]);
        let (fixed, of_model) = (all(&is_static), all(&is_of_model));
        is_static[node.output.0] = fixed && moving != Some(node.output);
        is_of_model[node.output.0] = of_model;
        if fixed {
            lower.push(node);
        }
        if !fixed || of_model {
            upper.push(node);
        }
    }
    let mut crossing: Vec<ValueId> = moving.into_iter().collect();
    let read = upper.iter().flat_map(|node| &node.inputs).chain(&program.outputs);
    for value in read {
        if is_static[value.0] && !is_of_model[value.0] && !crossing.contains(value) {
            crossing.push(*value);
        }
    }
    let maker = |value: &ValueId| lower.iter().find(|node| node.output == *value);
    let boundary = crossing
        .iter()
        .map(|value| maker(value).map_or("input".to_owned(), |node| program.layers[node.layer].path.clone()))
        .collect();
    Partition {
        prefix: extract(program, &lower, &program.inputs, &crossing).0,
        suffix: extract(program, &upper, &crossing, &program.outputs).0,
        boundary,
    }
}

/// The program of the nodes that `outputs` need, with its values and weights numbered anew, and the old numbers of its
/// weights and values.
fn extract(
    program: &Program,
    nodes: &[&Node],
    inputs: &[ValueId],
    outputs: &[ValueId],
) -> (Program, Vec<ParamId>, Vec<ValueId>) {
    let mut needed: Vec<bool> = vec![false; program.values.len()];
    outputs.iter().for_each(|value| needed[value.0] = true);
    for node in nodes.iter().rev() {
        if needed[node.output.0] {
            node.inputs.iter().for_each(|value| needed[value.0] = true);
        }
    }
    let mut part = Program { layers: program.layers.clone(), ..Program::default() };
    let mut values: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let mut params = BTreeMap::new();
    let mut old = Vec::new();
    for value in inputs {
        let new = part.value(program.shape(*value).clone());
        values.insert(*value, new);
    }
    part.inputs = inputs.iter().map(|value| values[value]).collect();
    for node in nodes.iter().filter(|node| needed[node.output.0]) {
        let mut node = (*node).clone();
        for param in &mut node.params {
            *param = *params.entry(*param).or_insert_with(|| {
                part.params.push(program.params[param.0].clone());
                old.push(*param);
                ParamId(old.len() - 1)
            });
        }
        let output = part.value(program.shape(node.output).clone());
        values.insert(node.output, output);
        node.output = output;
        node.inputs.iter_mut().for_each(|value| *value = values[value]);
        part.nodes.push(node);
    }
    part.outputs = outputs.iter().map(|value| values[value]).collect();
    let mut old_values = vec![ValueId(0); part.values.len()];
    values.iter().for_each(|(before, now)| old_values[now.0] = *before);
    (part, old, old_values)
}

/// Of each op, whether it belongs to the vectors at the end: it makes a vector that no image is made of, however
/// indirectly.
pub(super) fn vectors(program: &Program) -> Vec<bool> {
    let is_image = |value: ValueId| program.shape(value).len() == 3;
    let mut makes_images = vec![false; program.values.len()];
    for node in program.nodes.iter().rev() {
        if is_image(node.output) || makes_images[node.output.0] {
            node.inputs.iter().for_each(|value| makes_images[value.0] = true);
        }
    }
    let is_vector = |node: &Node| !is_image(node.output) && !makes_images[node.output.0];
    program.nodes.iter().map(is_vector).collect()
}

/// Of each op, whether bytes are too coarse for what it gives: it is one of [`vectors`], or stands on an op that needs floats.
pub(super) fn beyond_bytes(program: &Program) -> Vec<bool> {
    let mut is_beyond = vec![false; program.values.len()];
    let vectors = vectors(program);
    let mut found = Vec::with_capacity(program.nodes.len());
    for (node, is_vector) in program.nodes.iter().zip(vectors) {
        let beyond = is_vector
            || Op::kind(&node.op).needs_floats()
            || node.inputs.iter().any(|value| is_beyond[value.0]);
        is_beyond[node.output.0] = beyond;
        found.push(beyond);
    }
    found
}

/// Cuts a program in two, whose weights keep their numbers: the upper has the ops that `is_upper` marks, and takes what
/// the lower gives. Also returns the old numbers of the lower's values.
pub(super) fn split(program: &Program, is_upper: &[bool]) -> ([Program; 2], Vec<ValueId>) {
    let half = |wanted: bool| {
        let of_half = program.nodes.iter().zip(is_upper).filter(move |(_, upper)| **upper == wanted);
        of_half.map(|(node, _)| node).collect::<Vec<_>>()
    };
    let (lower, upper) = (half(false), half(true));
    let mut crossing: Vec<ValueId> = Vec::new();
    for value in upper.iter().flat_map(|node| &node.inputs).chain(&program.outputs) {
        let is_made_above = upper.iter().any(|node| node.output == *value);
        if !is_made_above && !crossing.contains(value) {
            crossing.push(*value);
        }
    }
    let part = |nodes: &[&Node], inputs: &[ValueId], outputs: &[ValueId]| {
        let (mut part, numbers, values) = extract(program, nodes, inputs, outputs);
        let params = part.nodes.iter_mut().flat_map(|node| &mut node.params);
        params.for_each(|param| *param = numbers[param.0]);
        part.params.clone_from(&program.params);
        (part, values)
    };
    let (lower, values) = part(&lower, &program.inputs, &crossing);
    ([lower, part(&upper, &crossing, &program.outputs).0], values)
}
