//! A micro_batch of the batch: some of its images, with what is kept of them, and the memory that a thread needs to take them
//! through a segment.

use super::schedule::Schedule;
use super::segment::{Segment, Step};
use frostline_graph::Extents;
use frostline_graph::ops::{
    Backward, Forward, Gradient, Instance, Mode, Needs, Observed, ParamId, Program, Scratch, ValueId,
};
use frostline_kernels::{Accumulate, Buffer};
use smallvec::SmallVec;
use std::ops::DerefMut;
use std::time::Instant;

/// Some consecutive images of a batch.
#[derive(Debug, Default)]
pub(super) struct MicroBatch {
    /// The place of the first image in the batch.
    pub(super) first: usize,
    /// How many of its images the running batch has.
    pub(super) images: usize,
    /// Values that are kept, `[images, …]`.
    pub(super) values: Vec<Buffer>,
    /// Gradients that are kept.
    pub(super) grads: Vec<Buffer>,
    /// Sums over the micro_batch's images of weights' gradients, and of what ops need of the whole batch.
    pub(super) weight_grads: Vec<Buffer>,
    pub(super) sums: Vec<f64>,
    /// The running thread's.
    workspace: Workspace,
    /// Seconds of each op's forward and backward passes.
    pub(super) seconds: Vec<[f64; 2]>,
}

/// Memory that holds nothing between two segments. MicroBatches take it in turns, so that it stays in the cache of its thread.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Values and gradients of the images at hand.
    passing: Vec<Buffer>,
    scratch: Scratch,
}

impl Workspace {
    pub(crate) fn new(schedule: &Schedule, instances: &[Box<dyn Instance>]) -> Self {
        let needs = instances.iter().map(|instance| instance.needs()).fold(Needs::default(), |a, b| Needs {
            floats: a.floats.max(b.floats),
            indices: a.indices.max(b.indices),
        });
        let passing = schedule.passing_lens.iter().map(|len| Buffer::zeros(*len)).collect();
        Self { passing, scratch: Scratch::new(needs) }
    }

    /// The f32 of all buffers.
    pub(super) fn floats(&self) -> usize {
        self.passing.iter().map(|buffer| buffer.len()).sum::<usize>() + self.scratch.floats.len()
    }
}

/// What all micro_batches share while they run.
pub(super) struct Shared<'a> {
    pub(super) program: &'a Program,
    pub(super) schedule: &'a Schedule,
    pub(super) instances: &'a [Box<dyn Instance>],
    pub(super) weights: &'a [Vec<f32>],
    pub(super) modes: &'a [Mode],
    /// None for a prediction.
    pub(super) training: Option<u64>,
    /// The op whose backward pass is not run: the loss's gradient comes in below it.
    pub(super) skipped: Option<usize>,
}

/// Where a value or gradient of the images at hand lies.
#[derive(Clone, Copy)]
enum Place {
    Kept(usize),
    Passing(usize),
}

impl MicroBatch {
    pub(crate) fn new(program: &Program, schedule: &Schedule, images: usize) -> Self {
        let len = |value: usize| program.values[value].elements();
        let zeros =
            |lens: &[usize], times: usize| lens.iter().map(|len| Buffer::zeros(times * len)).collect();
        let value = |value: usize| Buffer::zeros(if schedule.kept[value] { images * len(value) } else { 0 });
        Self {
            values: (0..program.values.len()).map(value).collect(),
            grads: zeros(&schedule.grad_lens, images),
            weight_grads: zeros(&schedule.weight_lens, 1),
            sums: vec![0.0; schedule.sums_len],
            seconds: vec![[0.0; 2]; program.nodes.len()],
            ..Self::default()
        }
    }

    /// The f32 of all buffers.
    pub(super) fn floats(&self) -> usize {
        let all = [&self.values, &self.grads, &self.weight_grads];
        all.into_iter().flatten().map(|buffer| buffer.len()).sum::<usize>() + 2 * self.sums.len()
    }

    /// Takes all images through a segment. `gradients`: where those of the weights are added instead of this micro_batch's
    /// own sums.
    pub(super) fn run(
        &mut self,
        shared: &Shared<'_>,
        segment: &Segment,
        workspace: &mut Workspace,
        gradients: Option<&mut [Vec<f32>]>,
    ) {
        std::mem::swap(&mut self.workspace, workspace);
        self.run_in_own(shared, segment, gradients);
        std::mem::swap(&mut self.workspace, workspace);
    }

    fn run_in_own(&mut self, shared: &Shared<'_>, segment: &Segment, mut gradients: Option<&mut [Vec<f32>]>) {
        if gradients.is_none() {
            for (param, sums) in segment.weights.iter().zip(&mut self.weight_grads) {
                sums[..shared.weights[param.0].len()].fill(0.0);
            }
        }
        let bands = self.images * segment.bands;
        for from in (0..bands).step_by(segment.chunk) {
            let at = At { from, count: segment.chunk.min(bands - from), segment, shared };
            for step in &segment.steps {
                let start = Instant::now();
                match *step {
                    Step::Forward(node) => self.forward(&at, node),
                    Step::Backward(node) if shared.skipped == Some(node) => {}
                    Step::Backward(node) => self.backward(&at, node, gradients.as_deref_mut()),
                    Step::Observe(node) => self.observe(&at, node),
                    Step::ObserveBackward(node) => self.observe_backward(&at, node),
                }
                let (node, pass) = step.account();
                self.seconds[node][pass] += start.elapsed().as_secs_f64();
            }
        }
    }

