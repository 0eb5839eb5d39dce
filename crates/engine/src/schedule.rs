//! In which order a suffix runs, and what it keeps.
//!
//! A batch is cut into micro_batches, and a thread takes a micro_batch, a few images at a time, through a **segment**: a row of ops
//! between two places where sums over the whole batch are needed (normalisation by batch statistics). Within a segment
//! what one op writes is in the cache when the next reads it. A value that is cheap to make and is only read in its
//! own segment is **passing**: its buffer holds the images at hand, and the backward pass makes it again. So is a
//! gradient that is read in the segment that writes it. What remains in memory for the whole batch is what
//! convolutions and the like make, and one gradient at each border between segments.

use super::segment::{Given, Segment, Step, Touched};
use super::steps::{backward_segments, forward_segments, reads_of};
use frostline_graph::Extents;
use frostline_graph::ops::{MICRO_BATCHES, ParamId, Reads, ValueId};
use frostline_kernels::Accumulate;

/// Bytes of values and gradients that a segment's images have at most, if there is more than one.
const CHUNK_BYTES: usize = 4 << 20;

/// The same where images can be cut: about what the second-level cache holds.
const BAND_BYTES: usize = 768 << 10;

/// Bytes from which on a value or gradient of the whole batch is in no cache any more when the next segment reads it.
pub(super) const STREAMED_BYTES: usize = 8 << 20;

/// What a suffix does, and in which buffers.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub(super) forward: Vec<Segment>,
    pub(super) backward: Vec<Segment>,
    /// Whether a value is kept for the whole batch.
    pub(super) kept: Vec<bool>,
    /// The buffer of each gradient that is kept for the whole batch.
    pub(super) grad_slots: Vec<Option<usize>>,
    /// Elements of those buffers, an image.
    pub(super) grad_lens: Vec<usize>,
    /// Elements of the buffers for what is passing.
    pub(super) passing_lens: Vec<usize>,
    /// Elements of the buffers for weights' gradients.
    pub(super) weight_lens: Vec<usize>,
    /// Where each op's sums over the batch lie among all sums, and how many there are in all.
    pub(super) sums_at: Vec<usize>,
    pub(super) sums_len: usize,
    /// What each op's backward pass reads.
    pub(super) reads: Vec<Reads>,
    /// How each op's gradient for each of its inputs is combined with those of other ops; `None` where nobody needs it.
    pub(super) writes: Vec<Vec<Option<Accumulate>>>,
}
impl Schedule {
    pub(crate) fn new(given: &Given<'_>) -> Self {
        let program = given.program;
        let count = program.values.len();
        let mut schedule = Self::default();
        for instance in given.instances {
            schedule.sums_at.push(schedule.sums_len);
            schedule.sums_len += instance.sums_len();
        }
        let mut forward = forward_segments(given);
        let segment_of = segments_of(&forward, program.nodes.len());
        schedule.kept = (0..count)
            .map(|value| {
                let value = ValueId(value);
                let Some(maker) = given.maker(value) else { return true };
                given.public.contains(&value)
                    || !given.is_cheap(maker)
                    || given.readers(value).any(|reader| segment_of[reader] != segment_of[maker])
            })
            .collect();
        let mut backward = backward_segments(given, &schedule.kept);
        let segment_of = segments_of(&backward, program.nodes.len());
        schedule.writes = writes(given);
        schedule.reads = (0..program.nodes.len()).map(|node| reads_of(given, node, &schedule.kept)).collect();
        let is_kept = |value: ValueId| {
            given.public.contains(&value)
                || given.maker(value).is_none_or(|maker| {
                    given
                        .readers(value)
                        .any(|reader| given.active[reader] && segment_of[reader] != segment_of[maker])
                })
        };
        let keeps_grad: Vec<bool> =
            (0..count).map(|value| given.needs_grad[value] && is_kept(ValueId(value))).collect();
        schedule.plan_grads(given, &backward, &keeps_grad);
        for segment in forward.iter_mut().chain(&mut backward) {
            schedule.plan_passing(given, segment);
            for (index, param) in segment.weights.iter().enumerate() {
                let len: usize = program.params[param.0].shape.iter().product();
                schedule.weight_lens.resize(schedule.weight_lens.len().max(index + 1), 0);
                schedule.weight_lens[index] =
                    schedule.weight_lens[index].max(if segment.serial { 0 } else { len });
            }
        }
        (schedule.forward, schedule.backward) = (forward, backward);
        schedule
    }

