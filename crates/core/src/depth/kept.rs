//! How far up a model is worth keeping, by scores of its features alone.

use super::scores::{Ridge, RidgeProbe, h_score, logme};
use super::{Cut, Pooled, cuts, named_cuts};
use crate::data::{Dataset, Example, Target};
use crate::fit::{Observer, Recipe, Source, pipeline_for};
use crate::graph::Model;
use crate::{Error, Result};

/// At most so many cuts are scored.
const CUTS: usize = 20;

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

/// Scores the cuts of a model behind layers that are `named`, else every cut up to the one that is the default, on the images
/// to train on. Images that cannot be loaded
/// are left out.
///
/// Errors: labels that are no classes; a model that cannot be cut; an input whose size has to be said.
pub fn score_cuts(
    model: &Model,
    dataset: &Dataset,
    recipe: &Recipe,
    named: &[String],
    observe: Observer<'_>,
) -> Result<Vec<CutScore>> {
    let label = |example: &Example| match example.target {
        Target::Class(class) => Some(class),
        Target::Value(_) => None,
    };
    let Some(labels) = dataset.train.iter().map(label).collect::<Option<Vec<usize>>>() else {
        return Err(Error::Setting(format!(
            "the labels of `{}` are numbers, and cuts are scored by classes\nhelp: name the highest layer to keep with --keep LAYER",
            dataset.source.display()
        )));
    };
    let pipeline = pipeline_for(model, recipe, dataset)?;
    let source = Source { dataset, pipeline: &pipeline };
    let top = model.graph.highest_kept(&model.graph.default_keep());
    let input = pipeline.input().to_vec();
    let found = match named {
        [] => cuts(model, &input, top.as_deref(), CUTS)?,
        named => named_cuts(model, &input, named)?,
    };
    if found.is_empty() {
        return Err(Error::Surgery(
            "there is no layer with weights below the output that the model could be cut at\nhelp: name one with --keep LAYER"
                .to_owned(),
        ));
    }
    let examples: Vec<&Example> = dataset.train.iter().collect();
    let pooled = Pooled::new(model, source, &found, &examples, observe)?;
    let labels: Vec<usize> = pooled.loaded.iter().map(|index| labels[*index]).collect();
    let classes = dataset.classes.len();
    let score = |(index, cut): (usize, Cut)| {
        let features = pooled.at(index);
        CutScore {
            cut,
            probe: Ridge::fit(features, &labels, classes).probe,
            logme: logme(features, &labels, classes),
            h_score: h_score(features, &labels, classes),
        }
    };
    Ok(found.into_iter().enumerate().map(score).collect())
}

/// The lowest cut whose probe is as good as the best one's: whose leave-one-out errors, image by image, are larger by less
/// than a standard error of their differences.
pub fn recommended(scores: &[CutScore]) -> Option<&CutScore> {
    let best = scores.iter().min_by(|a, b| a.probe.error().total_cmp(&b.probe.error()))?;
    scores.iter().find(|score| {
        let pairs = score.probe.errors.iter().zip(&best.probe.errors);
        let differences: Vec<f64> = pairs.map(|(own, best)| own - best).collect();
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
        mean <= (squares / (n - 1.0).max(1.0) / n).sqrt()
    })
}
