//! Prediction on the numbers that a prefix keeps its values in.

use super::{Instance, Node, OpKind, Program, ValueId};
use crate::{Extents, Shape};
use frostline_kernels::{Bf16, Quantization, Window, decode, encode};
use smallvec::SmallVec;

/// An op bound to shapes and weights, that predicts single images.
pub trait Infer<E>: Send + Sync {
    /// The number of f32 that [`Infer::infer`] wants as scratch.
    fn scratch(&self) -> usize;

    /// Prediction for one image, on the calling thread alone. `params` are the weights it was bound with.
    fn infer(&self, inputs: &[&[E]], params: &[&[f32]], output: &mut [E], scratch: &mut [f32]);

    /// See [`Instance::window`].
    fn window(&self) -> Option<Window> {
        None
    }

    /// See [`Instance::infer_rows`].
    fn infer_rows(
        &self,
        _window: &Window,
        inputs: &[&[E]],
        params: &[&[f32]],
        output: &mut [E],
        scratch: &mut [f32],
    ) {
        self.infer(inputs, params, output, scratch);
    }
}

/// The quantisations of an op's inputs and of its output.
pub struct Quantizations<'a> {
    /// One by one.
    pub inputs: Vec<&'a Quantization>,
    /// Of what it writes.
    pub output: &'a Quantization,
}

/// How a prefix keeps its values.
pub trait Storage: Send + Sync {
    /// One number of a value.
    type Element: Copy + Default + Send + Sync + 'static;

    /// Whether a reshaped value has the same numbers as before.
    const RESHAPES_IN_PLACE: bool = true;

    /// The op on these numbers: by its own kernels where it has some, else by those for f32 between conversions.
    fn bind(&self, program: &Program, node: &Node, weights: &[&[f32]]) -> Box<dyn Infer<Self::Element>>;

    /// A program's input of f32, in `buffer` if it must be converted, which is then as long as it is.
    fn given<'a>(
        &self,
        input: ValueId,
        values: &'a [f32],
        buffer: &'a mut [Self::Element],
    ) -> &'a [Self::Element];

    /// The length of that buffer.
    fn buffer_len(&self, values: usize) -> usize;

    /// A program's output back to f32.
    fn give(&self, output: ValueId, from: &[Self::Element], to: &mut [f32]);
}

/// As they are computed.
pub struct Floats;

impl Storage for Floats {
    type Element = f32;

    fn bind(&self, program: &Program, node: &Node, weights: &[&[f32]]) -> Box<dyn Infer<f32>> {
        Box::new(loaded(node.op.kind(), &program.input_shapes(node), &program.param_shapes(node), weights))
    }

    fn given<'a>(&self, _: ValueId, values: &'a [f32], _: &'a mut [f32]) -> &'a [f32] {
        values
    }

    fn buffer_len(&self, _: usize) -> usize {
        0
    }

