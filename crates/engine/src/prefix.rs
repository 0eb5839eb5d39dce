//! Runs a frozen prefix: every thread takes an image through all ops.

use super::pool::Pool;
use super::section::{Bound, Section};
use super::{Constants, len};
use frostline_graph::ops::{Floats, Program, Storage};
use rayon::prelude::*;
use std::sync::Arc;

/// A frozen prefix, bound and ready to run.
pub struct Prefix {
    program: Program,
    /// Each takes what the one before it gives.
    sections: Vec<Box<dyn Section>>,
    /// The f32 between the two sections, where there are two.
    between: usize,
    buffers: Pool<Vec<f32>>,
}

impl Prefix {
    /// In f32.
    pub fn new(program: Program, constants: &Arc<Constants>) -> Self {
        let section = Box::new(Bound::new(Floats, program.clone(), constants));
        Self { program, sections: vec![section], between: 0, buffers: Pool::default() }
    }

    /// In other numbers, but for what is done to vectors at the end: `lower` and `upper` are the parts of `program` before
    /// and behind that, whose weights have its numbers.
    pub(crate) fn in_parts(
        storage: impl Storage + 'static,
        program: Program,
        [lower, upper]: [Program; 2],
        constants: &Arc<Constants>,
    ) -> Self {
        let between = lower.outputs.iter().map(|value| len(lower.shape(*value))).sum();
        let sections: Vec<Box<dyn Section>> = vec![
            Box::new(Bound::new(storage, lower, constants)),
            Box::new(Bound::new(Floats, upper, constants)),
        ];
        Self { program, sections, between, buffers: Pool::default() }
    }

    /// The program that it runs, folded and fused.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The f32 of one image's inputs, all inputs one after the other.
    pub fn input_len(&self) -> usize {
        self.program.inputs.iter().map(|value| len(self.program.shape(*value))).sum()
    }

    /// The f32 of one image's boundary values, one after the other: a feature vector of the feature cache.
    pub fn feature_len(&self) -> usize {
        self.program.outputs.iter().map(|value| len(self.program.shape(*value))).sum()
    }

    /// The bytes that one thread works in.
    pub fn arena_bytes(&self) -> usize {
        4 * self.between + self.sections.iter().map(|section| section.arena_bytes()).sum::<usize>()
    }

    /// The boundary values of images, on all threads: `inputs` is `[images, input_len]`, `rows` is
    /// `[images, feature_len]`. A feature vector depends on its image alone.
    pub fn run(&self, inputs: &[f32], rows: &mut [f32]) {
        let (input_len, feature_len) = (self.input_len(), self.feature_len());
        if input_len == 0 || feature_len == 0 {
            return;
        }
        let each = rows.par_chunks_mut(feature_len).zip(inputs.par_chunks(input_len));
        each.for_each(|(row, input)| self.run_one(input, row));
    }

    /// The boundary values of one image, on the calling thread.
    pub fn run_one(&self, input: &[f32], row: &mut [f32]) {
        match self.sections.as_slice() {
            [lower, upper] => self.buffers.with(
                || vec![0.0; self.between],
                |between| {
                    lower.run(input, between);
                    upper.run(between, row);
                },
            ),
            sections => sections.iter().for_each(|section| section.run(input, row)),
        }
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Prefix").field("program", &self.program).finish_non_exhaustive()
    }
}
