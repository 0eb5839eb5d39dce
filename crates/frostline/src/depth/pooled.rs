//! Features at every cut, from one pass over the images.

use super::Cut;
use super::scores::Features;
use crate::fit::{Observer, Pass, Source, counter};
use frostline_data::{Example, Pipeline};
use frostline_engine::Pool;
use frostline_engine::compile::{Frozen, compile_frozen};
use frostline_graph::{Freeze, Keep, Model, PrefixDType, Result, Shape, Transfer};
use std::sync::Arc;

/// The features of images at each of several places.
pub(super) struct Pooled {
    /// The examples that could be loaded, by their index.
    pub(super) loaded: Vec<usize>,
    /// For each place `[loaded, width]`, and the width.
    values: Vec<(Vec<f32>, usize)>,
}

impl Pooled {
    /// Takes images once through frozen layers, to the highest of them. What is shared by several is computed once.
    ///
    /// Errors: a file cannot be read though it is there, which says nothing about the image.
    pub(super) fn new(
        frozen: &[Arc<Frozen>],
        source: Source<'_>,
        examples: &[&Example],
        observe: Observer<'_>,
    ) -> Result<Self> {
        let widths: Vec<usize> = frozen.iter().map(|frozen| frozen.feature_len()).collect();
        let total: usize = widths.iter().sum();
        let pass = Pass::new(&frozen.iter().map(Arc::as_ref).collect::<Vec<_>>(), None, None);
        let told = counter("train", examples.len(), observe);
        let mut features = vec![0.0; examples.len() * total];
        let found = pass.run_images(source, examples, None, &Pool::default(), &mut features, &told);
        let mut loaded = Vec::new();
        for (index, found) in found.into_iter().enumerate() {
            match found {
                Ok(()) => loaded.push(index),
                Err(error) if error.is_of_one_image() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut values = Vec::new();
        let mut start = 0;
        for width in widths {
            let of_image = |index: &usize| &features[index * total + start..][..width];
            values.push((loaded.iter().flat_map(of_image).copied().collect(), width));
            start += width;
        }
        Ok(Self { loaded, values })
    }

    /// The features at a place.
    pub(super) fn at(&self, place: usize) -> Features<'_> {
        let (values, width) = &self.values[place];
        Features { values, width: *width }
    }
}

/// The layers up to a cut; a spatial output is averaged over its pixels.
pub(super) fn pooled(model: &Model, cut: &Cut, pipeline: &Pipeline) -> Result<Arc<Frozen>> {
    let input = pipeline.input().to_vec();
    let kept = pooled_model(model, cut, &input)?;
    compile_frozen(&PrefixDType::F32, &kept, &Freeze::everything(&kept.graph), &[input])
}

/// The model up to a cut, and the pooling of a spatial output. It shares the weights.
pub(super) fn pooled_model(model: &Model, cut: &Cut, input: &Shape) -> Result<Model> {
    let mut kept = model.keep_with(&Keep::Layer(cut.path.clone()), Transfer::Share)?;
    if let Some(pooling) = kept.pooling_of(&cut.shape)? {
        kept.add_layers(vec![pooling], std::slice::from_ref(input), 0)?;
    }
    Ok(kept)
}