    fn give(&self, _: ValueId, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

/// As bf16.
pub struct Halves;

impl Storage for Halves {
    type Element = Bf16;

    fn bind(&self, program: &Program, node: &Node, weights: &[&[f32]]) -> Box<dyn Infer<Bf16>> {
        let (op, inputs, params) = (node.op.kind(), program.input_shapes(node), program.param_shapes(node));
        op.bind_bf16(&inputs, &params, weights)
            .unwrap_or_else(|| Box::new(Converted::new(InBf16, program, node, weights)))
    }

    fn given<'a>(&self, _: ValueId, values: &'a [f32], buffer: &'a mut [Bf16]) -> &'a [Bf16] {
        encode(values, buffer);
        buffer
    }

    fn buffer_len(&self, values: usize) -> usize {
        values
    }

    fn give(&self, _: ValueId, from: &[Bf16], to: &mut [f32]) {
        decode(from, to);
    }
}

/// As bytes, each value with its own quantisation.
pub struct Bytes {
    /// By [`ValueId`].
    pub quantizations: Vec<Quantization>,
}

impl Storage for Bytes {
    type Element = u8;

    /// A byte's worth depends on its channel.
    const RESHAPES_IN_PLACE: bool = false;

    fn bind(&self, program: &Program, node: &Node, weights: &[&[f32]]) -> Box<dyn Infer<u8>> {
        let quantization = |value: &ValueId| &self.quantizations[value.0];
        let between = Quantizations {
            inputs: node.inputs.iter().map(quantization).collect(),
            output: quantization(&node.output),
        };
        let (op, inputs, params) = (node.op.kind(), program.input_shapes(node), program.param_shapes(node));
        op.bind_int8(&inputs, &params, weights, &between).unwrap_or_else(|| {
            let code = Quantized {
                inputs: between.inputs.iter().map(|&one| one.clone()).collect(),
                output: between.output.clone(),
            };
            Box::new(Converted::new(code, program, node, weights))
        })
    }

    fn given<'a>(&self, input: ValueId, values: &'a [f32], buffer: &'a mut [u8]) -> &'a [u8] {
        self.quantizations[input.0].quantize(values, buffer);
        buffer
    }

    fn buffer_len(&self, values: usize) -> usize {
        values
    }

    fn give(&self, output: ValueId, from: &[u8], to: &mut [f32]) {
        self.quantizations[output.0].dequantize(from, to);
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

    fn window(&self) -> Option<Window> {
        (**self).window()
    }

    fn infer_rows(
        &self,
        window: &Window,
        inputs: &[&[f32]],
        params: &[&[f32]],
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        (**self).infer_rows(window, inputs, params, output, scratch);
    }
}

/// The numbers of an op's inputs and of its output as f32.
trait Code<E>: Send + Sync {
    fn decode(&self, input: usize, from: &[E], to: &mut [f32]);
    fn encode(&self, from: &[f32], to: &mut [E]);
}

struct InBf16;

impl Code<Bf16> for InBf16 {
    fn decode(&self, _: usize, from: &[Bf16], to: &mut [f32]) {
        decode(from, to);
    }

    fn encode(&self, from: &[f32], to: &mut [Bf16]) {
        encode(from, to);
    }
}

struct Quantized {
    inputs: Vec<Quantization>,
    output: Quantization,
}

impl Code<u8> for Quantized {
    fn decode(&self, input: usize, from: &[u8], to: &mut [f32]) {
        self.inputs[input].dequantize(from, to);
    }

    fn encode(&self, from: &[f32], to: &mut [u8]) {
        self.output.quantize(from, to);
    }
}

/// An op that has kernels for f32 alone.
struct Converted<C> {
    code: C,
    instance: Box<dyn Instance>,
    /// The elements of each input.
    inputs: Vec<usize>,
    output: usize,
}

impl<C> Converted<C> {
    fn new(code: C, program: &Program, node: &Node, weights: &[&[f32]]) -> Self {
        let len = |shape: &Shape| shape.elements();
        let shapes = program.input_shapes(node);
        Self {
            code,
            instance: loaded(node.op.kind(), &shapes, &program.param_shapes(node), weights),
            inputs: shapes.iter().map(len).collect(),
            output: len(program.shape(node.output)),
        }
    }
}

impl<E, C: Code<E>> Infer<E> for Converted<C> {
    fn scratch(&self) -> usize {
        self.inputs.iter().sum::<usize>() + self.output + self.instance.infer_scratch()
    }

    fn infer(&self, inputs: &[&[E]], params: &[&[f32]], output: &mut [E], scratch: &mut [f32]) {
        let (result, mut scratch) = scratch.split_at_mut(self.output);
        let mut converted: SmallVec<[&[f32]; 8]> = SmallVec::new();
        for (index, (input, len)) in inputs.iter().zip(&self.inputs).enumerate() {
            let (values, rest) = scratch.split_at_mut(*len);
            self.code.decode(index, input, values);
            converted.push(values);
            scratch = rest;
        }
        self.instance.infer(&converted, params, result, scratch);
        self.code.encode(result, output);
    }
}
