//! The steps of a segment: which op runs when, and what has to be made again before a backward pass.

use super::segment::{Given, Segment, Step, Touched};
use frostline_graph::Extents;
use frostline_graph::ops::{ParamId, Reads, ValueId};

/// Elements of weights from which on a micro_batch has no sums of its own, and which a segment has at most, if it has more
/// than one op.
const LARGE_WEIGHTS: usize = 4 << 20;
const SEGMENT_WEIGHTS: usize = 1 << 20;

impl Step {
    pub(super) fn backward(&self) -> Option<usize> {
        match self {
            Self::Backward(node) => Some(*node),
            _ => None,
        }
    }

    /// The op, and whether it is its forward (0) or its backward pass (1) that the step is a part of.
    pub(super) fn account(&self) -> (usize, usize) {
        match self {
            Self::Forward(node) | Self::Observe(node) => (*node, 0),
            Self::Backward(node) | Self::ObserveBackward(node) => (*node, 1),
        }
    }

    /// All values and gradients that the step reads or writes.
    pub(super) fn touches(&self, given: &Given<'_>, kept: &[bool]) -> Vec<Touched> {
        let node = |index: &usize| &given.program.nodes[*index];
        match self {
            Self::Forward(index) => {
                let node = node(index);
                node.inputs.iter().chain([&node.output]).map(|value| Touched::Value(*value)).collect()
            }
            Self::Observe(index) => vec![Touched::Value(node(index).inputs[0])],
            Self::ObserveBackward(index) => {
                vec![Touched::Value(node(index).inputs[0]), Touched::Grad(node(index).output)]
            }
            Self::Backward(index) => {
                let mut touched: Vec<Touched> = needed(given, *index, kept).map(Touched::Value).collect();
                let node = node(index);
                touched.extend(node.inputs.iter().chain([&node.output]).map(|value| Touched::Grad(*value)));
                touched
            }
        }
    }
}

/// What an op's backward pass reads.
pub(super) fn reads_of(given: &Given<'_>, index: usize, kept: &[bool]) -> Reads {
    let reads = given.instances[index].reads(given.trains(index));
    reads.enough(kept[given.program.nodes[index].output.0])
}

/// The values that an op's backward pass reads.
fn needed<'a>(given: &'a Given<'_>, index: usize, kept: &[bool]) -> impl Iterator<Item = ValueId> + use<'a> {
    let node = &given.program.nodes[index];
    let reads = reads_of(given, index, kept);
    let inputs = node.inputs.iter().filter(move |_| reads.inputs);
    inputs.chain(Some(&node.output).filter(|_| reads.output)).copied()
}

/// The forward pass: an op that needs sums over the batch begins a segment; they are added up where its input is made.
pub(super) fn forward_segments(given: &Given<'_>) -> Vec<Segment> {
    let nodes = &given.program.nodes;
    let observers =
        |value: ValueId| given.readers(value).filter(|reader| given.sums_forward(*reader)).map(Step::Observe);
    let mut segments = vec![Segment::default()];
    segments[0].steps = given.program.inputs.iter().flat_map(|value| observers(*value)).collect();
    for (index, node) in nodes.iter().enumerate() {
        if given.sums_forward(index) {
            segments.push(Segment::default());
        }
        let Some(segment) = segments.last_mut() else { break };
        segment.nodes.push(index);
        segment.steps.push(Step::Forward(index));
        segment.steps.extend(observers(node.output));
    }
    segments
}

/// The backward pass: likewise, from the last op to the first.
pub(super) fn backward_segments(given: &Given<'_>, kept: &[bool]) -> Vec<Segment> {
    let nodes = &given.program.nodes;
    let mut segments = vec![Segment::default()];
    let mut is_made = kept.to_vec();
    // the gradient of a value that no running op reads is complete from the start
    let is_read = |value: ValueId| given.readers(value).any(|reader| given.active[reader]);
    for (index, node) in nodes.iter().enumerate() {
        if given.sums_backward(index) && !is_read(node.output) {
            observe(given, index, &mut is_made, &mut segments[0].steps);
        }
    }
    let mut weights = 0;
    for index in (0..nodes.len()).rev().filter(|index| given.active[*index]) {
        let node = &nodes[index];
        let own: Vec<ParamId> = match given.sums_backward(index) {
            true => Vec::new(), // with the sums come the gradients
            false => node.params.iter().copied().filter(|param| given.trainable[param.0]).collect(),
        };
        let len = |param: &ParamId| given.program.params[param.0].shape.elements();
        let own_len: usize = own.iter().map(len).sum();
        let is_large = own.iter().any(|param| len(param) > LARGE_WEIGHTS);
        let after_large = segments.last().is_some_and(|segment| segment.serial);
        let is_full = weights > 0 && weights + own_len > SEGMENT_WEIGHTS;
        if given.sums_backward(index) || is_large || after_large || is_full {
            segments.push(Segment { serial: is_large, ..Segment::default() });
            is_made.copy_from_slice(kept);
            weights = 0;
        }
        weights += own_len;
        let Some(segment) = segments.last_mut() else { break };
        for value in needed(given, index, kept) {
            make(given, value, &mut is_made, &mut segment.steps);
        }
        segment.nodes.push(index);
        segment.steps.push(Step::Backward(index));
        segment
            .weights
            .extend(own.iter().filter(|param| !segment.weights.contains(param)).copied().collect::<Vec<_>>());
        segment.weights.sort_by_key(|param| std::cmp::Reverse(len(param)));
        // gradients that are complete now
        for value in &node.inputs {
            let is_last = given.readers(*value).filter(|reader| given.active[*reader]).min() == Some(index);
            let maker = given.maker(*value).filter(|maker| is_last && given.sums_backward(*maker));
            if let Some(maker) = maker {
                observe(given, maker, &mut is_made, &mut segment.steps);
            }
        }
    }
    segments
}

fn observe(given: &Given<'_>, node: usize, is_made: &mut [bool], steps: &mut Vec<Step>) {
    make(given, given.program.nodes[node].inputs[0], is_made, steps);
    steps.push(Step::ObserveBackward(node));
}

/// Makes a passing value again, where it is not there yet.
fn make(given: &Given<'_>, value: ValueId, is_made: &mut [bool], steps: &mut Vec<Step>) {
    if std::mem::replace(&mut is_made[value.0], true) {
        return;
    }
    if let Some(maker) = given.maker(value) {
        given.program.nodes[maker].inputs.iter().for_each(|input| make(given, *input, is_made, steps));
        steps.push(Step::Forward(maker));
    }
}
