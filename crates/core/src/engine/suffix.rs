//! Runs a trainable suffix: forward and backward over a batch, in buffers that are allocated once.

use crate::compile::Statistics;
use crate::ops::{Backward, Forward, Instance, Mode, Op, Program, Role, ValueId};
use smallvec::SmallVec;

/// A trainable suffix, bound to a batch size, with its weights and their gradients.
pub struct Suffix {
    program: Program,
    statistics: Statistics,
    batch: usize,
    instances: Vec<Box<dyn Instance>>,
    weights: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    trainable: Vec<bool>,
    values: Vec<Vec<f32>>,
    /// The buffer of each value's gradient; `None` where nobody needs it.
    grad_slot: Vec<Option<usize>>,
    grads: Vec<Vec<f32>>,
    /// Which values' gradients the running backward pass has begun.
    filled: Vec<bool>,
    modes: Vec<Mode>,
}

/// Where the loss hands its gradient in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossInput {
    /// At the model's output.
    Output,
    /// At what goes into the sigmoid or softmax that makes the model's output.
    Logits,
}

/// What makes a classifier's probabilities out of its logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squash {
    /// Each output for itself.
    Sigmoid,
    /// All outputs of an image sum to 1.
    Softmax,
}

impl Suffix {
    pub(crate) fn new(
        mut program: Program,
        weights: Vec<Vec<f32>>,
        batch: usize,
        statistics: Statistics,
    ) -> Self {
        separate_repeated_inputs(&mut program);
        let len = |value: ValueId| program.shape(value).iter().product::<usize>();
        let is_trained = |param: usize| {
            let readers =
                || program.nodes.iter().filter(|node| node.params.iter().any(|other| other.0 == param));
            program.params[param].role == Role::Trainable
                && readers().any(|node| !program.layers[node.layer].frozen)
        };
        let trainable: Vec<bool> = (0..program.params.len()).map(is_trained).collect();
        // a value needs a gradient if a trained weight lies at or below it
        let mut needs_grad = vec![false; program.values.len()];
        for node in &program.nodes {
            needs_grad[node.output.0] = node.params.iter().any(|param| trainable[param.0])
                || node.inputs.iter().any(|value| needs_grad[value.0]);
        }
        let (grad_slot, slot_lens) = plan_gradients(&program, &needs_grad);
        let bind = |node: usize| {
            let node = &program.nodes[node];
            node.op.kind().bind(&program.input_shapes(node), &program.param_shapes(node), batch)
        };
        let mode_of = |layer: usize| match (program.layers[layer].frozen, statistics) {
            (false, Statistics::Batch) => Mode::Training,
            _ => Mode::Inference,
        };
        let mut suffix = Self {
            instances: (0..program.nodes.len()).map(bind).collect(),
            gradients: weights
                .iter()
                .zip(&trainable)
                .map(|(w, t)| vec![0.0; if *t { w.len() } else { 0 }])
                .collect(),
            values: (0..program.values.len()).map(|value| vec![0.0; batch * len(ValueId(value))]).collect(),
            grads: slot_lens.iter().map(|len| vec![0.0; batch * len]).collect(),
            filled: vec![false; program.values.len()],
            modes: program.nodes.iter().map(|node| mode_of(node.layer)).collect(),
            statistics,
            batch,
            weights,
            trainable,
            grad_slot,
            program,
        };
        suffix.reload();
        suffix
    }

    /// The program that it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The images that a batch holds at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// True if nothing is left to do above the boundary: the model only predicts.
    pub fn is_empty(&self) -> bool {
        self.program.nodes.is_empty()
    }

    /// The bytes of all buffers of values and gradients.
    pub fn buffer_bytes(&self) -> usize {
        let floats = |buffers: &[Vec<f32>]| buffers.iter().map(Vec::len).sum::<usize>();
        4 * (floats(&self.values) + floats(&self.grads) + floats(&self.weights) + floats(&self.gradients))
    }

