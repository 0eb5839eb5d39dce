//! A program: ops over values, each value written once. Layers lower to it.

use super::Op;
use super::masks::{Masks, Standing};
use crate::{Error, Result, Shape};

/// Index into [`Program::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

/// Index into [`Program::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub usize);

/// Whether the optimizer may ever change a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Learned by gradients.
    Trainable,
    /// A statistic (BatchNormalization's moving mean, Normalization's mean).
    State,
}

/// A weight that a program reads.
#[derive(Clone, Debug)]
pub struct Param {
    /// `layer path/variable`.
    pub path: String,
    /// Its shape.
    pub shape: Shape,
    /// Trainable or a statistic.
    pub role: Role,
}

/// The layer that nodes come from.
#[derive(Clone, Debug)]
pub struct LayerInfo {
    /// Its path.
    pub path: String,
    /// Frozen: no gradients for its weights, run as in prediction.
    pub frozen: bool,
    /// Run as in prediction: frozen, or with its statistics as they are.
    pub inference: bool,
}

/// One op on values.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// The values it reads.
    pub inputs: Vec<ValueId>,
    /// The weights it reads.
    pub params: Vec<ParamId>,
    /// The value it writes.
    pub output: ValueId,
    /// Index into [`Program::layers`].
    pub layer: usize,
}

/// Ops in an order in which they can be run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The shape of every value, without the batch.
    pub values: Vec<Shape>,
    /// The ops.
    pub nodes: Vec<Node>,
    /// The weights they read.
    pub params: Vec<Param>,
    /// The layers they come from.
    pub layers: Vec<LayerInfo>,
    /// The values that are given.
    pub inputs: Vec<ValueId>,
    /// The values that are wanted.
    pub outputs: Vec<ValueId>,
    /// Which steps of sequences count, while layers are lowered.
    pub masks: Masks,
}

impl Program {
    /// A new value.
    pub fn value(&mut self, shape: Shape) -> ValueId {
        self.values.push(shape);
        ValueId(self.values.len() - 1)
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> &Shape {
        &self.values[value.0]
    }

    /// The shapes of a node's inputs.
    pub fn input_shapes(&self, node: &Node) -> Vec<Shape> {
        node.inputs.iter().map(|value| self.shape(*value).clone()).collect()
    }

    /// The multiply-adds of one image.
    pub fn multiply_adds(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_multiply_adds(node)).sum()
    }

    /// Those of one of its ops.
    pub fn node_multiply_adds(&self, node: &Node) -> u64 {
        Op::kind(&node.op).cost(&self.input_shapes(node), &self.param_shapes(node)).multiply_adds
    }

    /// The shapes of a node's weights.
    pub fn param_shapes(&self, node: &Node) -> Vec<Shape> {
        node.params.iter().map(|param| self.params[param.0].shape.clone()).collect()
    }
}

/// What a layer lowers itself with: pushes ops onto the program in the layer's name.
pub struct Lowering<'a> {
    program: &'a mut Program,
    layer: usize,
    /// How the names of weights begin, in a layer within the layer.
    prefix: &'static str,
}

impl<'a> Lowering<'a> {
    /// Begins the ops of `program.layers[layer]`.
    pub fn new(program: &'a mut Program, layer: usize) -> Self {
        Self { program, layer, prefix: "" }
    }

    /// Lowers a layer within the layer, the names of whose weights begin so.
    pub fn within<R>(&mut self, prefix: &'static str, lower: impl FnOnce(&mut Lowering<'_>) -> R) -> R {
        lower(&mut Lowering { program: &mut *self.program, layer: self.layer, prefix })
    }

    /// The mask of a sequence, where not all of its steps count.
    pub fn mask(&self, value: ValueId) -> Option<ValueId> {
        self.program.masks.of(value)
    }

    /// Says which steps of a sequence count.
    pub fn set_mask(&mut self, value: ValueId, mask: ValueId) {
        self.program.masks.set(value, mask);
    }

    /// The masks that an attention layer sees of what it is called on. Errors: that depends on the order in which Keras runs layers,
    /// or on its version.
    pub fn seen_masks<const N: usize>(&self, inputs: [ValueId; N]) -> Result<[Option<ValueId>; N]> {
        let mut seen = [None; N];
        for (seen, input) in seen.iter_mut().zip(inputs) {
            let mask = self.mask(input);
            let below = inputs.iter().map(|other| self.program.standing(input, *other)).max();
            *seen = match below.filter(|_| mask.is_some()).unwrap_or(Standing::Kept) {
                Standing::Kept => mask,
                Standing::Lost => None,
                Standing::Unclear => return Err(self.error(
                    "it looks at a sequence of which not all steps count, beside another attention layer: which of them Keras tells so depends on its version, or on the order in which it runs them\nhelp: keep the layers below it, or leave the mask out in Keras and train again",
                )),
            };
        }
        Ok(seen)
    }

    /// What attention layers will see of the mask that a layer hands from its inputs on to its output. `all`: the output has one only
    /// where all inputs do.
    pub fn hand_on(&mut self, inputs: &[ValueId], output: ValueId, all: bool) {
        let masked = inputs.iter().filter(|input| self.mask(**input).is_some());
        let mut standings: Vec<Standing> =
            masked.map(|input| self.program.standing(*input, output)).collect();
        standings.sort_unstable();
        let standing = match (standings.first(), standings.last()) {
            (Some(least), Some(most)) if all || least == most => *most,
            (Some(_), Some(_)) => Standing::Unclear,
            _ => Standing::Kept,
        };
        self.program.hand_on(inputs, output, standing);
    }

    /// The layer takes the masks off what it is called on; `not_in_all`: other versions of Keras do, and its own does not.
    pub fn take_masks(&mut self, inputs: &[ValueId], output: ValueId, not_in_all: bool) {
        self.program.take_masks(inputs, output, not_in_all);
    }

    /// Whether the layer runs as in prediction, whatever is trained.
    pub fn is_inference(&self) -> bool {
        self.program.layers[self.layer].inference
    }

    /// The shape of a value, without the batch.
    pub fn shape(&self, value: ValueId) -> &Shape {
        self.program.shape(value)
    }

    /// An error about the layer.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::shape(&self.program.layers[self.layer].path, message)
    }

    /// The layer's weight `name`; the same weight for every call of the layer.
    pub fn weight(&mut self, name: &str, shape: &[usize], role: Role) -> ParamId {
        let path = format!("{}/{}{name}", self.program.layers[self.layer].path, self.prefix);
        if let Some(found) = self.program.params.iter().position(|param| param.path == path) {
            return ParamId(found);
        }
        self.program.params.push(Param { path, shape: shape.to_vec(), role });
        ParamId(self.program.params.len() - 1)
    }

    /// Applies an op; the error names the layer.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[ValueId], params: &[ParamId]) -> Result<ValueId> {
        let op = op.into();
        let input_shapes: Vec<Shape> = inputs.iter().map(|value| self.shape(*value).clone()).collect();
        let param_shapes: Vec<Shape> =
            params.iter().map(|param| self.program.params[param.0].shape.clone()).collect();
        let shape =
            op.kind().output_shape(&input_shapes, &param_shapes).map_err(|message| self.error(message))?;
        let output = self.program.value(shape);
        let (inputs, params) = (inputs.to_vec(), params.to_vec());
        self.program.nodes.push(Node { op, inputs, params, output, layer: self.layer });
        Ok(output)
    }
}
