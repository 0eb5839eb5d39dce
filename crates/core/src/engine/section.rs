//! A program bound for prediction, its values kept in one element type: takes an image through all ops, with no
//! barrier between them, in buffers that are kept.

use super::pool::Pool;
use super::{Constants, Memory};
use crate::ops::{Infer, Program, Storage};
use smallvec::SmallVec;
use std::sync::Arc;

/// A bound program. What is given to it and taken from it is f32.
pub(super) trait Section: Send + Sync {
    /// Takes one image through all ops. `inputs` are the program's inputs one after the other, `outputs` its outputs.
    fn run(&self, inputs: &[f32], outputs: &mut [f32]);

    /// The bytes that one thread works in.
    fn arena_bytes(&self) -> usize;
}

/// Binds a program.
pub(super) fn section<E: Storage>(program: Program, constants: &Arc<Constants>) -> Box<dyn Section> {
    let constants = constants.clone();
    let memory = Memory::plan(&program);
    let bind = |node: usize| {
        let node = &program.nodes[node];
        let weights: SmallVec<[&[f32]; 4]> =
            node.params.iter().map(|param| constants[param.0].data.as_slice()).collect();
        E::bind(node.op.kind(), &program.input_shapes(node), &program.param_shapes(node), &weights)
    };
    let bound: Vec<_> = (0..program.nodes.len()).map(bind).collect();
    let scratch = bound.iter().map(|op| op.scratch()).max().unwrap_or(0);
    Box::new(Bound::<E> { program, constants, bound, memory, scratch, arenas: Pool::default() })
}

struct Bound<E> {
    program: Program,
    constants: Arc<Constants>,
    bound: Vec<Box<dyn Infer<E>>>,
    memory: Memory,
    scratch: usize,
    arenas: Pool<Arena<E>>,
}

/// The buffers of one thread.
struct Arena<E> {
    /// The inputs, where they had to be converted.
    given: Vec<E>,
    slots: Vec<Vec<E>>,
    scratch: Vec<f32>,
}

impl<E: Storage> Bound<E> {
    fn given_len(&self) -> usize {
        E::buffer_len(self.program.inputs.iter().map(|value| len(self.program.shape(*value))).sum())
    }

    fn arena(&self) -> Arena<E> {
        Arena {
            given: vec![E::default(); self.given_len()],
            slots: self.memory.slots.iter().map(|len| vec![E::default(); *len]).collect(),
            scratch: vec![0.0; self.scratch],
        }
    }

    /// The inputs, one by one.
    fn split<'a, T>(&self, mut all: &'a [T]) -> SmallVec<[&'a [T]; 4]> {
        let mut each = SmallVec::new();
        for value in &self.program.inputs {
            let (one, others) = all.split_at(len(self.program.shape(*value)));
            each.push(one);
            all = others;
        }
        each
    }

    fn run_in(&self, arena: &mut Arena<E>, inputs: &[f32], outputs: &mut [f32]) {
        let program = &self.program;
        let given = self.split(E::given(inputs, &mut arena.given));
        for (index, (node, op)) in program.nodes.iter().zip(&self.bound).enumerate() {
            if self.memory.is_view[index] {
                continue;
            }
            let Some(slot) = self.memory.slot_of[node.output.0] else { continue };
            let mut output = std::mem::take(&mut arena.slots[slot]);
            let read: SmallVec<[&[E]; 8]> = node
                .inputs
                .iter()
                .map(|value| match self.memory.slot_of[value.0] {
                    Some(slot) => &arena.slots[slot][..len(program.shape(*value))],
                    None => given[value.0],
                })
                .collect();
            let params: SmallVec<[&[f32]; 4]> =
                node.params.iter().map(|param| self.constants[param.0].data.as_slice()).collect();
            let output_len = len(program.shape(node.output));
            op.infer(&read, &params, &mut output[..output_len], &mut arena.scratch);
            drop(read);
            arena.slots[slot] = output;
        }
        let mut rest = outputs;
        for value in &program.outputs {
            let (one, others) = rest.split_at_mut(len(program.shape(*value)));
            match self.memory.slot_of[value.0] {
                Some(slot) => E::give(&arena.slots[slot][..one.len()], one),
                // as it was given, and not as it was converted
                None => one.copy_from_slice(self.split(inputs)[value.0]),
            }
            rest = others;
        }
    }
}

impl<E: Storage> Section for Bound<E> {
    fn run(&self, inputs: &[f32], outputs: &mut [f32]) {
        self.arenas.with(|| self.arena(), |arena| self.run_in(arena, inputs, outputs));
    }

    fn arena_bytes(&self) -> usize {
        size_of::<E>() * (self.memory.len() + self.given_len()) + 4 * self.scratch
    }
}

pub(super) fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}
