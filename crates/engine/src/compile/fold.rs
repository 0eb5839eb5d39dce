//! Folding a frozen prefix: its weights are constants, so that BatchNormalization and constant scalings go into
//! the convolution before them, and what is left of them becomes one scale and offset a channel.

use crate::Constants;
use frostline_graph::Tensor;
use frostline_graph::ops::{Affine, Node, Op, Param, ParamId, Program, Role, ValueId};

/// Folds every normalisation and scaling of the program. The results are equal but for rounding.
pub(super) fn fold(program: &mut Program, constants: &mut Constants) {
    for index in 0..program.nodes.len() {
        if let Some(affine) = as_affine(&program.nodes[index], constants) {
            let node = &mut program.nodes[index];
            node.op = Op::Affine(affine);
            node.params.clear();
        }
    }
    let mut index = 0;
    while index < program.nodes.len() {
        match absorb(program, constants, index) {
            true => drop(program.nodes.remove(index)),
            false => index += 1,
        }
    }
}

/// A frozen normalisation as a constant scale and offset a channel.
fn as_affine(node: &Node, constants: &Constants) -> Option<Affine> {
    let value = |index: usize| &constants[node.params[index].0].data;
    match &node.op {
        Op::BatchNorm(norm) => Some(norm.affine(|index| value(index).as_slice())),
        Op::Normalize(op) => {
            let (scale, offset) = op.affine(value(0), value(1));
            Some(Affine { scale, offset })
        }
        _ => None,
    }
}

/// Moves the affine node at `index` into the convolution or product that makes its input, where nobody else
/// reads that. Returns whether it did; the node is then to be removed.
fn absorb(program: &mut Program, constants: &mut Constants, index: usize) -> bool {
    let Op::Affine(affine) = &program.nodes[index].op else { return false };
    let (input, output) = (program.nodes[index].inputs[0], program.nodes[index].output);
    if !read_once(program, input) {
        return false;
    }
    let Some(maker) = program.nodes[..index].iter().position(|node| node.output == input) else {
        return false;
    };
    let (kernel, bias) = match &program.nodes[maker].op {
        Op::Conv2d(op) => (program.nodes[maker].params[0], op.bias),
        Op::Depthwise(op) => (program.nodes[maker].params[0], op.bias),
        Op::Dense(op) => (program.nodes[maker].params[0], op.bias),
        _ => return false,
    };
    // output channels are the last axis of a kernel; a depthwise kernel's are its last two
    let channels = program.shape(output).last().copied().unwrap_or(1);
    let scale: Vec<f32> = (0..channels).map(|channel| affine.scale[channel % affine.scale.len()]).collect();
    let offset: Vec<f32> =
        (0..channels).map(|channel| affine.offset[channel % affine.offset.len()]).collect();
    let mut folded = constants[kernel.0].clone();
    folded.data.iter_mut().enumerate().for_each(|(element, weight)| *weight *= scale[element % channels]);
    let old_bias = bias.then(|| constants[program.nodes[maker].params[1].0].data.clone());
    let new_bias = (0..channels).map(|channel| {
        old_bias.as_ref().map_or(0.0, |bias| bias[channel]) * scale[channel] + offset[channel]
    });
    let new_bias = Tensor { shape: vec![channels], data: new_bias.collect() };
    let layer = program.layers[program.nodes[maker].layer].path.clone();
    let kernel = add_constant(program, constants, format!("{layer}/folded_kernel"), folded);
    let bias = add_constant(program, constants, format!("{layer}/folded_bias"), new_bias);
    let node = &mut program.nodes[maker];
    node.params = vec![kernel, bias];
    node.output = output;
    match &mut node.op {
        Op::Conv2d(op) => op.bias = true,
        Op::Depthwise(op) => op.bias = true,
        Op::Dense(op) => op.bias = true,
        _ => {}
    }
    true
}

fn add_constant(program: &mut Program, constants: &mut Constants, path: String, value: Tensor) -> ParamId {
    program.params.push(Param { path, shape: value.shape.clone(), role: Role::State });
    constants.push(value);
    ParamId(program.params.len() - 1)
}

/// True if one node reads the value, once, and it leaves the program by no output.
pub(super) fn read_once(program: &Program, value: ValueId) -> bool {
    let reads = program.nodes.iter().flat_map(|node| &node.inputs).filter(|input| **input == value).count();
    reads == 1 && !program.outputs.contains(&value)
}