    fn forward(&mut self, at: &At<'_>, index: usize) {
        let node = &at.shared.program.nodes[index];
        let place = at.value(node.output);
        let mut output = std::mem::take(self.value_buffer(place));
        let mut scratch = std::mem::take(&mut self.workspace.scratch);
        let inputs: SmallVec<[&[f32]; 8]> = node.inputs.iter().map(|value| self.value(at, *value)).collect();
        at.shared.instances[index].forward(Forward {
            batch: at.count,
            first: self.first + at.from,
            inputs: &inputs,
            params: &at.shared.params(index),
            output: at.part_mut(place, node.output, &mut output),
            mode: at.shared.mode(index),
            seed: at.shared.seed(index),
            scratch: &mut scratch,
        });
        drop(inputs);
        self.workspace.scratch = scratch;
        *self.value_buffer(place) = output;
    }

    fn observe(&mut self, at: &At<'_>, index: usize) {
        let (node, instance) = (&at.shared.program.nodes[index], &at.shared.instances[index]);
        let value = node.inputs[0];
        let mut buffer = at.streamed_value(value).map(|index| std::mem::take(&mut self.values[index]));
        let stored = buffer.as_mut().map(|buffer| at.part_mut(Place::Kept(value.0), value, buffer));
        if at.shared.training.is_some() {
            let mut sums = std::mem::take(&mut self.sums);
            let seen = Observed {
                batch: at.count,
                input: self.value(at, value),
                output_grad: &[],
                params: &at.shared.params(index),
                stored,
            };
            instance.observe(seen, at.sums_of(index, &mut sums));
            self.sums = sums;
        } else if let Some(stored) = stored {
            stored.copy_from_slice(self.value(at, value));
        }
        if let Some(buffer) = buffer {
            self.values[value.0] = buffer;
        }
    }

    fn observe_backward(&mut self, at: &At<'_>, index: usize) {
        let (node, instance) = (&at.shared.program.nodes[index], &at.shared.instances[index]);
        let slot = at.streamed_grad(node.output);
        let mut buffer = slot.map(|slot| (slot, std::mem::take(&mut self.grads[slot])));
        let mut sums = std::mem::take(&mut self.sums);
        let seen = Observed {
            batch: at.count,
            input: self.value(at, node.inputs[0]),
            output_grad: self.grad(at, node.output),
            params: &at.shared.params(index),
            stored: buffer
                .as_mut()
                .map(|(slot, buffer)| at.part_mut(Place::Kept(*slot), node.output, buffer)),
        };
        instance.observe_backward(seen, at.sums_of(index, &mut sums));
        self.sums = sums;
        if let Some((slot, buffer)) = buffer {
            self.grads[slot] = buffer;
        }
    }