    /// The paths and present values of all weights above the boundary, statistics included.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.program
            .params
            .iter()
            .zip(&self.weights)
            .map(|(param, value)| (param.path.as_str(), value.as_slice()))
    }

    /// Replaces a weight's value, e.g. by that of a checkpoint. Call [`Suffix::reload`] after the last.
    pub fn set_weight(&mut self, path: &str, value: &[f32]) {
        if let Some(index) = self.program.params.iter().position(|param| param.path == path) {
            self.weights[index].copy_from_slice(value);
        }
    }

    /// The trained weights: `(path, weight, gradient)` in a fixed order. Call [`Suffix::reload`] after a change.
    pub fn trained(&mut self) -> impl Iterator<Item = (&str, &mut [f32], &mut [f32])> {
        let rows =
            self.program.params.iter().zip(&mut self.weights).zip(&mut self.gradients).zip(&self.trainable);
        rows.filter(|(_, trainable)| **trainable).map(|(((param, weight), gradient), _)| {
            (param.path.as_str(), weight.as_mut_slice(), gradient.as_mut_slice())
        })
    }

    /// Packs the weights anew after they have changed.
    pub fn reload(&mut self) {
        for (node, instance) in self.program.nodes.iter().zip(&mut self.instances) {
            if !node.params.is_empty() {
                let params: SmallVec<[&[f32]; 6]> =
                    node.params.iter().map(|param| self.weights[param.0].as_slice()).collect();
                instance.load(&params);
            }
        }
    }

    /// Takes in rows of boundary values, `[images, row_len]`.
    fn take_rows(&mut self, rows: &[f32], images: usize) {
        let lens: SmallVec<[usize; 8]> =
            self.program.inputs.iter().map(|value| self.program.shape(*value).iter().product()).collect();
        let row_len: usize = lens.iter().sum();
        let mut offset = 0;
        for (value, len) in self.program.inputs.iter().zip(&lens) {
            let buffer = &mut self.values[value.0];
            for image in 0..images {
                let start = image * row_len + offset;
                buffer[image * len..][..*len].copy_from_slice(&rows[start..][..*len]);
            }
            offset += len;
        }
    }

    /// Forward pass as in prediction. Returns the first output, `[images, …]`.
    pub fn predict(&mut self, rows: &[f32], images: usize) -> &[f32] {
        self.forward(rows, images, None);
        self.output(images)
    }

    /// Forward pass as in training; `seed` decides what dropout drops.
    pub fn forward_training(&mut self, rows: &[f32], images: usize, seed: u64) {
        self.forward(rows, images, Some(seed));
    }

    fn forward(&mut self, rows: &[f32], images: usize, training: Option<u64>) {
        assert!(images <= self.batch, "a batch of {images} in a suffix bound for {}", self.batch);
        self.take_rows(rows, images);
        for (index, (node, instance)) in self.program.nodes.iter().zip(&mut self.instances).enumerate() {
            let mut output = std::mem::take(&mut self.values[node.output.0]);
            let inputs = gather(&self.program, &self.values, &node.inputs, images);
            let params: SmallVec<[&[f32]; 6]> =
                node.params.iter().map(|param| self.weights[param.0].as_slice()).collect();
            let mode = if training.is_some() { self.modes[index] } else { Mode::Inference };
            let output_len = images * self.program.shape(node.output).iter().product::<usize>();
            instance.forward(Forward {
                batch: images,
                inputs: &inputs,
                params: &params,
                output: &mut output[..output_len],
                mode,
                seed: training.unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (index as u64) << 32,
            });
            drop((inputs, params));
            self.values[node.output.0] = output;
            if training.is_some() && mode == Mode::Training && self.statistics == Statistics::Batch {
                for (position, param) in node.params.iter().enumerate() {
                    if self.program.params[param.0].role == Role::State {
                        instance.update_state(position, &mut self.weights[param.0]);
                    }
                }
            }
        }
    }

    /// The first output of the last forward pass.
    pub fn output(&self, images: usize) -> &[f32] {
        self.value(self.program.outputs[0], images)
    }

    /// All outputs of the last forward pass.
    pub fn outputs(&self, images: usize) -> impl Iterator<Item = &[f32]> {
        self.program.outputs.iter().map(move |value| self.value(*value, images))
    }

    fn value(&self, value: ValueId, images: usize) -> &[f32] {
        &self.values[value.0][..images * self.program.shape(value).iter().product::<usize>()]
    }

    /// What goes into the sigmoid or softmax that makes the output, where there is one and nothing else reads it.
    pub fn logits(&self, images: usize) -> Option<(&[f32], Squash)> {
        self.logits_value().map(|(value, squash)| (self.value(value, images), squash))
    }

    fn logits_value(&self) -> Option<(ValueId, Squash)> {
        let last = self.program.nodes.last()?;
        let squash = match &last.op {
            Op::Softmax(_) => Squash::Softmax,
            Op::Unary(op) if op.activation == frostline_kernels::Activation::Sigmoid => Squash::Sigmoid,
            _ => return None,
        };
        let is_output = [last.output] == self.program.outputs[..];
        (is_output && !self.program.inputs.contains(&last.inputs[0])).then(|| (last.inputs[0], squash))
    }

    /// Backward pass after [`Suffix::forward_training`]: `fill` writes the loss's gradient at the place that
    /// `input` names. The gradients of the trained weights are then in [`Suffix::trained`].
    pub fn backward(&mut self, images: usize, input: LossInput, fill: impl FnOnce(&mut [f32])) {
        self.gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
        let mut filled = std::mem::take(&mut self.filled);
        filled.fill(false);
        self.backward_through(images, input, fill, &mut filled);
        self.filled = filled;
    }

    fn backward_through(
        &mut self,
        images: usize,
        input: LossInput,
        fill: impl FnOnce(&mut [f32]),
        filled: &mut [bool],
    ) {
        let mut nodes = self.program.nodes.len();
        let target = match (input, self.logits_value()) {
            (LossInput::Logits, Some((value, _))) => {
                nodes -= 1;
                value
            }
            _ => self.program.outputs[0],
        };
        let Some(slot) = self.grad_slot[target.0] else { return };
        let target_len = images * self.program.shape(target).iter().product::<usize>();
        fill(&mut self.grads[slot][..target_len]);
        filled[target.0] = true;
        for index in (0..nodes).rev() {
            let node = &self.program.nodes[index];
            let Some(slot) = self.grad_slot[node.output.0] else { continue };
            if !filled[node.output.0] {
                continue; // an output that the loss does not see
            }
            let output_len = images * self.program.shape(node.output).iter().product::<usize>();
            let mut taken: SmallVec<[Vec<f32>; 8]> = SmallVec::new();
            for value in &node.inputs {
                taken.push(match self.grad_slot[value.0] {
                    None => Vec::new(),
                    Some(slot) => {
                        let mut grad = std::mem::take(&mut self.grads[slot]);
                        if !std::mem::replace(&mut filled[value.0], true) {
                            let len = images * self.program.shape(*value).iter().product::<usize>();
                            grad[..len].fill(0.0);
                        }
                        grad
                    }
                });
            }
            let mut taken_params: SmallVec<[Vec<f32>; 6]> =
                node.params.iter().map(|param| std::mem::take(&mut self.gradients[param.0])).collect();
            {
                let inputs = gather(&self.program, &self.values, &node.inputs, images);
                let params: SmallVec<[&[f32]; 6]> =
                    node.params.iter().map(|param| self.weights[param.0].as_slice()).collect();
                let mut input_grads: SmallVec<[Option<&mut [f32]>; 8]> = taken
                    .iter_mut()
                    .zip(&inputs)
                    .map(|(grad, input)| (!grad.is_empty()).then(|| &mut grad[..input.len()]))
                    .collect();
                let mut param_grads: SmallVec<[Option<&mut [f32]>; 6]> = taken_params
                    .iter_mut()
                    .map(|grad| (!grad.is_empty()).then_some(grad.as_mut_slice()))
                    .collect();
                self.instances[index].backward(Backward {
                    batch: images,
                    inputs: &inputs,
                    params: &params,
                    output: &self.values[node.output.0][..output_len],
                    output_grad: &self.grads[slot][..output_len],
                    input_grads: &mut input_grads,
                    param_grads: &mut param_grads,
                    mode: self.modes[index],
                });
            }
            for (value, grad) in node.inputs.iter().zip(taken) {
                if let Some(slot) = self.grad_slot[value.0] {
                    self.grads[slot] = grad;
                }
            }
            for (param, grad) in node.params.iter().zip(taken_params) {
                self.gradients[param.0] = grad;
            }
        }
    }
}

