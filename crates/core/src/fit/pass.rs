//! A pass: images, or rows that are stored, go through frozen layers and become the rows of one or several boundaries.

use super::Source;
use crate::compile::Frozen;
use crate::data::{DataError, Example, ViewSeed};
use crate::engine::{Pool, Prefix};
use rayon::prelude::*;

/// The frozen layers of a pass, ready to run.
pub(super) struct Pass {
    prefix: Prefix,
    /// The f32 of one image's rows at all boundaries.
    width: usize,
}

impl Pass {
    /// To the boundaries of `targets` (one at least), from the images or from the rows of a boundary that must be
    /// [enough](Frozen::above); where it is not, from the images.
    pub(super) fn new(targets: &[&Frozen], start: Option<&Frozen>) -> Self {
        let joint = targets[0].with(&targets[1..]);
        let rest = start.and_then(|start| joint.above(start));
        Self { prefix: rest.as_ref().unwrap_or(&joint).bind(), width: joint.row_len() }
    }

    /// From rows: `given` is `[images, row length]`, `rows` is `[images, width]`.
    pub(super) fn run_rows(&self, given: &[f32], rows: &mut [f32]) {
        self.prefix.run(given, rows);
    }

    /// From images: the error of each that cannot be loaded, whose row is then of no meaning. Every thread decodes an image
    /// and takes it through the frozen layers at once: its pixels are still in the cache, and no thread waits for
    /// another. `told` counts images, from any thread.
    pub(super) fn run_images(
        &self,
        source: Source<'_>,
        examples: &[&Example],
        view: Option<ViewSeed>,
        pixels: &Pool<Vec<f32>>,
        rows: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Vec<Result<(), DataError>> {
        let Source { dataset, pipeline } = source;
        let each = examples.par_iter().zip(rows.par_chunks_exact_mut(self.width.max(1)));
        each.map(|(example, row)| {
            let mut loaded = Ok(());
            let work = |pixels: &mut Vec<f32>| {
                pixels.resize(pipeline.row_len(), 0.0);
                loaded = pipeline.load(dataset, example, view, pixels);
                if loaded.is_ok() {
                    self.prefix.run_one(pixels, row);
                }
            };
            pixels.with(Vec::new, work);
            told();
            loaded
        })
        .collect()
    }
}
