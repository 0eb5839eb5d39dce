//! A program bound for prediction, its values kept in one kind of numbers: takes an image through all ops, with no
//! barrier between them, in buffers that are kept.

use super::pool::Pool;
use super::{Constants, Memory};
use crate::ops::{Infer, Program, Storage, ValueId};
use smallvec::SmallVec;
use std::sync::Arc;

/// A bound program. What is given to it and taken from it is f32.
pub(super) trait Section: Send + Sync {
    /// Takes one image through all ops. `inputs` are the program's inputs one after the other, `outputs` its outputs.
    fn run(&self, inputs: &[f32], outputs: &mut [f32]);

    /// The bytes that one thread works in.
    fn arena_bytes(&self) -> usize;
}

/// A program bound for one kind of numbers.
pub(super) struct Bound<S: Storage> {
    program: Program,
    constants: Arc<Constants>,
    storage: S,
    bound: Vec<Box<dyn Infer<S::Element>>>,
    memory: Memory,
    scratch: usize,
    arenas: Pool<Arena<S::Element>>,
}

/// The buffers of one thread.
struct Arena<E> {
    /// The inputs, where they had to be converted.
    given: Vec<Vec<E>>,
    slots: Vec<Vec<E>>,
    scratch: Vec<f32>,
}

impl<S: Storage> Bound<S> {
    pub(super) fn new(storage: S, program: Program, constants: &Arc<Constants>) -> Self {
        let constants = constants.clone();
        let memory = Memory::plan(&program, S::RESHAPES_IN_PLACE);
        let bind = |node: usize| {
            let node = &program.nodes[node];
            let weights: SmallVec<[&[f32]; 4]> =
                node.params.iter().map(|param| constants[param.0].data.as_slice()).collect();
            storage.bind(&program, node, &weights)
        };
        let bound: Vec<_> = (0..program.nodes.len()).map(bind).collect();
        let scratch = bound.iter().map(|op| op.scratch()).max().unwrap_or(0);
        Self { program, constants, storage, bound, memory, scratch, arenas: Pool::default() }
    }

    /// The lengths of the inputs.
    fn input_lens(&self) -> impl Iterator<Item = usize> {
        self.program.inputs.iter().map(|value| len(self.program.shape(*value)))
    }

    fn arena(&self) -> Arena<S::Element> {
        let zeros = |len: usize| vec![S::Element::default(); len];
        Arena {
            given: self.input_lens().map(|len| zeros(self.storage.buffer_len(len))).collect(),
            slots: self.memory.slots.iter().map(|len| zeros(*len)).collect(),
            scratch: vec![0.0; self.scratch],
        }
    }

    /// The inputs, one by one.
    fn split<'a>(&self, mut all: &'a [f32]) -> SmallVec<[&'a [f32]; 4]> {
        let mut each = SmallVec::new();
        for len in self.input_lens() {
            let (one, others) = all.split_at(len);
            each.push(one);
            all = others;
        }
        each
    }

    /// As [`Section::run`]; `seen` is shown every value that an op has made.
    pub(super) fn run_watched(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        mut seen: impl FnMut(ValueId, &[S::Element]),
    ) {
        self.arenas.with(|| self.arena(), |arena| self.run_in(arena, inputs, outputs, &mut seen));
    }

    fn run_in(
        &self,
        arena: &mut Arena<S::Element>,
        inputs: &[f32],
        outputs: &mut [f32],
        seen: &mut impl FnMut(ValueId, &[S::Element]),
    ) {
        let program = &self.program;
        let inputs = self.split(inputs);
        let given: SmallVec<[&[S::Element]; 4]> = program
            .inputs
            .iter()
            .zip(&inputs)
            .zip(&mut arena.given)
            .map(|((value, values), buffer)| self.storage.given(*value, values, buffer))
            .collect();
        let of_input = |value: ValueId| program.inputs.iter().position(|input| *input == value);
        for (index, (node, op)) in program.nodes.iter().zip(&self.bound).enumerate() {
            let Some(slot) = self.memory.slot_of[node.output.0] else { continue };
            let output_len = len(program.shape(node.output));
            if self.memory.is_view[index] {
                seen(node.output, &arena.slots[slot][..output_len]);
                continue;
            }
            let mut output = std::mem::take(&mut arena.slots[slot]);
            let read: SmallVec<[&[S::Element]; 8]> = node
                .inputs
                .iter()
                .map(|value| match self.memory.slot_of[value.0] {
                    Some(slot) => &arena.slots[slot][..len(program.shape(*value))],
                    None => of_input(*value).map_or(&[][..], |input| given[input]),
                })
                .collect();
            let params: SmallVec<[&[f32]; 4]> =
                node.params.iter().map(|param| self.constants[param.0].data.as_slice()).collect();
            op.infer(&read, &params, &mut output[..output_len], &mut arena.scratch);
            seen(node.output, &output[..output_len]);
            drop(read);
            arena.slots[slot] = output;
        }
        let mut rest = outputs;
        for value in &program.outputs {
            let (one, others) = rest.split_at_mut(len(program.shape(*value)));
            match (self.memory.slot_of[value.0], of_input(*value)) {
                (Some(slot), _) => self.storage.give(*value, &arena.slots[slot][..one.len()], one),
                // as it was given, and not as it was converted
                (None, Some(input)) => one.copy_from_slice(inputs[input]),
                (None, None) => {}
            }
            rest = others;
        }
    }
}

impl<S: Storage> Section for Bound<S> {
    fn run(&self, inputs: &[f32], outputs: &mut [f32]) {
        self.run_watched(inputs, outputs, |_, _| {});
    }

    fn arena_bytes(&self) -> usize {
        let given: usize = self.input_lens().map(|len| self.storage.buffer_len(len)).sum();
        size_of::<S::Element>() * (self.memory.len() + given) + 4 * self.scratch
    }
}

pub(super) fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}