impl std::fmt::Debug for Suffix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Suffix").field("program", &self.program).finish_non_exhaustive()
    }
}

fn gather<'a>(
    program: &Program,
    values: &'a [Vec<f32>],
    ids: &[ValueId],
    images: usize,
) -> SmallVec<[&'a [f32]; 8]> {
    let len = |value: &ValueId| images * program.shape(*value).iter().product::<usize>();
    ids.iter().map(|value| &values[value.0][..len(value)]).collect()
}

/// A node that reads a value twice (`x · x`) reads a copy the second time, so that each input has a gradient of
/// its own.
fn separate_repeated_inputs(program: &mut Program) {
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
        let op = Op::from(crate::ops::Reshape { shape });
        let node = crate::ops::Node { op, inputs: vec![value], params: Vec::new(), output: copy, layer };
        program.nodes.insert(index, node);
    }
}

/// Gradient buffers by liveness in the backward pass: a value's gradient lives from its last reader (first in the
/// backward pass) to its maker.
fn plan_gradients(program: &Program, needs_grad: &[bool]) -> (Vec<Option<usize>>, Vec<usize>) {
    let mut slot_of = vec![None; program.values.len()];
    let mut lens: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut take = |value: ValueId, free: &mut Vec<usize>, slot_of: &mut Vec<Option<usize>>| {
        if !needs_grad[value.0] || slot_of[value.0].is_some() {
            return;
        }
        let wanted: usize = program.shape(value).iter().product();
        let enough = free.iter().copied().filter(|slot| lens[*slot] >= wanted).min_by_key(|slot| lens[*slot]);
        let slot =
            enough.or_else(|| free.iter().copied().max_by_key(|slot| lens[*slot])).unwrap_or_else(|| {
                lens.push(0);
                lens.len() - 1
            });
        free.retain(|other| *other != slot);
        lens[slot] = lens[slot].max(wanted);
        slot_of[value.0] = Some(slot);
    };
    program.outputs.iter().for_each(|value| take(*value, &mut free, &mut slot_of));
    // what the loss may be handed in at instead must not share a buffer with the output's gradient
    for node in program.nodes.iter().rev() {
        node.inputs.iter().for_each(|value| take(*value, &mut free, &mut slot_of));
        free.extend(slot_of[node.output.0]);
    }
    (slot_of, lens)
}
