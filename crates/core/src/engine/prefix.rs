//! Runs a frozen prefix: every thread takes an image through all ops, with no barrier between them, in buffers
//! that the threads keep.

use crate::compile::{Constants, Memory};
use crate::ops::{Instance, Program};
use rayon::prelude::*;
use smallvec::SmallVec;
use std::sync::{Mutex, PoisonError};

/// A frozen prefix, bound and ready to run.
pub struct Prefix {
    program: Program,
    constants: Constants,
    instances: Vec<Box<dyn Instance>>,
    memory: Memory,
    scratch: usize,
    arenas: Mutex<Vec<Arena>>,
}

/// The buffers of one thread.
struct Arena {
    slots: Vec<Vec<f32>>,
    scratch: Vec<f32>,
}

impl Prefix {
    pub(crate) fn new(program: Program, constants: Constants) -> Self {
        let memory = Memory::plan(&program);
        let bind = |node: usize| {
            let node = &program.nodes[node];
            let mut instance =
                node.op.kind().bind(&program.input_shapes(node), &program.param_shapes(node), 0);
            let params: Vec<&[f32]> =
                node.params.iter().map(|param| constants[param.0].data.as_slice()).collect();
            instance.load(&params);
            instance
        };
        let instances: Vec<_> = (0..program.nodes.len()).map(bind).collect();
        let scratch = instances.iter().map(|instance| instance.infer_scratch()).max().unwrap_or(0);
        Self { program, constants, instances, memory, scratch, arenas: Mutex::default() }
    }

    /// The program that it runs, folded and fused.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The values of its weights, folded.
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The f32 of one image's inputs, all inputs one after the other.
    pub fn input_len(&self) -> usize {
        self.program.inputs.iter().map(|value| len(self.program.shape(*value))).sum()
    }

    /// The f32 of one image's boundary values, one after the other: a row of the feature cache.
    pub fn row_len(&self) -> usize {
        self.program.outputs.iter().map(|value| len(self.program.shape(*value))).sum()
    }

    /// The bytes that one thread works in.
    pub fn arena_bytes(&self) -> usize {
        4 * (self.memory.len() + self.scratch)
    }

    /// True if there is nothing to compute: the boundary is the input itself.
    pub fn is_identity(&self) -> bool {
        self.program.nodes.is_empty()
    }

    /// The boundary values of images, on all threads: `inputs` is `[images, input_len]`, `rows` is
    /// `[images, row_len]`. A row depends on its image alone.
    pub fn run(&self, inputs: &[f32], rows: &mut [f32]) {
        let (input_len, row_len) = (self.input_len(), self.row_len());
        if input_len == 0 || row_len == 0 {
            return;
        }
        rows.par_chunks_mut(row_len).zip(inputs.par_chunks(input_len)).for_each_init(
            || Borrowed::of(&self.arenas, || self.arena()),
            |arena, (row, input)| arena.with(|arena| self.run_one(arena, input, row)),
        );
    }

    fn arena(&self) -> Arena {
        Arena {
            slots: self.memory.slots.iter().map(|len| vec![0.0; *len]).collect(),
            scratch: vec![0.0; self.scratch],
        }
    }

    fn run_one(&self, arena: &mut Arena, input: &[f32], row: &mut [f32]) {
        let program = &self.program;
        let mut given: SmallVec<[&[f32]; 4]> = SmallVec::new();
        let mut rest = input;
        for value in &program.inputs {
            let (one, others) = rest.split_at(len(program.shape(*value)));
            given.push(one);
            rest = others;
        }
        for (index, (node, instance)) in program.nodes.iter().zip(&self.instances).enumerate() {
            if self.memory.is_view[index] {
                continue;
            }
            let Some(slot) = self.memory.slot_of[node.output.0] else { continue };
            let mut output = std::mem::take(&mut arena.slots[slot]);
            let inputs: SmallVec<[&[f32]; 8]> = node
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
            instance.infer(&inputs, &params, &mut output[..output_len], &mut arena.scratch);
            drop(inputs);
            arena.slots[slot] = output;
        }
        let mut rest = row;
        for value in &program.outputs {
            let (one, others) = rest.split_at_mut(len(program.shape(*value)));
            match self.memory.slot_of[value.0] {
                Some(slot) => one.copy_from_slice(&arena.slots[slot][..one.len()]),
                None => one.copy_from_slice(given[value.0]),
            }
            rest = others;
        }
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Prefix").field("program", &self.program).finish_non_exhaustive()
    }
}

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// An arena that goes back to its pool when the thread is done with it.
struct Borrowed<'a> {
    pool: &'a Mutex<Vec<Arena>>,
    arena: Option<Arena>,
}

impl<'a> Borrowed<'a> {
    fn of(pool: &'a Mutex<Vec<Arena>>, make: impl FnOnce() -> Arena) -> Self {
        let waiting = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { pool, arena: Some(waiting.unwrap_or_else(make)) }
    }

    fn with(&mut self, work: impl FnOnce(&mut Arena)) {
        if let Some(arena) = &mut self.arena {
            work(arena);
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(arena) = self.arena.take() {
            self.pool.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        }
    }
}
