//! The tensor operations that layers lower to. An op's struct holds its attributes; [`OpKind::bind`] makes an
//! [`Instance`] for given shapes that owns all memory it needs, so that running it allocates nothing.
//!
//! To add an op: one file here with the struct, its shape, cost and instance, and a line in `list.rs`.

mod affine;
mod batch_norm;
mod binary;
mod by_weight;
#[cfg(test)]
mod check;
mod concat;
mod constant;
mod conv2d;
mod conv3d;
mod conv_transpose;
mod dense;
mod depthwise;
mod dropout;
mod elementwise;
mod embed;
mod group_norm;
mod images;
mod infer;
mod list;
mod masks;
mod normalize;
mod pad;
mod permute;
mod pool;
mod product;
mod program;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;
mod softmax;
mod take;
mod unary;
mod unit_norm;
mod window;

pub use affine::Affine;
pub use batch_norm::BatchNorm;
pub use binary::broadcast;
pub use binary::{Binary, BinaryKind};
pub use by_weight::{ByWeight, ByWeightKind};
pub use concat::Concat;
pub use constant::Constant;
pub use conv_transpose::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use conv3d::Conv3d;
pub use dense::Dense;
pub use depthwise::Depthwise;
pub use dropout::{Dropout, Dropped};
pub use elementwise::{Elementwise, Function};
pub use embed::Embed;
pub use group_norm::GroupNorm;
pub use infer::{Bytes, Floats, Halves, Infer, Quantizations, Storage};
pub use list::Op;
pub use masks::{Masks, Standing};
pub use normalize::Normalize;
pub use pad::{Crop, Pad};
pub use permute::Permute;
pub use pool::{GlobalPool, Pool, PoolKind};
pub use product::Product;
pub use recurrent::{Cell, Recurrent, Squash};
pub use reduce::{Reduce, ReduceKind};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeMethod};
pub use select::Select;
pub use softmax::Softmax;
pub use take::Take;
pub use unary::Unary;
pub use unit_norm::UnitNorm;
pub use window::{Padding, Sliding};

pub use frostline_kernels::Activation;

pub use program::{LayerInfo, Lowering, Node, Param, ParamId, Program, Role, ValueId};

use crate::Shape;
use frostline_kernels::{Accumulate, Bf16, Buffer, Quantization, Window};
use images::{each_image, image};
use smallvec::SmallVec;
use std::fmt::Debug;

/// Whether an op runs as in training (batch statistics, dropout) or as in prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics are used and collected, dropout drops.
    Training,
    /// Moving statistics are used, dropout is the identity.
    Inference,
}

/// A batch is cut into so many micro-batches, whatever the number of threads: sums over the batch are added micro-batch by micro-batch.
pub const MICRO_BATCHES: usize = 8;

/// Multiply-adds and bytes moved for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiply-adds.
    pub multiply_adds: u64,
    /// Bytes read and written, weights not counted.
    pub bytes: u64,
}

/// What an op's forward pass is given: some consecutive images of a batch. All value slices are `[batch, …shape]`.
pub struct Forward<'a> {
    /// The number of images.
    pub batch: usize,
    /// The place of the first of them in the whole batch.
    pub first: usize,
    /// The input values.
    pub inputs: &'a [&'a [f32]],
    /// The weights.
    pub params: &'a [&'a [f32]],
    /// The output value, to be overwritten.
    pub output: &'a mut [f32],
    /// As in training or as in prediction.
    pub mode: Mode,
    /// A number that differs for every step and node: the seed of what is random.
    pub seed: u64,
    /// Memory of any content.
    pub scratch: &'a mut Scratch,
}

/// What an op's backward pass is given; values, mode and seed are those of the forward pass before it.
pub struct Backward<'a, 'g> {
    /// The number of images.
    pub batch: usize,
    /// The place of the first of them in the whole batch.
    pub first: usize,
    /// The input values; empty where the op [`Reads`] none.
    pub inputs: &'a [&'a [f32]],
    /// The weights.
    pub params: &'a [&'a [f32]],
    /// The output value; empty where the op does not read it.
    pub output: &'a [f32],
    /// The loss's gradient by the output.
    pub output_grad: &'a [f32],
    /// The gradients by the inputs; `None` where nobody needs one.
    pub input_grads: &'a mut [Option<Gradient<'g>>],
    /// Where the gradients by the weights are added (`+=`); `None` where nobody needs one.
    pub param_grads: &'a mut [Option<&'g mut [f32]>],
    /// As in training or as in prediction.
    pub mode: Mode,
    /// That of the forward pass.
    pub seed: u64,
    /// Memory of any content.
    pub scratch: &'a mut Scratch,
}

