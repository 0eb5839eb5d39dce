//! How far up a model is worth keeping, by scores of its features alone.

use super::pooled::{Pooled, pooled};
use super::scores::{Features, Ridge, RidgeProbe, h_score, leep, logme, nce};
use super::{Cut, cuts, named_cuts};
use crate::fit::{Observer, Source, Task, TrainConfig, pipeline_for};
use frostline_data::{Dataset, Example, Pipeline, Target};
use frostline_engine::compile::{Frozen, compile_frozen};
use frostline_graph::{Error, Freeze, Model, PrefixDType, Result};
use serde::Serialize;
use std::sync::Arc;

/// At most so many cuts are scored.
const CUTS: usize = 20;
/// How far the outputs of a softmax may sum to something else than 1.
const SHARES: f32 = 1e-3;

/// What the features at a cut say of the labels.
#[derive(Clone, Debug)]
pub struct CutScore {
    /// The cut.
    pub cut: Cut,
    /// The leave-one-out probe, by which cuts are ranked.
    pub probe: RidgeProbe,
    /// LogME. It grows with the width of the features.
    pub logme: f64,
    /// The regularised H-score. It grows with the width of the features.
    pub h_score: f64,
}

/// What the classes that the model was trained on say of the labels, by its own head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HeadScore {
    /// LEEP, at most 0.
    pub leep: f64,
    /// NCE, at most 0.
    pub nce: f64,
}

/// Scores the cuts of a model behind layers that are `named`, else every cut up to the one that is the default, on the images
/// to train on. Images that cannot be loaded are left out. The head is scored where the model has one that tells classes apart.
///
/// Errors: labels that are no classes; a model that cannot be cut; an input whose size has to be said.
pub fn score_cuts(
    model: &Model,
    dataset: &Dataset,
    recipe: &TrainConfig,
    named: &[String],
    observe: Observer<'_>,
) -> Result<(Vec<CutScore>, Option<HeadScore>)> {
    let labels = labels(dataset, dataset.train.iter())?;
    let pipeline = pipeline_for(model, recipe, dataset)?;
    let source = Source { dataset, pipeline: &pipeline };
    let found = cuts_of(model, &pipeline, named)?;
    let examples: Vec<&Example> = dataset.train.iter().collect();
    let mut frozen: Vec<Arc<Frozen>> =
        found.iter().map(|cut| pooled(model, cut, &pipeline)).collect::<Result<_>>()?;
    let input = &[pipeline.input().to_vec()];
    let whole = compile_frozen(&PrefixDType::F32, model, &Freeze::everything(&model.graph), input);
    // a model may be cut below a layer that cannot be run: then there is no head to score
    frozen.extend(whole.ok());
    let pooled = Pooled::new(&frozen, source, &examples, observe)?;
    let labels: Vec<usize> = pooled.loaded.iter().map(|index| labels[*index]).collect();
    let classes = dataset.classes.len();
    let head = (frozen.len() > found.len()).then(|| pooled.at(found.len())).and_then(|outputs| {
        let (values, width) = (outputs.values, outputs.width);
        is_probability(outputs).then(|| HeadScore {
            leep: leep(values, width, &labels, classes),
            nce: nce(values, width, &labels, classes),
        })
    });
    let score = |(index, cut): (usize, Cut)| {
        let features = pooled.at(index);
        CutScore {
            cut,
            probe: Ridge::fit(features, &labels, classes).probe,
            logme: logme(features, &labels, classes),
            h_score: h_score(features, &labels, classes),
        }
    };
    Ok((found.into_iter().enumerate().map(score).collect(), head))
}

/// Whether outputs are shares of several classes, as those of a softmax.
fn is_probability(outputs: Features<'_>) -> bool {
    let is_share =
        |row: &[f32]| row.iter().all(|share| *share >= 0.0) && (row.iter().sum::<f32>() - 1.0).abs() < SHARES;
    outputs.width > 1 && outputs.images() > 0 && outputs.rows().all(is_share)
}

/// The cuts behind layers that are `named`, else every cut up to the one that is the default.
pub(super) fn cuts_of(model: &Model, pipeline: &Pipeline, named: &[String]) -> Result<Vec<Cut>> {
    let top = model.graph.highest_kept(&model.graph.default_keep());
    let input = pipeline.input().to_vec();
    let found = match named {
        [] => cuts(model, &input, top.as_deref(), CUTS)?,
        named => named_cuts(model, &input, named)?,
    };
    match found.is_empty() {
        true => Err(Error::surgery(
            "there is no layer with weights below the output that the model could be cut at\nhelp: name one with the setting `keep = LAYER`"
                .to_owned(),
        )),
        false => Ok(found),
    }
}

/// The classes of examples.
///
/// Errors: their labels are numbers, or an example may have several.
pub(super) fn labels<'a>(
    dataset: &Dataset,
    examples: impl Iterator<Item = &'a Example>,
) -> Result<Vec<usize>> {
    let label = |example: &Example| match example.target {
        Target::Class(class) => Some(class),
        Target::Labels(_) | Target::Value(_) => None,
    };
    examples.map(label).collect::<Option<_>>().ok_or_else(|| {
        Error::setting(format!(
            "the labels of `{}` are {}, and layers are scored by classes that exclude each other\nhelp: name the highest layer to keep with the setting `keep = LAYER`",
            dataset.source.display(),
            Task::of(dataset)
        ))
    })
}

/// The lowest cut whose probe is as good as the best one's.
pub fn recommended(scores: &[CutScore]) -> Option<&CutScore> {
    first_as_good(scores, |score| &score.probe)
}

/// The first whose probe is as good as the best one's: whose leave-one-out errors, image by image, are larger by less than a
/// standard error of their differences.
pub(super) fn first_as_good<T>(scores: &[T], probe: impl Fn(&T) -> &RidgeProbe) -> Option<&T> {
    let best = scores.iter().min_by(|a, b| probe(a).error().total_cmp(&probe(b).error()))?;
    scores.iter().find(|score| {
        let pairs = probe(score).errors.iter().zip(&probe(best).errors);
        let differences: Vec<f64> = pairs.map(|(own, best)| own - best).collect();
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
        mean <= (squares / (n - 1.0).max(1.0) / n).sqrt()
    })
}
