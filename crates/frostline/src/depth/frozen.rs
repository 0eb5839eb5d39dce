//! How far up a model is worth freezing, by its tangent kernel.

use super::kept::{cuts_of, first_as_good, labels};
use super::pooled::{Pooled, pooled};
use super::scores::{RidgeProbe, kernel_ridge, standardised};
use super::{Tangents, named_cuts};
use crate::fit::{Observer, Source, TrainConfig, pipeline_for};
use faer::Mat;
use frostline_data::{Dataset, Example, Random, holdout};
use frostline_graph::{Model, Result};

/// Functions whose gradients are taken.
const DIRECTIONS: usize = 2;
/// Images that are taken: fewer where a pass takes long, each goes backward through all that is kept.
const IMAGES: [usize; 2] = [64, 256];
/// Multiply-adds of all passes, if so few images allow it: half a minute.
const WORK: u64 = 3_000_000_000_000;
/// What a forward and a backward pass take, in forward passes.
const PASSES: u64 = 3;
/// The weight of each layer's kernel, where the head's has 1 and all have the trace 1.
const LAYER: f64 = 0.5;

/// What the tangent kernel says of training from a layer up.
#[derive(Clone, Debug)]
pub struct FreezeScore {
    /// The lowest layer that trains; none where the head trains alone.
    pub from: Option<String>,
    /// How many layers stay frozen.
    pub frozen_layers: usize,
    /// The leave-one-out errors of ridge regression with the kernel.
    pub probe: RidgeProbe,
}

/// The highest layer to freeze: the fewest blocks whose kernel is as good as the best one.
pub fn recommended_freeze(scores: &[FreezeScore]) -> Option<&FreezeScore> {
    first_as_good(scores, |score| &score.probe)
}

/// Scores how far down to train below the layer `kept`: the head alone, then one block after the other, each ending at a cut.
/// The kernel of "train from here up" is the sum of the head's and those of the layers that train (Wei, Hu and Steinhardt
/// 2022). So many images are taken as half a minute allows, 64 to 256. `named`: the layers to cut behind, if not all.
///
/// Errors: labels that are no classes; a layer that the model cannot be cut behind.
pub fn score_freezes(
    model: &Model,
    dataset: &Dataset,
    recipe: &TrainConfig,
    kept: &str,
    named: &[String],
    seed: u64,
    observe: Observer<'_>,
) -> Result<Vec<FreezeScore>> {
    let pipeline = pipeline_for(model, recipe, dataset)?;
    let source = Source { dataset, pipeline: &pipeline };
    let cut = &named_cuts(model, &pipeline.input().to_vec(), &[kept.to_owned()])?[0];
    let frozen = pooled(model, cut, &pipeline)?;
    let each = PASSES * DIRECTIONS as u64 * frozen.program().multiply_adds();
    let most = ((WORK / each.max(1)) as usize).clamp(IMAGES[0], IMAGES[1]);
    let share = most as f64 / dataset.train.len() as f64;
    let examples: Vec<&Example> = match share < 1.0 {
        true => holdout(&dataset.train, share, seed)?.1.iter().map(|index| &dataset.train[*index]).collect(),
        false => dataset.train.iter().collect(),
    };
    let pooled = Pooled::new(&[frozen], source, &examples, observe)?;
    let (features, _, scales) = standardised(pooled.at(0));
    let loaded: Vec<&Example> = pooled.loaded.iter().map(|index| examples[*index]).collect();
    let direction = |index: usize| {
        let mut random = Random::new("direction", [seed, index as u64, 0]);
        scales.iter().map(|scale| if random.coin() { *scale as f32 } else { -*scale as f32 }).collect()
    };
    let directions: Vec<Vec<f32>> = (0..DIRECTIONS).map(direction).collect();
    let tangents = Tangents::new(model, cut, source, &loaded, &directions, observe)?;
    let labels = labels(dataset, loaded.iter().copied())?;
    let classes = dataset.classes.len();
    let paths = model.graph.counted_paths();
    let place = |path: &str| paths.iter().position(|other| other == path).unwrap_or(0);
    let mut kernel = unit_trace(&features * features.transpose());
    let head = FreezeScore {
        from: None,
        frozen_layers: cut.layers,
        probe: kernel_ridge(kernel.as_ref(), &labels, classes),
    };
    let mut found = vec![head];
    let lower = cuts_of(model, &pipeline, named)?;
    let lower = lower.iter().rev().map(|lower| lower.layers).filter(|layers| *layers < cut.layers);
    let mut top = cut.layers;
    for from in lower.chain([0]) {
        let block = tangents.layers.iter().filter(|(path, _)| (from..top).contains(&place(path)));
        for (_, tangent) in block {
            kernel += faer::Scale(LAYER) * unit_trace(centred(tangent));
        }
        let probe = kernel_ridge(kernel.as_ref(), &labels, classes);
        found.push(FreezeScore { from: Some(paths[from].clone()), frozen_layers: from, probe });
        top = from;
    }
    Ok(found)
}

/// A kernel of features less their means.
fn centred(kernel: &Mat<f64>) -> Mat<f64> {
    let n = kernel.nrows() as f64;
    let means: Vec<f64> = kernel.row_iter().map(|row| row.iter().sum::<f64>() / n).collect();
    let mean = means.iter().sum::<f64>() / n;
    Mat::from_fn(kernel.nrows(), kernel.ncols(), |i, j| kernel[(i, j)] - means[i] - means[j] + mean)
}

/// A kernel over the sum of its diagonal. One that is 0 stays so.
fn unit_trace(kernel: Mat<f64>) -> Mat<f64> {
    let trace: f64 = kernel.diagonal().column_vector().iter().sum();
    kernel * faer::Scale(if trace > 0.0 { 1.0 / trace } else { 0.0 })
}
