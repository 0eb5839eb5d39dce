//! Features at every cut, from one pass over the images.

use super::Cut;
use super::scores::Features;
use crate::compile::{Frozen, compile_frozen};
use crate::data::Example;
use crate::engine::Pool;
use crate::fit::{Event, Observer, Pass, Source};
use crate::freeze::Freeze;
use crate::graph::{Keep, Model, Transfer};
use crate::layers::parse_head;
use crate::{Numbers, Result, Shape};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The features of images at each cut: spatial outputs are averaged over their pixels.
pub struct Pooled {
    /// The examples that could be loaded, by their index.
    pub loaded: Vec<usize>,
    /// For each cut `[loaded, width]`, and the width.
    values: Vec<(Vec<f32>, usize)>,
}

impl Pooled {
    /// Takes images through the model once, to the highest of the cuts. What is shared by several cuts is computed once.
    ///
    /// Errors: a cut that is none; a layer that cannot be run.
    pub fn new(
        model: &Model,
        source: Source<'_>,
        cuts: &[Cut],
        examples: &[&Example],
        observe: Observer<'_>,
    ) -> Result<Self> {
        let input = source.pipeline.input().to_vec();
        let below = |cut: &Cut| pooled(model, cut, &input);
        let frozen: Vec<Frozen> = cuts.iter().map(below).collect::<Result<_>>()?;
        let widths: Vec<usize> = frozen.iter().map(Frozen::row_len).collect();
        let total: usize = widths.iter().sum();
        let pass = Pass::new(&frozen.iter().collect::<Vec<_>>(), None, None);
        let done = AtomicUsize::new(0);
        let told = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observe(&Event::Features { part: "train", done, images: examples.len() });
        };
        let mut rows = vec![0.0; examples.len() * total];
        let found = pass.run_images(source, examples, None, &Pool::default(), &mut rows, &told);
        let loaded: Vec<usize> = (0..examples.len()).filter(|index| found[*index].is_ok()).collect();
        let mut values = Vec::new();
        let mut start = 0;
        for width in widths {
            let of_image = |index: &usize| &rows[index * total + start..][..width];
            values.push((loaded.iter().flat_map(of_image).copied().collect(), width));
            start += width;
        }
        Ok(Self { loaded, values })
    }

    /// The features at a cut.
    pub fn at(&self, cut: usize) -> Features<'_> {
        let (values, width) = &self.values[cut];
        Features { values, width: *width }
    }
}

fn pooled(model: &Model, cut: &Cut, input: &Shape) -> Result<Frozen> {
    let mut kept = model.keep(&Keep::Layer(cut.path.clone()), Transfer::Share)?;
    if cut.shape.len() > 1 {
        kept.push(parse_head("gap")?, std::slice::from_ref(input), 0)?;
    }
    let all = Freeze::everything(&kept.graph);
    compile_frozen(&Numbers::F32, &kept, &all, std::slice::from_ref(input))
}