    /// Buffers of the gradients that are kept, by liveness from segment to segment.
    fn plan_grads(&mut self, given: &Given<'_>, backward: &[Segment], keeps: &[bool]) {
        self.grad_slots = vec![None; keeps.len()];
        let mut free = Vec::new();
        let mut buffers = Buffers { lens: std::mem::take(&mut self.grad_lens) };
        for value in given.public.iter().filter(|value| keeps[value.0]) {
            self.grad_slots[value.0] = Some(buffers.take(given.len(*value), &mut free));
        }
        for segment in backward {
            let nodes = || segment.steps.iter().filter_map(Step::backward);
            for value in nodes().flat_map(|node| &given.program.nodes[node].inputs) {
                if keeps[value.0] && self.grad_slots[value.0].is_none() {
                    self.grad_slots[value.0] = Some(buffers.take(given.len(*value), &mut free));
                }
            }
            free.extend(nodes().filter_map(|node| self.grad_slots[given.program.nodes[node].output.0]));
        }
        self.grad_lens = buffers.lens;
    }

    /// Buffers of what is passing in a segment, by liveness from step to step.
    fn plan_passing(&mut self, given: &Given<'_>, segment: &mut Segment) {
        let count = given.program.values.len();
        let touched: Vec<Vec<Touched>> =
            segment.steps.iter().map(|step| step.touches(given, &self.kept)).collect();
        let mut all: Vec<Touched> = touched.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        let bytes: usize = all.iter().map(|touched| 4 * given.len(touched.value())).sum();
        let len = |param: &ParamId| given.program.params[param.0].shape.elements();
        let weights: usize = segment.weights.iter().map(len).sum();
        (segment.bands, segment.chunk) = match rows_of(given, segment, &all) {
            // each band adds to all of the weights' gradients
            Some(rows) => {
                let fitting = BAND_BYTES.max(8 * weights);
                let is_divisor = |bands: &usize| rows.is_multiple_of(*bands) && bytes / bands <= fitting;
                let bands = (1..=rows).find(is_divisor).unwrap_or(rows);
                (bands, (fitting * bands / bytes.max(1)).clamp(1, bands * given.images.max(1)))
            }
            // even chunks: 2 + 2 images of 4, not 3 + 1
            None => {
                let chunks = given.images.div_ceil((CHUNK_BYTES / bytes.max(1)).max(1)).max(1);
                (1, given.images.div_ceil(chunks).max(1))
            }
        };
        let (bands, chunk) = (segment.bands, segment.chunk);
        (segment.values, segment.grads) = (vec![None; count], vec![None; count]);
        let streamed = self.streamed(given, segment);
        let is_passing = |touched: &Touched| {
            streamed.contains(touched)
                || match touched {
                    Touched::Value(value) => !self.kept[value.0],
                    Touched::Grad(value) => given.needs_grad[value.0] && self.grad_slots[value.0].is_none(),
                }
        };
        let mut free = Vec::new();
        let mut buffers = Buffers { lens: std::mem::take(&mut self.passing_lens) };
        free.extend(0..buffers.lens.len());
        for (index, step) in touched.iter().enumerate() {
            for touched in step.iter().filter(|touched| is_passing(touched)) {
                let wanted = chunk * given.len(touched.value()) / bands;
                let slot = touched.slot(segment);
                if slot.is_none() {
                    *slot = Some(buffers.take(wanted, &mut free));
                }
            }
            let later = &touched[index + 1..];
            for touched in step.iter().filter(|touched| is_passing(touched)) {
                if !later.iter().flatten().any(|other| other == touched) {
                    free.extend(*touched.slot(segment));
                }
            }
        }
        self.passing_lens = buffers.lens;
    }

