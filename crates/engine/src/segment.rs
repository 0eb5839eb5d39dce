//! What a schedule is made of: steps, and segments of them.

use frostline_graph::ops::{Instance, Mode, Op, ParamId, Program, ValueId};

/// What is done with some images; the numbers are those of ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Forward(usize),
    /// Sums over the batch for a forward pass.
    Observe(usize),
    Backward(usize),
    /// Sums over the batch for a backward pass.
    ObserveBackward(usize),
}

/// A row of steps that each micro_batch runs with no barrier.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) steps: Vec<Step>,
    /// Images are cut into so many bands of rows, where every step goes pixel by pixel.
    pub(super) bands: usize,
    /// Bands at a time.
    pub(super) chunk: usize,
    /// The ops that begin here.
    pub(super) nodes: Vec<usize>,
    /// The weights whose gradients each micro_batch sums by itself, the largest first.
    pub(super) weights: Vec<ParamId>,
    /// Whether the micro_batches run one after the other and add to the gradients themselves: the weights are too large for
    /// sums of each micro_batch's own.
    pub(super) serial: bool,
    /// The buffers of passing values.
    pub(super) values: Vec<Option<usize>>,
    /// The buffers of passing gradients.
    pub(super) grads: Vec<Option<usize>>,
}

/// What is known of a program before it is scheduled.
pub(super) struct Given<'a> {
    pub(super) program: &'a Program,
    pub(super) instances: &'a [Box<dyn Instance>],
    pub(super) modes: &'a [Mode],
    /// Which weights are trained.
    pub(super) trainable: &'a [bool],
    /// Which ops' backward passes are run.
    pub(super) active: &'a [bool],
    /// Which values' gradients are wanted.
    pub(super) needs_grad: &'a [bool],
    /// Values that are handed out, and whose gradients may be handed in.
    pub(super) public: &'a [ValueId],
    /// Images of a micro_batch, at most.
    pub(super) images: usize,
    /// [`STREAMED_BYTES`], but in tests.
    pub(super) streamed_bytes: usize,
}

/// What a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touched {
    Value(ValueId),
    Grad(ValueId),
}

impl Touched {
    pub(super) fn value(self) -> ValueId {
        match self {
            Self::Value(value) | Self::Grad(value) => value,
        }
    }

    pub(super) fn slot(self, segment: &mut Segment) -> &mut Option<usize> {
        match self {
            Self::Value(value) => &mut segment.values[value.0],
            Self::Grad(value) => &mut segment.grads[value.0],
        }
    }
}

impl Given<'_> {
    pub(super) fn len(&self, value: ValueId) -> usize {
        self.program.shape(value).iter().product()
    }

    /// The op that makes a value.
    pub(super) fn maker(&self, value: ValueId) -> Option<usize> {
        self.program.nodes.iter().position(|node| node.output == value)
    }

    pub(super) fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> {
        let nodes = self.program.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.inputs.contains(&value)).map(|(index, _)| index)
    }

    pub(super) fn trains(&self, node: usize) -> bool {
        self.program.nodes[node].params.iter().any(|param| self.trainable[param.0])
    }

    /// Whether an op's backward pass begins with sums over the batch.
    pub(super) fn sums_backward(&self, node: usize) -> bool {
        self.active[node] && self.instances[node].sums_backward(self.modes[node], self.trains(node))
    }

    /// Whether an op's forward pass in training begins with sums over the batch.
    pub(super) fn sums_forward(&self, node: usize) -> bool {
        self.instances[node].sums_len() > 0 && self.modes[node] == Mode::Training
    }

    /// Whether an op only passes over its inputs once, so that making its value again costs less than keeping it.
    pub(super) fn is_cheap(&self, node: usize) -> bool {
        use Op::*;
        matches!(
            self.program.nodes[node].op,
            Affine(_)
                | BatchNorm(_)
                | Binary(_)
                | Crop(_)
                | Dropout(_)
                | Normalize(_)
                | Pad(_)
                | Reshape(_)
                | Unary(_)
        )
    }
}
