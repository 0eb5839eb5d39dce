//! A pass: images, or feature vectors that are stored, go through frozen layers and become the feature vectors of one or several boundaries.

use crate::fit::Source;
use frostline_data::{DataError, Example, ViewSeed};
use frostline_engine::compile::Frozen;
use frostline_engine::{Pool, Prefix};
use frostline_graph::DType;
use frostline_kernels::{Bf16, Element};
use rayon::prelude::*;
use std::ops::Range;

/// The frozen layers of a pass, ready to run.
pub(crate) struct Pass {
    prefix: Prefix,
    /// The f32 of one image's feature vectors at all boundaries.
    width: usize,
    /// Which of them are rounded to bf16.
    rounded: Vec<Range<usize>>,
}

/// What the feature vectors at a boundary are stored in: what is asked for, else bf16 where it holds them as they are. Where nothing
/// is frozen there are no features, but the decoded images.
pub(in crate::fit) fn feature_dtype(frozen: &Frozen, features: Option<DType>) -> DType {
    match features {
        _ if frozen.is_identity() => DType::F32,
        Some(DType::Bf16) => DType::Bf16,
        None if frozen.is_bf16() => DType::Bf16,
        Some(DType::F32 | DType::Int8) | None => DType::F32,
    }
}

/// Whether other feature vectors can be made from those at a boundary to the last bit: what was rounded cannot be started from.
pub(in crate::fit) fn is_exact(frozen: &Frozen, features: Option<DType>) -> bool {
    feature_dtype(frozen, features) == DType::F32 || frozen.is_bf16()
}

impl Pass {
    /// To the boundaries of `targets` (one at least), from the images or from the feature vectors of a boundary that must be
    /// [enough](Frozen::above); where it is not, from the images.
    pub(crate) fn new(targets: &[&Frozen], start: Option<&Frozen>, features: Option<DType>) -> Self {
        let joint = targets[0].with(&targets[1..]);
        let rest = start.and_then(|start| joint.above(start));
        let (mut rounded, mut width) = (Vec::new(), 0);
        for target in targets {
            let vector = width..width + target.feature_len();
            width = vector.end;
            if feature_dtype(target, features) == DType::Bf16 && !target.is_bf16() {
                rounded.push(vector);
            }
        }
        Self { prefix: rest.as_ref().unwrap_or(&joint).bind(), width, rounded }
    }

    /// What is stored of a feature vector: the same numbers, whether it is stored or not.
    fn round(&self, vector: &mut [f32]) {
        for part in &self.rounded {
            vector[part.clone()].iter_mut().for_each(|value| *value = Bf16::of(*value).value());
        }
    }

    /// From feature vectors of `len` values, which every thread reads one by one into one of `buffers`. False if one cannot be read.
    pub(in crate::fit) fn run_vectors(
        &self,
        len: usize,
        read: impl Fn(usize, &mut [f32]) -> bool + Sync,
        buffers: &Pool<Vec<f32>>,
        vectors: &mut [f32],
    ) -> bool {
        vectors.par_chunks_exact_mut(self.width.max(1)).enumerate().all(|(image, vector)| {
            let mut is_read = false;
            let work = |given: &mut Vec<f32>| {
                given.resize(len, 0.0);
                is_read = read(image, given);
                if is_read {
                    self.prefix.run_one(given, vector);
                    self.round(vector);
                }
            };
            buffers.with(Vec::new, work);
            is_read
        })
    }

    /// From images: the error of each that cannot be loaded, whose feature vector is then of no meaning. Every thread decodes an image
    /// and takes it through the frozen layers at once: its pixels are still in the cache, and no thread waits for
    /// another. `told` counts images, from any thread.
    pub(crate) fn run_images(
        &self,
        source: Source<'_>,
        examples: &[&Example],
        view: Option<ViewSeed>,
        pixels: &Pool<Vec<f32>>,
        vectors: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Vec<Result<(), DataError>> {
        let Source { dataset, pipeline } = source;
        let each = examples.par_iter().zip(vectors.par_chunks_exact_mut(self.width.max(1)));
        each.map(|(example, vector)| {
            let mut loaded = Ok(());
            let work = |pixels: &mut Vec<f32>| {
                pixels.resize(pipeline.input_len(), 0.0);
                loaded = pipeline.load(dataset, example, view, pixels);
                if loaded.is_ok() {
                    self.prefix.run_one(pixels, vector);
                    self.round(vector);
                }
            };
            pixels.with(Vec::new, work);
            told();
            loaded
        })
        .collect()
    }
}