/// A gradient by an input, which several ops may write one after the other.
pub struct Gradient<'g> {
    values: &'g mut [f32],
    accumulate: Accumulate,
}

impl<'g> Gradient<'g> {
    /// The first op to write overwrites what is there; the others add.
    pub fn new(values: &'g mut [f32], accumulate: Accumulate) -> Self {
        Self { values, accumulate }
    }

    /// For a kernel that can do both.
    pub fn parts(&mut self) -> (&mut [f32], Accumulate) {
        (self.values, self.accumulate)
    }

    /// For a kernel that only adds.
    pub fn to_add(&mut self) -> &mut [f32] {
        if std::mem::replace(&mut self.accumulate, Accumulate::Add) == Accumulate::Overwrite {
            self.values.fill(0.0);
        }
        self.values
    }
}

/// Memory of one thread's work, at least as long as the op's [`Needs`].
#[derive(Debug, Default)]
pub struct Scratch {
    /// Numbers.
    pub floats: Buffer,
    /// Indices.
    pub indices: Vec<u32>,
}

impl Scratch {
    /// As much as is needed.
    pub fn new(needs: Needs) -> Self {
        Self { floats: Buffer::zeros(needs.floats), indices: vec![0; needs.indices] }
    }

    /// For tests: an op that relies on zeros, or on what another op left, is found out.
    #[cfg(test)]
    pub(crate) fn of_noise(needs: Needs) -> Self {
        let mut scratch = Self::new(needs);
        scratch.floats.fill(f32::NAN);
        scratch.indices.fill(u32::MAX);
        scratch
    }
}

/// How long an op's scratch memory is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Numbers.
    pub floats: usize,
    /// Indices.
    pub indices: usize,
}

/// Which values of the forward pass an op's backward pass looks at: the others need not be kept.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
    /// One of the two is enough, whichever is at hand: the other is empty then.
    pub either: bool,
}

impl Reads {
    /// The output's gradient alone is enough.
    pub const NOTHING: Self = Self { inputs: false, output: false, either: false };
    /// The inputs alone.
    pub const INPUTS: Self = Self { inputs: true, ..Self::NOTHING };
    /// The output alone.
    pub const OUTPUT: Self = Self { output: true, ..Self::NOTHING };

    /// What is enough, when the value that is kept is known.
    pub fn enough(self, keeps_output: bool) -> Self {
        match self.either {
            true => Self { inputs: !keeps_output, output: keeps_output, either: false },
            false => self,
        }
    }
}

/// What an op that needs sums over the whole batch is given of some of its images.
pub struct Observed<'a> {
    /// The number of images.
    pub batch: usize,
    /// The input value.
    pub input: &'a [f32],
    /// The loss's gradient by the output, in the backward pass; else empty.
    pub output_grad: &'a [f32],
    /// The weights.
    pub params: &'a [&'a [f32]],
    /// Where the input, or in the backward pass `output_grad`, is to be copied, past the caches: what is that large is
    /// in none of them when it is read again.
    pub stored: Option<&'a mut [f32]>,
}

/// The attributes of an op and what follows from them alone.
pub trait OpKind: Debug {
    /// A short name for messages and tables.
    fn name(&self) -> &'static str;

    /// The output's shape (no batch), or what does not fit, in words.
    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String>;

    /// The work for one image.
    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost;

    /// An instance for images of these shapes, in batches where `batch` is not 0. The shapes have passed
    /// [`OpKind::output_shape`].
    fn bind(&self, inputs: &[Shape], params: &[Shape], batch: usize) -> Box<dyn Instance>;

    /// For prediction on images in bf16, with weights that do not change; none where the op has no kernels for it.
    fn bind_bf16(&self, _: &[Shape], _: &[Shape], _weights: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
        None
    }

