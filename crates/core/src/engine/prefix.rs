//! Runs a frozen prefix: every thread takes an image through all ops.

use super::pool::Pool;
use super::section::{Bound, Section};
use super::{Constants, len};
use crate::Precision;
use crate::ops::{Bytes, Floats, Halves, Program};
use frostline_kernels::Quantization;
use rayon::prelude::*;
use std::sync::Arc;

/// A frozen prefix, bound and ready to run.
pub struct Prefix {
    program: Program,
    constants: Arc<Constants>,
    precision: Precision,
    /// Each takes what the one before it gives.
    sections: Vec<Box<dyn Section>>,
    /// The f32 between the two sections, where there are two.
    between: usize,
    buffers: Pool<Vec<f32>>,
}

impl Prefix {
    /// In f32.
    pub(crate) fn new(program: Program, constants: Arc<Constants>) -> Self {
        let section: Box<dyn Section> = Box::new(Bound::new(Floats, program.clone(), &constants));
        Self::of(program, constants, Precision::F32, vec![section], 0)
    }

    fn of(
        program: Program,
        constants: Arc<Constants>,
        precision: Precision,
        sections: Vec<Box<dyn Section>>,
        between: usize,
    ) -> Self {
        Self { program, constants, precision, sections, between, buffers: Pool::default() }
    }

    /// In bf16, but for what is done to vectors at the end: `lower` and `upper` are the parts of `program` before and
    /// behind that, whose weights have its numbers.
    pub(crate) fn in_bf16(program: Program, [lower, upper]: [Program; 2], constants: Arc<Constants>) -> Self {
        let between = between(&lower);
        let sections: Vec<Box<dyn Section>> = vec![
            Box::new(Bound::new(Halves, lower, &constants)),
            Box::new(Bound::new(Floats, upper, &constants)),
        ];
        Self::of(program, constants, Precision::Bf16, sections, between)
    }

    /// In bytes, likewise; `quantizations` are those of the values of `lower`.
    pub(crate) fn in_int8(
        program: Program,
        [lower, upper]: [Program; 2],
        constants: Arc<Constants>,
        quantizations: Vec<Quantization>,
    ) -> Self {
        let between = between(&lower);
        let sections: Vec<Box<dyn Section>> = vec![
            Box::new(Bound::new(Bytes { quantizations }, lower, &constants)),
            Box::new(Bound::new(Floats, upper, &constants)),
        ];
        Self::of(program, constants, Precision::Int8, sections, between)
    }

    /// The program that it runs, folded and fused.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The values of its weights, folded.
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// How it stores numbers.
    pub fn precision(&self) -> Precision {
        self.precision
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
        4 * self.between + self.sections.iter().map(|section| section.arena_bytes()).sum::<usize>()
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
        let each = rows.par_chunks_mut(row_len).zip(inputs.par_chunks(input_len));
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

/// The f32 that leave a program.
fn between(lower: &Program) -> usize {
    lower.outputs.iter().map(|value| len(lower.shape(*value))).sum()
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Prefix")
            .field("precision", &self.precision)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
