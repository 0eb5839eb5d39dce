//! A program bound for prediction, its values kept in one kind of numbers: takes an image through all ops, with no
//! barrier between them, in buffers that are kept.

use super::bands::{self, Band, Chain};
use super::pool::Pool;
use super::{Constants, Memory, len};
use frostline_graph::ops::{Infer, Program, Storage, ValueId};
use smallvec::SmallVec;
use std::ops::Range;
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
    /// By their order.
    chains: Vec<Chain>,
    scratch: usize,
    arenas: Pool<Arena<S::Element>>,
}

/// The buffers of one thread.
struct Arena<E> {
    /// The inputs, where they had to be converted.
    given: Vec<Vec<E>>,
    slots: Vec<Vec<E>>,
    /// Of a chain's values.
    bands: Vec<Vec<E>>,
    scratch: Vec<f32>,
}

impl<S: Storage> Bound<S> {
    pub(crate) fn new(storage: S, program: Program, constants: &Arc<Constants>) -> Self {
        Self::with_chains(storage, program, constants, bands::chains)
    }

    /// Every value is made as a whole: see [`Bound::run_watched`].
    pub(super) fn without_bands(storage: S, program: Program, constants: &Arc<Constants>) -> Self {
        Self::with_chains(storage, program, constants, |_, _| Vec::new())
    }

    fn with_chains(
        storage: S,
        program: Program,
        constants: &Arc<Constants>,
        chains: impl Fn(&Program, &[Box<dyn Infer<S::Element>>]) -> Vec<Chain>,
    ) -> Self {
        let constants = constants.clone();
        let bind = |node: usize| {
            let node = &program.nodes[node];
            let weights: SmallVec<[&[f32]; 4]> =
                node.params.iter().map(|param| constants[param.0].data.as_slice()).collect();
            storage.bind(&program, node, &weights)
        };
        let bound: Vec<_> = (0..program.nodes.len()).map(bind).collect();
        let scratch = bound.iter().map(|op| op.scratch()).max().unwrap_or(0);
        let chains = chains(&program, &bound);
        let nodes: Vec<_> = chains.iter().map(|chain| chain.nodes.clone()).collect();
        let memory = Memory::plan(&program, S::RESHAPES_IN_PLACE, &nodes);
        Self { program, constants, storage, bound, memory, chains, scratch, arenas: Pool::default() }
    }

    #[cfg(test)]
    pub(super) fn chains(&self) -> usize {
        self.chains.len()
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
            bands: self.band_lens().into_iter().map(zeros).collect(),
            scratch: vec![0.0; self.scratch],
        }
    }

    /// The longest buffer of any chain, place by place.
    fn band_lens(&self) -> Vec<usize> {
        let places = self.chains.iter().map(|chain| chain.buffer_lens.len()).max().unwrap_or(0);
        let longest = |place: usize| {
            self.chains.iter().filter_map(|chain| chain.buffer_lens.get(place)).max().copied().unwrap_or(0)
        };
        (0..places).map(longest).collect()
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

    /// As [`Section::run`]; `seen` is shown every value that is made as a whole.
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
        let mut chains = self.chains.iter().peekable();
        for (index, node) in program.nodes.iter().enumerate() {
            let Some(slot) = self.memory.slot_of[node.output.0] else { continue };
            let output_len = len(program.shape(node.output));
            if self.memory.is_view[index] {
                seen(node.output, &arena.slots[slot][..output_len]);
                continue;
            }
            let mut output = std::mem::take(&mut arena.slots[slot]);
            let value = |value: ValueId| match self.memory.slot_of[value.0] {
                Some(slot) => &arena.slots[slot][..len(program.shape(value))],
                None => of_input(value).map_or(&[][..], |input| given[input]),
            };
            let result = &mut output[..output_len];
            match chains.next_if(|chain| chain.nodes.end == index + 1) {
                Some(chain) => chain.run(&mut arena.bands, |band| {
                    self.run_band(band, &value, result, &mut arena.scratch);
                }),
                None => {
                    let read: SmallVec<[&[S::Element]; 8]> =
                        node.inputs.iter().map(|one| value(*one)).collect();
                    self.bound[index].infer(&read, &self.params(index), result, &mut arena.scratch);
                }
            }
            seen(node.output, result);
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

impl<S: Storage> Bound<S> {
    fn params(&self, node: usize) -> SmallVec<[&[f32]; 4]> {
        let params = &self.program.nodes[node].params;
        params.iter().map(|param| self.constants[param.0].data.as_slice()).collect()
    }

    /// Some rows of one node of a chain; `result` is the chain's.
    fn run_band<'a>(
        &self,
        band: Band<'_, S::Element>,
        value: &impl Fn(ValueId) -> &'a [S::Element],
        result: &mut [S::Element],
        scratch: &mut [f32],
    ) where
        S::Element: 'a,
    {
        let node = &self.program.nodes[band.node];
        let rows = |value: ValueId, rows: &Range<usize>| {
            let len = len(&self.program.shape(value)[1..]);
            rows.start * len..rows.end * len
        };
        let first = node.inputs[0];
        let mut read: SmallVec<[&[S::Element]; 8]> = SmallVec::new();
        read.push(band.source.unwrap_or_else(|| &value(first)[rows(first, &band.input)]));
        read.extend(node.inputs[1..].iter().map(|other| &value(*other)[rows(*other, &band.rows)]));
        let output = match band.target {
            Some(target) => target,
            None => &mut result[rows(node.output, &band.rows)],
        };
        self.bound[band.node].infer_rows(&band.window, &read, &self.params(band.node), output, scratch);
    }
}

impl<S: Storage> Section for Bound<S> {
    fn run(&self, inputs: &[f32], outputs: &mut [f32]) {
        self.run_watched(inputs, outputs, |_, _| {});
    }

    fn arena_bytes(&self) -> usize {
        let given: usize = self.input_lens().map(|len| self.storage.buffer_len(len)).sum();
        let bands: usize = self.band_lens().iter().sum();
        size_of::<S::Element>() * (self.memory.len() + given + bands) + 4 * self.scratch
    }
}
