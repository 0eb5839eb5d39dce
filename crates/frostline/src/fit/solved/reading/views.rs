//! What a model says of several views of an image together, and whether the image is like those that it was trained on.

use super::pass::{Pictures, ViewPass};
use crate::fit::solved::head::refused;
use crate::fit::train::evaluate::squash;
use frostline_data::{DataError, Pipeline, View};
use frostline_engine::Squash;
use frostline_graph::{Model, PrefixDType, Result};
use frostline_head::InMemory;
use frostline_head::novelty::Novelty;

/// A dense output layer, apart from what is below it: predictions are taken from features that are averaged over views.
pub struct Viewed {
    /// The layers below the output layer.
    below: Model,
    /// `[width, outputs]`
    kernel: Vec<f32>,
    /// `[outputs]`
    bias: Vec<f32>,
    squash: Option<Squash>,
    views: Vec<View>,
    novelty: Option<Novelty>,
}

/// What is predicted of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The outputs of the model.
    pub outputs: Vec<f32>,
    /// Whether it is none of the classes; none where the model cannot tell.
    pub is_foreign: Option<bool>,
    /// What the output layer reads.
    pub features: Vec<f32>,
}

impl Viewed {
    /// Of a model that ends in a dense layer on a vector, with the views that were saved with it. None for any other model.
    /// `novelty` tells what is none of its classes.
    ///
    /// Errors: views that cannot be read.
    pub fn of(model: &Model, novelty: Option<Novelty>) -> Result<Option<Self>> {
        let views = views_of(model)?;
        let Some((below, layer)) = model.split_dense_output() else { return Ok(None) };
        let squash = squash(&model.graph);
        let is_plain = squash.is_some() || layer.config.get("activation").is_none_or(|name| name == "linear");
        if !is_plain {
            return Ok(None);
        }
        let weight = |variable: &str| model.weights.get(&format!("{}/{variable}", layer.name));
        let (Ok(kernel), Ok(bias)) = (weight("kernel"), weight("bias")) else { return Ok(None) };
        let (kernel, bias) = (kernel.get(), bias.get());
        Ok(Some(Self { below, kernel: kernel.data, bias: bias.data, squash, views, novelty }))
    }

    /// The same; none, too, where a prediction is the model's own output on its own view, and no more.
    ///
    /// Errors: views that cannot be read.
    pub fn where_needed(model: &Model, novelty: Option<Novelty>) -> Result<Option<Self>> {
        let is_plain = novelty.is_none() && views_of(model)?.iter().all(|view| view.is_own());
        if is_plain { Ok(None) } else { Self::of(model, novelty) }
    }

    /// The views.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Readies it for pictures.
    ///
    /// Errors: a model that cannot be compiled.
    pub fn pass<'a>(&'a self, numbers: &'a PrefixDType, pipeline: &'a Pipeline) -> Result<ViewPass<'a>> {
        ViewPass::new(&self.below, numbers, pipeline, &self.views)
    }

    /// Predicts pictures. Those that cannot be loaded have their error.
    ///
    /// Errors: a model that cannot be compiled for the size of a view.
    pub fn predict(
        &self,
        pass: &mut ViewPass<'_>,
        pictures: &(impl Pictures + ?Sized),
        told: &(dyn Fn() + Sync),
    ) -> Result<Vec<Result<Seen, DataError>>> {
        let (width, views) = (pass.width(), self.views.len());
        let mut rows = vec![0.0; pictures.count() * views * width];
        let errors = pass.run(pictures, &mut rows, told)?;
        let images = rows.chunks_exact((views * width).max(1));
        errors
            .into_iter()
            .zip(images)
            .map(|(error, image)| match error {
                Some(error) => Ok(Err(error)),
                None => {
                    let features = mean(image, width);
                    let is_foreign = self.is_foreign(&features)?;
                    Ok(Ok(Seen { outputs: self.outputs(&features), is_foreign, features }))
                }
            })
            .collect()
    }

    /// The outputs for features `[width]`.
    pub(in crate::fit::solved) fn outputs(&self, features: &[f32]) -> Vec<f32> {
        let mut logits: Vec<f64> = self.bias.iter().map(|bias| f64::from(*bias)).collect();
        for (value, weights) in features.iter().zip(self.kernel.chunks_exact(logits.len().max(1))) {
            let products = logits.iter_mut().zip(weights);
            products.for_each(|(logit, weight)| *logit += f64::from(*value) * f64::from(*weight));
        }
        squashed(&logits, self.squash).collect()
    }

    fn is_foreign(&self, features: &[f32]) -> Result<Option<bool>> {
        let Some(novelty) = &self.novelty else { return Ok(None) };
        let score = novelty.scores(&InMemory { values: features, width: features.len() }).map_err(refused)?;
        Ok(Some(score[0] > novelty.threshold.value))
    }
}

/// The views that were saved with a model; its own where there are none.
fn views_of(model: &Model) -> Result<Vec<View>> {
    match model.info.views.as_slice() {
        [] => Ok(vec![View::Own]),
        saved => saved.iter().map(|view| Ok(view.parse()?)).collect(),
    }
}

/// The mean over views, `[views, width]`.
pub(crate) fn mean(image: &[f32], width: usize) -> Vec<f32> {
    let views = image.len() / width.max(1);
    let mut mean = vec![0.0; width];
    for row in image.chunks_exact(width.max(1)) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / views as f32);
    }
    mean
}

/// Logits after the last activation.
pub(crate) fn squashed(logits: &[f64], squash: Option<Squash>) -> impl Iterator<Item = f32> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
    logits.iter().map(move |logit| match squash {
        Some(Squash::Softmax) => ((logit - most).exp() / sum) as f32,
        Some(Squash::Sigmoid) => (1.0 / (1.0 + (-logit).exp())) as f32,
        None => *logit as f32,
    })
}