    /// What a segment makes, sums up and keeps, and what is too large for the caches: it passes through the segment as if
    /// it were not kept, and is copied past the caches when its sums are taken.
    fn streamed(&self, given: &Given<'_>, segment: &Segment) -> Vec<Touched> {
        let is_own = |node: usize| segment.nodes.contains(&node);
        let is_large =
            |value: ValueId| 4 * MICRO_BATCHES * given.images * given.len(value) >= given.streamed_bytes;
        let touched_by = |step: &Step| match *step {
            Step::Observe(node) => {
                let value = given.program.nodes[node].inputs[0];
                let is_made = self.kept[value.0] && given.maker(value).is_some_and(is_own);
                (is_made && is_large(value)).then_some(Touched::Value(value))
            }
            Step::ObserveBackward(node) => {
                let value = given.program.nodes[node].output;
                let mut readers = given.readers(value).filter(|reader| given.active[*reader]).peekable();
                let is_made = self.grad_slots[value.0].is_some()
                    && !given.public.contains(&value)
                    && readers.peek().is_some()
                    && readers.all(is_own);
                (is_made && is_large(value)).then_some(Touched::Grad(value))
            }
            Step::Forward(_) | Step::Backward(_) => None,
        };
        let mut streamed: Vec<Touched> = segment.steps.iter().filter_map(touched_by).collect();
        streamed.sort_unstable();
        // what several ops sum up would be copied by each
        let is_single = |touched: &Touched| streamed.iter().filter(|other| *other == touched).count() == 1;
        streamed.iter().copied().filter(is_single).collect()
    }
}

/// The rows of all values of a segment whose steps go pixel by pixel.
fn rows_of(given: &Given<'_>, segment: &Segment, touched: &[Touched]) -> Option<usize> {
    let mut rows = touched.iter().map(|touched| match given.program.shape(touched.value()).as_slice() {
        [rows, _, _] => Some(*rows),
        _ => None,
    });
    let first = rows.next()??;
    let is_cuttable = rows.all(|rows| rows == Some(first))
        && segment.steps.iter().all(|step| given.instances[step.account().0].is_pixelwise());
    is_cuttable.then_some(first)
}
struct Buffers {
    lens: Vec<usize>,
}

impl Buffers {
    /// The smallest free buffer that is long enough, else the longest, enlarged, else a new one.
    fn take(&mut self, wanted: usize, free: &mut Vec<usize>) -> usize {
        let enough = free
            .iter()
            .copied()
            .filter(|slot| self.lens[*slot] >= wanted)
            .min_by_key(|slot| self.lens[*slot]);
        let longest = || free.iter().copied().max_by_key(|slot| self.lens[*slot]);
        let slot = enough.or_else(longest).unwrap_or(self.lens.len());
        self.lens.resize(self.lens.len().max(slot + 1), 0);
        self.lens[slot] = self.lens[slot].max(wanted);
        free.retain(|other| *other != slot);
        slot
    }
}

/// The segment in which each op's own pass runs.
fn segments_of(segments: &[Segment], nodes: usize) -> Vec<usize> {
    let mut found = vec![usize::MAX; nodes];
    for (index, segment) in segments.iter().enumerate() {
        segment.nodes.iter().for_each(|node| found[*node] = index);
    }
    found
}

/// The first op that writes a gradient (the last of the value's readers) overwrites what is there.
fn writes(given: &Given<'_>) -> Vec<Vec<Option<Accumulate>>> {
    let program = given.program;
    let mut is_begun = vec![false; program.values.len()];
    is_begun[program.outputs[0].0] = true; // by the loss
    let mut found = vec![Vec::new(); program.nodes.len()];
    for (index, node) in program.nodes.iter().enumerate().rev().filter(|(index, _)| given.active[*index]) {
        let mut write = |value: &ValueId| {
            given.needs_grad[value.0].then(|| {
                let begun = std::mem::replace(&mut is_begun[value.0], true);
                if begun { Accumulate::Add } else { Accumulate::Overwrite }
            })
        };
        found[index] = node.inputs.iter().map(&mut write).collect();
    }
    found
}