    fn backward(&mut self, at: &At<'_>, index: usize, gradients: Option<&mut [Vec<f32>]>) {
        let shared = at.shared;
        let (node, instance) = (&shared.program.nodes[index], &shared.instances[index]);
        let writes = &shared.schedule.writes[index];
        let mut scratch = std::mem::take(&mut self.workspace.scratch);
        let place = |value: ValueId, write: &Option<Accumulate>| write.and_then(|_| at.grad(value));
        let mut taken: SmallVec<[Buffer; 8]> = SmallVec::new();
        for (value, write) in node.inputs.iter().zip(writes) {
            taken.push(
                place(*value, write).map(|place| std::mem::take(self.grad_buffer(place))).unwrap_or_default(),
            );
        }
        let mut own = std::mem::take(&mut self.weight_grads);
        let reads = shared.schedule.reads[index];
        {
            let mut input_grads: SmallVec<[Option<Gradient<'_>>; 8]> = SmallVec::new();
            for ((value, write), buffer) in node.inputs.iter().zip(writes).zip(&mut taken) {
                input_grads.push(match (write, at.grad(*value)) {
                    (Some(accumulate), Some(place)) => {
                        Some(Gradient::new(at.part_mut(place, *value, buffer), *accumulate))
                    }
                    _ => None,
                });
            }
            let sums = match gradients {
                Some(gradients) => sums_of(&node.params, at.segment, gradients, true, shared),
                None => sums_of(&node.params, at.segment, &mut own, false, shared),
            };
            let mut param_grads = sums;
            let unread = || -> &[f32] { &[] };
            let inputs: SmallVec<[&[f32]; 8]> = node
                .inputs
                .iter()
                .map(|value| if reads.inputs { self.value(at, *value) } else { unread() })
                .collect();
            instance.backward(Backward {
                batch: at.count,
                first: self.first + at.from,
                inputs: &inputs,
                params: &shared.params(index),
                output: if reads.output { self.value(at, node.output) } else { unread() },
                output_grad: self.grad(at, node.output),
                input_grads: &mut input_grads,
                param_grads: &mut param_grads,
                mode: shared.modes[index],
                seed: shared.seed(index),
                scratch: &mut scratch,
            });
        }
        for ((value, write), buffer) in node.inputs.iter().zip(writes).zip(taken) {
            if let Some(place) = place(*value, write) {
                *self.grad_buffer(place) = buffer;
            }
        }
        self.weight_grads = own;
        self.workspace.scratch = scratch;
    }

    fn value(&self, at: &At<'_>, value: ValueId) -> &[f32] {
        match at.value(value) {
            Place::Kept(index) => at.part(Place::Kept(index), value, &self.values[index]),
            Place::Passing(slot) => at.part(Place::Passing(slot), value, &self.workspace.passing[slot]),
        }
    }

    fn grad(&self, at: &At<'_>, value: ValueId) -> &[f32] {
        match at.grad(value) {
            Some(Place::Kept(slot)) => at.part(Place::Kept(slot), value, &self.grads[slot]),
            Some(Place::Passing(slot)) => at.part(Place::Passing(slot), value, &self.workspace.passing[slot]),
            None => &[],
        }
    }

    fn value_buffer(&mut self, place: Place) -> &mut Buffer {
        match place {
            Place::Kept(index) => &mut self.values[index],
            Place::Passing(slot) => &mut self.workspace.passing[slot],
        }
    }

    fn grad_buffer(&mut self, place: Place) -> &mut Buffer {
        match place {
            Place::Kept(slot) => &mut self.grads[slot],
            Place::Passing(slot) => &mut self.workspace.passing[slot],
        }
    }
}

/// The sums of an op's weights' gradients: `buffers` are those of the segment's weights, or with `by_param` of all.
fn sums_of<'a>(
    params: &[ParamId],
    segment: &Segment,
    buffers: &'a mut [impl DerefMut<Target = [f32]>],
    by_param: bool,
    shared: &Shared<'_>,
) -> SmallVec<[Option<&'a mut [f32]>; 6]> {
    let mut found: SmallVec<[Option<&'a mut [f32]>; 6]> = params.iter().map(|_| None).collect();
    for (index, buffer) in buffers.iter_mut().enumerate() {
        let param = if by_param { Some(ParamId(index)) } else { segment.weights.get(index).copied() };
        let position =
            params.iter().position(|other| Some(*other) == param && segment.weights.contains(other));
        if let (Some(position), Some(param)) = (position, param) {
            found[position] = Some(&mut buffer[..shared.weights[param.0].len()]);
        }
    }
    found
}

/// The images at hand, or bands of images.
struct At<'a> {
    /// The first, counted in the micro_batch.
    from: usize,
    count: usize,
    segment: &'a Segment,
    shared: &'a Shared<'a>,
}

impl At<'_> {
    fn value(&self, value: ValueId) -> Place {
        self.segment.values[value.0].map_or(Place::Kept(value.0), Place::Passing)
    }

    fn grad(&self, value: ValueId) -> Option<Place> {
        let passing = self.segment.grads[value.0].map(Place::Passing);
        passing.or(self.shared.schedule.grad_slots[value.0].map(Place::Kept))
    }

    /// Where a value is kept that is copied there when its sums are taken.
    fn streamed_value(&self, value: ValueId) -> Option<usize> {
        let schedule = self.shared.schedule;
        (self.segment.values[value.0].is_some() && schedule.kept[value.0]).then_some(value.0)
    }

    /// Likewise of a gradient.
    fn streamed_grad(&self, value: ValueId) -> Option<usize> {
        self.segment.grads[value.0].and(self.shared.schedule.grad_slots[value.0])
    }

    /// An op's own among all sums.
    fn sums_of<'b>(&self, node: usize, sums: &'b mut [f64]) -> &'b mut [f64] {
        &mut sums[self.shared.schedule.sums_at[node]..][..self.shared.instances[node].sums_len()]
    }

    fn range(&self, place: Place, value: ValueId) -> std::ops::Range<usize> {
        let len = self.shared.program.shape(value).iter().product::<usize>() / self.segment.bands;
        let first = if matches!(place, Place::Kept(_)) { self.from } else { 0 };
        first * len..(first + self.count) * len
    }

    fn part<'b>(&self, place: Place, value: ValueId, buffer: &'b [f32]) -> &'b [f32] {
        &buffer[self.range(place, value)]
    }

    fn part_mut<'b>(&self, place: Place, value: ValueId, buffer: &'b mut [f32]) -> &'b mut [f32] {
        &mut buffer[self.range(place, value)]
    }
}

impl Shared<'_> {
    fn params(&self, node: usize) -> SmallVec<[&[f32]; 6]> {
        self.program.nodes[node].params.iter().map(|param| self.weights[param.0].as_slice()).collect()
    }

    pub(super) fn mode(&self, node: usize) -> Mode {
        if self.training.is_some() { self.modes[node] } else { Mode::Inference }
    }

    fn seed(&self, node: usize) -> u64 {
        self.training.unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (node as u64) << 32
    }
}
