//! Fusing a frozen prefix: padding, activation and residual addition go into the convolution beside them, so that
//! a tensor is written once and never read back to be changed.

use super::fold::read_once;
use frostline_graph::ops::{BinaryKind, Op, Padding, Program, ValueId};
use frostline_kernels::Activation;

/// Fuses what can be fused. Results are equal but for rounding.
pub(super) fn fuse(program: &mut Program) {
    let mut index = 0;
    while index < program.nodes.len() {
        let superfluous = match &program.nodes[index].op {
            Op::Unary(_) => fuse_activation(program, index),
            Op::Binary(op) if op.kind == BinaryKind::Add => fuse_residual(program, index),
            Op::Pad(_) => fuse_padding(program, index),
            _ => None,
        };
        match superfluous {
            Some(node) => drop(program.nodes.remove(node)),
            None => index += 1,
        }
    }
}

/// Fuses what can be fused in a trainable suffix: padding, and a normalisation with its activation.
pub(super) fn fuse_trainable(program: &mut Program) {
    let mut index = 0;
    while index < program.nodes.len() {
        let superfluous = match &program.nodes[index].op {
            Op::Unary(_) => fuse_norm(program, index),
            Op::Pad(_) => fuse_padding(program, index),
            _ => None,
        };
        match superfluous {
            Some(node) => drop(program.nodes.remove(node)),
            None => index += 1,
        }
    }
}

/// `activation(batch_norm(x))`, unless its result is a model's output: the loss may come in before the activation.
fn fuse_norm(program: &mut Program, index: usize) -> Option<usize> {
    let Op::Unary(unary) = &program.nodes[index].op else { return None };
    let activation = unary.activation;
    let (input, output) = (program.nodes[index].inputs[0], program.nodes[index].output);
    let maker = only_maker(program, input).filter(|_| !program.outputs.contains(&output))?;
    let Op::BatchNorm(norm) = &mut program.nodes[maker].op else { return None };
    if norm.activation != Activation::Linear {
        return None;
    }
    norm.activation = activation;
    program.nodes[maker].output = output;
    Some(index)
}

/// The node that makes a value, where only one node reads that value.
fn only_maker(program: &Program, value: ValueId) -> Option<usize> {
    read_once(program, value).then(|| program.nodes.iter().position(|node| node.output == value)).flatten()
}

/// Each of these returns the node that is superfluous now.
fn fuse_activation(program: &mut Program, index: usize) -> Option<usize> {
    let Op::Unary(unary) = &program.nodes[index].op else { return None };
    let activation = unary.activation;
    let (input, output) = (program.nodes[index].inputs[0], program.nodes[index].output);
    let maker = only_maker(program, input)?;
    let present = match &mut program.nodes[maker].op {
        Op::Conv2d(op) => &mut op.activation,
        Op::Depthwise(op) => &mut op.activation,
        Op::Dense(op) => &mut op.activation,
        _ => return None,
    };
    if *present != Activation::Linear {
        return None;
    }
    *present = activation;
    program.nodes[maker].output = output;
    Some(index)
}

/// `conv(x) + y` becomes one node at the place of the addition: by then `y` is made.
fn fuse_residual(program: &mut Program, index: usize) -> Option<usize> {
    let [left, right] = program.nodes[index].inputs[..] else { return None };
    if left == right || program.shape(left) != program.shape(right) {
        return None;
    }
    for (product, other) in [(right, left), (left, right)] {
        let Some(maker) = only_maker(program, product) else { continue };
        let mut node = program.nodes[maker].clone();
        let Op::Conv2d(op) = &mut node.op else { continue };
        if op.residual || op.activation != Activation::Linear {
            continue;
        }
        op.residual = true;
        node.inputs.push(other);
        node.output = program.nodes[index].output;
        program.nodes[index] = node;
        return Some(maker);
    }
    None
}

fn fuse_padding(program: &mut Program, index: usize) -> Option<usize> {
    let Op::Pad(pad) = &program.nodes[index].op else { return None };
    let [[top, bottom], [left, right]] = pad.margins;
    let (input, output) = (program.nodes[index].inputs[0], program.nodes[index].output);
    if !read_once(program, output) {
        return None;
    }
    let reader = program.nodes.iter_mut().find(|node| node.inputs.first() == Some(&output))?;
    let padding = match &mut reader.op {
        Op::Conv2d(op) => &mut op.sliding.padding,
        Op::Depthwise(op) => &mut op.sliding.padding,
        _ => return None,
    };
    if *padding != Padding::Valid {
        return None;
    }
    *padding = Padding::Explicit { top, bottom, left, right };
    reader.inputs[0] = input;
    Some(index)
}