    /// For prediction on images in bytes, likewise.
    fn bind_int8(
        &self,
        _: &[Shape],
        _: &[Shape],
        _weights: &[&[f32]],
        _between: &Quantizations<'_>,
    ) -> Option<Box<dyn Infer<u8>>> {
        None
    }

    /// Whether bytes are too coarse for what it gives, and for all that is computed from it: small differences of its inputs
    /// make large ones.
    fn needs_floats(&self) -> bool {
        false
    }

    /// The quantisation of the output, where its bytes are bytes of the inputs.
    fn keeps_bytes(&self, _: &[Shape], _inputs: &[&Quantization]) -> Option<Quantization> {
        None
    }
}

/// An op bound to shapes, with its packed weights and whatever it keeps from forward to backward.
pub trait Instance: Send + Sync {
    /// Takes in new weights (packs them). Called before the first run and after every change of a weight.
    fn load(&mut self, _params: &[&[f32]]) {}

    /// The number of f32 that [`Instance::infer`] wants as scratch.
    fn infer_scratch(&self) -> usize {
        0
    }

    /// Prediction for one image (no batch dimension), on the calling thread alone. `params` as in `load`.
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]);

    /// The window over the first input, where rows of the output can be made one by one; other inputs have the output's
    /// shape.
    fn window(&self) -> Option<Window> {
        None
    }

    /// As [`Instance::infer`] for some rows of the output, where the op has a window: `window` is that one with the rows
    /// of the input that are at hand, and the rows of padding above and below them.
    fn infer_rows(
        &self,
        _window: &Window,
        inputs: &[&[f32]],
        params: &[&[f32]],
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        self.infer(inputs, params, output, scratch);
    }

    /// Scratch memory of the passes below.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What the backward pass reads; `trains`: gradients of weights are wanted.
    fn reads(&self, _trains: bool) -> Reads {
        Reads::INPUTS
    }

    /// Whether each pixel of the output depends on the same pixel of the inputs alone: then parts of images may be
    /// handed to the passes as if they were images.
    fn is_pixelwise(&self) -> bool {
        false
    }

    /// Forward pass of some images, on the calling thread: prediction of one image after the other, but where training
    /// differs from it or a whole batch is faster.
    fn forward(&self, args: Forward<'_>) {
        let mut inputs: SmallVec<[&[f32]; 8]> = SmallVec::new();
        each_image(args.batch, args.output, |index, output| {
            inputs.clear();
            inputs.extend(args.inputs.iter().map(|input| image(input, args.batch, index)));
            self.infer(&inputs, args.params, output, &mut args.scratch.floats);
        });
    }

    /// Backward pass of some images, on the calling thread. Runs after `forward` on the same values.
    fn backward(&self, args: Backward<'_, '_>);

    /// The number of sums over the whole batch that an op's passes begin with: none for all but normalisation.
    fn sums_len(&self) -> usize {
        0
    }

    /// Whether the backward pass begins with sums over the whole batch; `trains` as above.
    fn sums_backward(&self, _mode: Mode, _trains: bool) -> bool {
        false
    }

    /// Adds the sums of some images, as soon as their input is there: before a forward pass in training mode.
    fn observe(&self, _seen: Observed<'_>, _sums: &mut [f64]) {}

    /// The sums are complete (in training mode), over `batch` images: the forward pass begins.
    fn begin_forward(&mut self, _sums: &[f64], _batch: usize, _params: &[&[f32]], _mode: Mode) {}

    /// As [`Instance::observe`], before the backward pass.
    fn observe_backward(&self, _seen: Observed<'_>, _sums: &mut [f64]) {}

    /// The backward pass begins. Where it began with sums, the gradients of the weights are added here.
    fn begin_backward(
        &mut self,
        _sums: &[f64],
        _batch: usize,
        _params: &[&[f32]],
        _param_grads: &mut [Option<&mut [f32]>],
        _mode: Mode,
    ) {
    }

    /// After a forward pass in training mode: brings the non-trainable weight `params[index]` (a moving
    /// statistic) up to date in place.
    fn update_state(&self, _index: usize, _value: &mut [f32]) {}
}

/// The only input of an op that takes one.
fn one_of(inputs: &[Shape]) -> Result<&Shape, String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("expected one input, received {}", inputs.len())),
    }
}
