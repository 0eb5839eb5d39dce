//! A pass: images, or rows that are stored, go through frozen layers and become the rows of one or several boundaries.

use super::Source;
use crate::Result;
use crate::compile::Frozen;
use crate::data::{DataError, Example, ViewSeed};
use crate::engine::{Pool, Prefix};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

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

    /// From images. Every thread decodes an image and takes it through the frozen layers at once: its pixels are still in
    /// the cache, and no thread waits for another. `told` counts images, from any thread. The error is that of the
    /// first image that has one.
    pub(super) fn run_images(
        &self,
        source: Source<'_>,
        examples: &[&Example],
        view: Option<ViewSeed>,
        pixels: &Pool<Vec<f32>>,
        rows: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Result<()> {
        let Source { dataset, pipeline } = source;
        let failed: Mutex<BTreeMap<usize, DataError>> = Mutex::default();
        let each = examples.par_iter().zip(rows.par_chunks_exact_mut(self.width.max(1))).enumerate();
        each.for_each(|(index, (example, row))| {
            let load = |pixels: &mut Vec<f32>| {
                pixels.resize(pipeline.row_len(), 0.0);
                match pipeline.load(dataset, example, view, pixels) {
                    Ok(()) => self.prefix.run_one(pixels, row),
                    Err(error) => {
                        let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        failed.insert(index, error);
                    }
                }
            };
            pixels.with(Vec::new, load);
            told();
        });
        let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match failed.into_values().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
