//! What is found out about a suffix before it is scheduled.

use super::Squash;
use frostline_graph::ops::{Node, Op, Program, Reshape, ValueId};

/// Which gradients a backward pass has to compute.
pub(super) struct Wanted {
    /// Of each value: a trained weight, or an input whose gradient is wanted, lies at or below it.
    pub(super) needs_grad: Vec<bool>,
    /// Of each op: its backward pass runs, since the loss sees it and there is something to train.
    pub(super) active: Vec<bool>,
}

impl Wanted {
    /// `inputs`: those of the program's inputs whose gradients are wanted.
    pub(crate) fn new(program: &Program, trainable: &[bool], inputs: &[ValueId]) -> Self {
        let mut needs_grad = vec![false; program.values.len()];
        inputs.iter().for_each(|value| needs_grad[value.0] = true);
        for node in &program.nodes {
            needs_grad[node.output.0] = node.params.iter().any(|param| trainable[param.0])
                || node.inputs.iter().any(|value| needs_grad[value.0]);
        }
        let mut is_seen = vec![false; program.values.len()];
        program.outputs.iter().take(1).for_each(|value| is_seen[value.0] = true);
        let mut active = vec![false; program.nodes.len()];
        for (index, node) in program.nodes.iter().enumerate().rev() {
            active[index] = is_seen[node.output.0] && needs_grad[node.output.0];
            if active[index] {
                node.inputs.iter().for_each(|value| is_seen[value.0] = true);
            }
        }
        Self { needs_grad, active }
    }
}

/// What goes into the sigmoid or softmax that makes the output, where there is one.
pub(super) fn logits_value(program: &Program) -> Option<(ValueId, Squash)> {
    let last = program.nodes.last()?;
    let squash = match &last.op {
        Op::Softmax(_) => Squash::Softmax,
        Op::Unary(op) if op.activation == frostline_kernels::Activation::Sigmoid => Squash::Sigmoid,
        _ => return None,
    };
    let is_output = [last.output] == program.outputs[..];
    (is_output && !program.inputs.contains(&last.inputs[0])).then(|| (last.inputs[0], squash))
}

/// A node that reads a value twice (`x · x`) reads a copy the second time, so that each input has a gradient of
/// its own.
pub(super) fn separate_repeated_inputs(program: &mut Program) {
    let mut index = 0;
    while index < program.nodes.len() {
        let inputs = &program.nodes[index].inputs;
        let repeated = (1..inputs.len()).find(|position| inputs[..*position].contains(&inputs[*position]));
        let Some(position) = repeated else {
            index += 1;
            continue;
        };
        let (value, layer) = (inputs[position], program.nodes[index].layer);
        let shape = program.shape(value).clone();
        let copy = program.value(shape.clone());
        program.nodes[index].inputs[position] = copy;
        let op = Op::from(Reshape { shape });
        let node = Node { op, inputs: vec![value], params: Vec::new(), output: copy, layer };
        program.nodes.insert(index, node);
    }
}
