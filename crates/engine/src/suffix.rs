//! Runs a trainable suffix: forward and backward over a batch, in buffers that are allocated once.

use super::Statistics;
use super::micro_batch::{MicroBatch, Shared, Workspace};
use super::pool::Pool;
use super::prepare::{Wanted, logits_value, separate_repeated_inputs};
use super::schedule::{STREAMED_BYTES, Schedule};
use super::segment::Given;
#[cfg(test)]
use super::segment::Segment;
use frostline_graph::ops::{Instance, MICRO_BATCHES, Mode, Program, Role, ValueId};
use rayon::prelude::*;
use smallvec::SmallVec;

/// Elements of a gradient that one task adds up.
const SUM_CHUNK: usize = 1 << 14;

/// A trainable suffix, bound to a batch size, with its weights and their gradients.
pub struct Suffix {
    program: Program,
    statistics: Statistics,
    batch: usize,
    instances: Vec<Box<dyn Instance>>,
    weights: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    trainable: Vec<bool>,
    schedule: Schedule,
    micro_batches: Vec<MicroBatch>,
    workspaces: Pool<Workspace>,
    /// Outputs and logits of all images of the last forward pass.
    gathered: Vec<(ValueId, Vec<f32>)>,
    /// Where the loss hands its gradient in.
    loss_grad: Vec<f32>,
    /// An op's sums over the whole batch.
    totals: Vec<f64>,
    /// The seed of the last forward pass, if that was one of training.
    training: Option<u64>,
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
        program: Program,
        weights: Vec<Vec<f32>>,
        batch: usize,
        statistics: Statistics,
    ) -> Self {
        Self::streaming_from(STREAMED_BYTES, program, weights, batch, statistics, &[])
    }

    /// A suffix of which nothing trains: its backward pass computes the gradient by the first of its boundary values.
    pub(crate) fn by_boundary(program: Program, weights: Vec<Vec<f32>>, batch: usize) -> Self {
        let first: Vec<ValueId> = program.inputs.iter().take(1).copied().collect();
        Self::streaming_from(STREAMED_BYTES, program, weights, batch, Statistics::Moving, &first)
    }

    pub(super) fn streaming_from(
        streamed_bytes: usize,
        mut program: Program,
        weights: Vec<Vec<f32>>,
        batch: usize,
        statistics: Statistics,
        inputs: &[ValueId],
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
        let Wanted { needs_grad, active } = Wanted::new(&program, &trainable, inputs);
        let bind = |node: usize| {
            let node = &program.nodes[node];
            node.op.kind().bind(&program.input_shapes(node), &program.param_shapes(node), batch)
        };
        let mode_of = |layer: usize| match (program.layers[layer].inference, statistics) {
            (false, Statistics::Batch) => Mode::Training,
            _ => Mode::Inference,
        };
        let instances: Vec<_> = (0..program.nodes.len()).map(bind).collect();
        let modes: Vec<Mode> = program.nodes.iter().map(|node| mode_of(node.layer)).collect();
        let mut public = program.outputs.clone();
        public.extend(logits_value(&program).map(|(value, _)| value));
        public.sort_unstable();
        public.dedup();
        let micro_batches = MICRO_BATCHES.min(batch);
        let images = batch.div_ceil(micro_batches.max(1));
        let schedule = Schedule::new(&Given {
            program: &program,
            instances: &instances,
            modes: &modes,
            trainable: &trainable,
            active: &active,
            needs_grad: &needs_grad,
            public: &public,
            images,
            streamed_bytes,
        });
        let micro_batch = |_| MicroBatch::new(&program, &schedule, images);
        let workspaces = Pool::default();
        let threads = micro_batches.min(rayon::current_num_threads());
        (0..threads).for_each(|_| workspaces.add(Workspace::new(&schedule, &instances)));
        let gathered: Vec<_> = public.iter().map(|value| (*value, vec![0.0; batch * len(*value)])).collect();
        let mut suffix = Self {
            micro_batches: (0..micro_batches).map(micro_batch).collect(),
            workspaces,
            loss_grad: vec![0.0; gathered.iter().map(|(_, values)| values.len()).max().unwrap_or(0)],
            gathered,
            totals: Vec::with_capacity(instances.iter().map(|i| i.sums_len()).max().unwrap_or(0)),
            training: None,
            schedule,
            instances,
            gradients: weights
                .iter()
                .zip(&trainable)
                .map(|(w, t)| vec![0.0; if *t { w.len() } else { 0 }])
                .collect(),
            modes,
            statistics,
            batch,
            weights,
            trainable,
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
        let micro_batches: usize = self.micro_batches.iter().map(MicroBatch::floats).sum();
        let workspaces = self.workspaces.sum(Workspace::floats);
        4 * (micro_batches + workspaces + floats(&self.weights) + floats(&self.gradients))
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
        let weights = &self.weights;
        self.instances.par_iter_mut().zip(&self.program.nodes).for_each(|(instance, node)| {
            if !node.params.is_empty() {
                let params: SmallVec<[&[f32]; 6]> =
                    node.params.iter().map(|param| weights[param.0].as_slice()).collect();
                instance.load(&params);
            }
        });
    }

    /// Cuts the batch into micro_batches, and each micro_batch's part out of the rows of boundary values, `[images, feature_len]`.
    fn take_features(&mut self, rows: &[f32], images: usize) {
        let lens: SmallVec<[usize; 8]> =
            self.program.inputs.iter().map(|value| self.program.shape(*value).iter().product()).collect();
        let feature_len: usize = lens.iter().sum();
        let each = images.div_ceil(self.micro_batches.len().max(1));
        let inputs = &self.program.inputs;
        self.micro_batches.par_iter_mut().enumerate().for_each(|(index, micro_batch)| {
            micro_batch.first = (index * each).min(images);
            micro_batch.images = each.min(images - micro_batch.first);
            for image in 0..micro_batch.images {
                let mut row = &rows[(micro_batch.first + image) * feature_len..][..feature_len];
                for (value, len) in inputs.iter().zip(&lens) {
                    let (part, rest) = row.split_at(*len);
                    micro_batch.values[value.0][image * len..][..*len].copy_from_slice(part);
                    row = rest;
                }
            }
        });
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
        self.take_features(rows, images);
        self.training = training;
        self.micro_batches.iter_mut().for_each(|micro_batch| micro_batch.sums.fill(0.0));
        for index in 0..self.schedule.forward.len() {
            for node in &self.schedule.forward[index].nodes {
                let mode = if training.is_some() { self.modes[*node] } else { Mode::Inference };
                add_sums(
                    &self.micro_batches,
                    &self.schedule,
                    &*self.instances[*node],
                    *node,
                    &mut self.totals,
                );
                let params = params(&self.program, &self.weights, *node);
                self.instances[*node].begin_forward(&self.totals, images, &params, mode);
            }
            self.run(index, false, None);
        }
        if training.is_some() && self.statistics == Statistics::Batch {
            for (node, instance) in self.program.nodes.iter().zip(&self.instances) {
                for (position, param) in node.params.iter().enumerate() {
                    let is_state = self.program.params[param.0].role == Role::State;
                    if is_state && !self.program.layers[node.layer].inference {
                        instance.update_state(position, &mut self.weights[param.0]);
                    }
                }
            }
        }
        for (value, gathered) in &mut self.gathered {
            let len: usize = self.program.shape(*value).iter().product();
            for micro_batch in &self.micro_batches {
                gathered[micro_batch.first * len..][..micro_batch.images * len]
                    .copy_from_slice(&micro_batch.values[value.0][..micro_batch.images * len]);
            }
        }
    }

    /// Runs one segment of the forward or the backward pass, all micro_batches in parallel.
    fn run(&mut self, index: usize, backward: bool, skipped: Option<usize>) {
        let schedule = &self.schedule;
        let segment = if backward { &schedule.backward[index] } else { &schedule.forward[index] };
        let shared = Shared {
            program: &self.program,
            schedule,
            instances: &self.instances,
            weights: &self.weights,
            modes: &self.modes,
            training: self.training,
            skipped,
        };
        let make = || Workspace::new(schedule, &self.instances);
        if segment.serial {
            for micro_batch in &mut self.micro_batches {
                let gradients = Some(self.gradients.as_mut_slice());
                self.workspaces
                    .with(make, |workspace| micro_batch.run(&shared, segment, workspace, gradients));
            }
            return;
        }
        self.micro_batches.par_iter_mut().filter(|micro_batch| micro_batch.images > 0).for_each(
            |micro_batch| {
                self.workspaces.with(make, |workspace| micro_batch.run(&shared, segment, workspace, None));
            },
        );
        for (position, param) in segment.weights.iter().enumerate() {
            let micro_batches = &self.micro_batches;
            let add = |(chunk, total): (usize, &mut [f32])| {
                for micro_batch in micro_batches.iter().filter(|micro_batch| micro_batch.images > 0) {
                    let part = &micro_batch.weight_grads[position][chunk * SUM_CHUNK..][..total.len()];
                    frostline_kernels::add_assign(total, part);
                }
            };
            let gradient = &mut self.gradients[param.0];
            match gradient.len() > SUM_CHUNK {
                true => gradient.par_chunks_mut(SUM_CHUNK).enumerate().for_each(add),
                false => add((0, gradient)),
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
        let len = images * self.program.shape(value).iter().product::<usize>();
        let found = self.gathered.iter().find(|(other, _)| *other == value);
        found.map_or(&[], |(_, gathered)| &gathered[..len])
    }

    /// Values and gradients that are written past the caches.
    #[cfg(test)]
    pub(super) fn streamed(&self) -> [usize; 2] {
        let schedule = &self.schedule;
        let values = (0..schedule.kept.len()).map(|value| {
            let is_passing = |segment: &&Segment| segment.values[value].is_some() && schedule.kept[value];
            let is_grad =
                |segment: &&Segment| segment.grads[value].is_some() && schedule.grad_slots[value].is_some();
            [
                schedule.forward.iter().filter(is_passing).count(),
                schedule.backward.iter().filter(is_grad).count(),
            ]
        });
        values.fold([0, 0], |sum, of| [sum[0] + of[0], sum[1] + of[1]])
    }

    /// Seconds that all threads together have spent in each op's forward and backward passes.
    pub fn seconds(&self) -> Vec<[f64; 2]> {
        let account = |node: usize, pass: usize| {
            self.micro_batches.iter().map(|micro_batch| micro_batch.seconds[node][pass]).sum()
        };
        (0..self.program.nodes.len()).map(|node| [account(node, 0), account(node, 1)]).collect()
    }

    /// What goes into the sigmoid or softmax that makes the output, where there is one and nothing else reads it.
    pub fn logits(&self, images: usize) -> Option<(&[f32], Squash)> {
        self.logits_value().map(|(value, squash)| (self.value(value, images), squash))
    }

    fn logits_value(&self) -> Option<(ValueId, Squash)> {
        logits_value(&self.program)
    }

    /// Backward pass after [`Suffix::forward_training`]: `fill` writes the loss's gradient at the place that
    /// `input` names. The gradients of the trained weights are then in [`Suffix::trained`].
    pub fn backward(&mut self, images: usize, input: LossInput, fill: impl FnOnce(&mut [f32])) {
        self.gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
        let (target, skipped) = match (input, self.logits_value()) {
            (LossInput::Logits, Some((value, _))) => (value, self.program.nodes.len().checked_sub(1)),
            _ => (self.program.outputs[0], None),
        };
        let Some(slot) = self.schedule.grad_slots[target.0] else { return };
        let len: usize = self.program.shape(target).iter().product();
        fill(&mut self.loss_grad[..images * len]);
        for micro_batch in &mut self.micro_batches {
            micro_batch.grads[slot][..micro_batch.images * len]
                .copy_from_slice(&self.loss_grad[micro_batch.first * len..][..micro_batch.images * len]);
            micro_batch.sums.fill(0.0);
        }
        for index in 0..self.schedule.backward.len() {
            for node in &self.schedule.backward[index].nodes {
                self.totals.clear();
                let params_of = &self.program.nodes[*node].params;
                let trains = params_of.iter().any(|param| self.trainable[param.0]);
                let instance = &mut self.instances[*node];
                if instance.sums_backward(self.modes[*node], trains) {
                    add_sums(&self.micro_batches, &self.schedule, &**instance, *node, &mut self.totals);
                }
                let params = params(&self.program, &self.weights, *node);
                let mut taken: SmallVec<[Vec<f32>; 6]> =
                    params_of.iter().map(|param| std::mem::take(&mut self.gradients[param.0])).collect();
                let mut grads: SmallVec<[Option<&mut [f32]>; 6]> =
                    taken.iter_mut().map(|grad| (!grad.is_empty()).then_some(grad.as_mut_slice())).collect();
                instance.begin_backward(&self.totals, images, &params, &mut grads, self.modes[*node]);
                drop(grads);
                for (param, grad) in params_of.iter().zip(taken) {
                    self.gradients[param.0] = grad;
                }
            }
            self.run(index, true, skipped);
        }
    }
}

impl Suffix {
    /// After a backward pass of a plan by [`compile_above`](crate::compile::compile_above): the gradient by the first of the
    /// boundary's values, `[images, …]`. None where the output does not depend on that.
    pub fn boundary_gradient(&self) -> Option<Vec<f32>> {
        let value = *self.program.inputs.first()?;
        let slot = self.schedule.grad_slots[value.0]?;
        let len: usize = self.program.shape(value).iter().product();
        let part = |micro_batch: &MicroBatch| micro_batch.grads[slot][..micro_batch.images * len].to_vec();
        Some(self.micro_batches.iter().flat_map(part).collect())
    }
}

/// An op's sums over the whole batch, micro_batch after micro_batch.
fn add_sums(
    micro_batches: &[MicroBatch],
    schedule: &Schedule,
    instance: &dyn Instance,
    node: usize,
    totals: &mut Vec<f64>,
) {
    let len = instance.sums_len();
    totals.clear();
    totals.resize(len, 0.0);
    for micro_batch in micro_batches.iter().filter(|micro_batch| micro_batch.images > 0) {
        let own = &micro_batch.sums[schedule.sums_at[node]..][..len];
        totals.iter_mut().zip(own).for_each(|(total, part)| *total += part);
    }
}

fn params<'a>(program: &Program, weights: &'a [Vec<f32>], node: usize) -> SmallVec<[&'a [f32]; 6]> {
    program.nodes[node].params.iter().map(|param| weights[param.0].as_slice()).collect()
}

impl std::fmt::Debug for Suffix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Suffix").field("program", &self.program).finish_non_exhaustive()
    }
}
