//! Prediction in the element type that a prefix keeps its values in.

use super::{Instance, OpKind};
use crate::Shape;
use frostline_kernels::{Bf16, decode, encode};
use smallvec::SmallVec;

/// An op bound to shapes and weights, that predicts single images.
pub trait Infer<E>: Send + Sync {
    /// The number of f32 that [`Infer::infer`] wants as scratch.
    fn scratch(&self) -> usize;

    /// Prediction for one image, on the calling thread alone. `params` are the weights it was bound with.
    fn infer(&self, inputs: &[&[E]], params: &[&[f32]], output: &mut [E], scratch: &mut [f32]);
}

/// An element type that a prefix can keep its values in.
pub trait Storage: Copy + Default + Send + Sync + 'static {
    /// The op in this type: by its own kernels where it has some, else by those for f32 between conversions.
    fn bind(op: &dyn OpKind, inputs: &[Shape], params: &[Shape], weights: &[&[f32]]) -> Box<dyn Infer<Self>>;

    /// Values of f32 that are given, in `buffer` if they must be converted, which is then as long as they are.
    fn given<'a>(values: &'a [f32], buffer: &'a mut [Self]) -> &'a [Self];

    /// The length of that buffer.
    fn buffer_len(values: usize) -> usize;

    /// Back to f32.
    fn give(from: &[Self], to: &mut [f32]);
}

impl Storage for f32 {
    fn bind(op: &dyn OpKind, inputs: &[Shape], params: &[Shape], weights: &[&[f32]]) -> Box<dyn Infer<f32>> {
        Box::new(loaded(op, inputs, params, weights))
    }

    fn given<'a>(values: &'a [f32], _: &'a mut [f32]) -> &'a [f32] {
        values
    }

    fn buffer_len(_: usize) -> usize {
        0
    }

    fn give(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Storage for Bf16 {
    fn bind(op: &dyn OpKind, inputs: &[Shape], params: &[Shape], weights: &[&[f32]]) -> Box<dyn Infer<Bf16>> {
        op.bind_bf16(inputs, params, weights).unwrap_or_else(|| {
            let len = |shape: &Shape| shape.iter().product::<usize>();
            let output =
                op.output_shape(inputs, params).expect("the shape was checked when the op was pushed");
            Box::new(Converted {
                instance: loaded(op, inputs, params, weights),
                inputs: inputs.iter().map(len).collect(),
                output: len(&output),
            })
        })
    }

    fn given<'a>(values: &'a [f32], buffer: &'a mut [Bf16]) -> &'a [Bf16] {
        encode(values, buffer);
        buffer
    }

    fn buffer_len(values: usize) -> usize {
        values
    }

    fn give(from: &[Bf16], to: &mut [f32]) {
        decode(from, to);
    }
}

fn loaded(op: &dyn OpKind, inputs: &[Shape], params: &[Shape], weights: &[&[f32]]) -> Box<dyn Instance> {
    let mut instance = op.bind(inputs, params, 0);
    instance.load(weights);
    instance
}

impl Infer<f32> for Box<dyn Instance> {
    fn scratch(&self) -> usize {
        self.infer_scratch()
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        (**self).infer(inputs, params, output, scratch);
    }
}

/// An op that has kernels for f32 alone.
struct Converted {
    instance: Box<dyn Instance>,
    /// The elements of each input.
    inputs: Vec<usize>,
    output: usize,
}

impl Infer<Bf16> for Converted {
    fn scratch(&self) -> usize {
        self.inputs.iter().sum::<usize>() + self.output + self.instance.infer_scratch()
    }

    fn infer(&self, inputs: &[&[Bf16]], params: &[&[f32]], output: &mut [Bf16], scratch: &mut [f32]) {
        let (result, mut scratch) = scratch.split_at_mut(self.output);
        let mut converted: SmallVec<[&[f32]; 8]> = SmallVec::new();
        for (input, len) in inputs.iter().zip(&self.inputs) {
            let (values, rest) = scratch.split_at_mut(*len);
            decode(input, values);
            converted.push(values);
            scratch = rest;
        }
        self.instance.infer(&converted, params, result, scratch);
        encode(result, output);
    }
}
