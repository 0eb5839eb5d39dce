//! The tensor operations that layers lower to. An op's struct holds its attributes; [`OpKind::bind`] makes an
//! [`Instance`] for given shapes that owns all memory it needs, so that running it allocates nothing.
//!
//! To add an op: one file here with the struct, its shape, cost and instance, and a line in `list.rs`.

mod affine;
mod batch_norm;
mod binary;
#[cfg(test)]
mod check;
mod concat;
mod conv2d;
mod dense;
mod depthwise;
mod dropout;
mod infer;
mod list;
mod normalize;
mod pad;
mod parallel;
mod pool;
mod program;
mod reshape;
mod resize;
mod softmax;
mod unary;
mod window;

pub use affine::Affine;
pub use batch_norm::BatchNorm;
pub(crate) use binary::broadcast;
pub use binary::{Binary, BinaryKind};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depthwise::Depthwise;
pub use dropout::Dropout;
pub use infer::{Infer, Storage};
pub use list::Op;
pub use normalize::Normalize;
pub use pad::{Crop, Pad};
pub use pool::{GlobalPool, Pool, PoolKind};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeMethod};
pub use softmax::Softmax;
pub use unary::Unary;
pub use window::Padding;
pub(crate) use window::window;

pub use program::{LayerInfo, Lowering, Node, Param, ParamId, Program, Role, ValueId};

use crate::Shape;
use frostline_kernels::Bf16;
use std::fmt::Debug;

/// Whether an op runs as in training (batch statistics, dropout) or as in prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics are used and collected, dropout drops.
    Training,
    /// Moving statistics are used, dropout is the identity.
    Inference,
}

/// Multiply-adds and bytes moved for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiply-adds.
    pub multiply_adds: u64,
    /// Bytes read and written, weights not counted.
    pub bytes: u64,
}

/// What an op's forward pass is given. All value slices are `[batch, …shape]`.
pub struct Forward<'a> {
    /// The number of images; at most the batch the instance was bound for.
    pub batch: usize,
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
}

/// What an op's backward pass is given; values and mode are those of the forward pass before it.
pub struct Backward<'a, 'g> {
    /// The number of images.
    pub batch: usize,
    /// The input values.
    pub inputs: &'a [&'a [f32]],
    /// The weights.
    pub params: &'a [&'a [f32]],
    /// The output value.
    pub output: &'a [f32],
    /// The loss's gradient by the output.
    pub output_grad: &'a [f32],
    /// Where the gradients by the inputs are added (`+=`); `None` where nobody needs one.
    pub input_grads: &'a mut [Option<&'g mut [f32]>],
    /// Where the gradients by the weights are added (`+=`); `None` where nobody needs one.
    pub param_grads: &'a mut [Option<&'g mut [f32]>],
    /// As in training or as in prediction.
    pub mode: Mode,
}

/// The attributes of an op and what follows from them alone.
pub trait OpKind: Debug {
    /// A short name for messages and tables.
    fn name(&self) -> &'static str;

    /// The output's shape (no batch), or what does not fit, in words.
    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String>;

    /// The work for one image.
    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost;

    /// An instance for up to `batch` images of these shapes. The shapes have passed [`OpKind::output_shape`].
    fn bind(&self, inputs: &[Shape], params: &[Shape], batch: usize) -> Box<dyn Instance>;

    /// For prediction on images in bf16, with weights that do not change; none where the op has no kernels for it.
    fn bind_bf16(&self, _: &[Shape], _: &[Shape], _weights: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
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

    /// A batch, on all threads. Reductions across images are cut and added in an order that does not depend on
    /// the number of threads.
    fn forward(&mut self, args: Forward<'_>);

    /// Adds the gradients. Runs after `forward` on the same values.
    fn backward(&mut self, args: Backward<'_, '_>);

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
