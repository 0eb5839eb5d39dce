//! What a model says of several views of an image together.

use crate::data::View;
use crate::engine::Squash;
use crate::fit::evaluate::squash;
use crate::graph::{Body, Graph, Layer, Model};
use crate::layers::{Config, read_kind};
use crate::{Error, Result};

/// A model and the views that its predictions are averaged over: before the last activation, as if their features were.
pub struct Viewed {
    /// The model without its last activation, where that is a softmax or a sigmoid.
    bare: Model,
    squash: Option<Squash>,
    /// The views.
    views: Vec<View>,
}

impl Viewed {
    /// With the views that were saved with a model. None where it takes its own view alone.
    ///
    /// Errors: views that cannot be read.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let views = model.info.views.iter().map(|view| Ok(view.parse()?)).collect::<Result<Vec<View>>>()?;
        if views.iter().all(|view| view.is_own()) {
            return Ok(None);
        }
        let mut bare = model.clone();
        let squash = squash(&model.graph).filter(|_| make_linear(&mut bare.graph));
        Ok(Some(Self { bare, squash, views }))
    }

    /// The model whose outputs [`Viewed::outputs`] takes.
    pub fn model(&self) -> &Model {
        &self.bare
    }

    /// The views.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The predictions, `[images, width]`, from what [`Viewed::model`] puts out in each view, `[images, views, width]`.
    ///
    /// Errors: an output that is no vector.
    pub fn outputs(&self, rows: &[f32], width: usize) -> Result<Vec<f32>> {
        if width == 0 {
            return Err(Error::Setting("the model has no output\nhelp: give another model".to_owned()));
        }
        let mut all = Vec::with_capacity(rows.len() / self.views.len());
        for image in rows.chunks_exact(self.views.len() * width) {
            let mean = |column: usize| {
                let sum: f64 = image.iter().skip(column).step_by(width).map(|value| f64::from(*value)).sum();
                sum / self.views.len() as f64
            };
            let logits: Vec<f64> = (0..width).map(mean).collect();
            all.extend(squashed(&logits, self.squash));
        }
        Ok(all)
    }
}

/// Takes the activation from a dense output layer. False where the output comes from another layer.
fn make_linear(graph: &mut Graph) -> bool {
    let Some(output) = graph.outputs.first() else { return false };
    let index = graph.calls[output.call].layer;
    let Layer { body, config, .. } = &mut graph.layers[index];
    match body {
        Body::Model(inner) => make_linear(inner),
        Body::Kind(kind) if kind.class_name() == "Dense" => {
            config.insert("activation".to_owned(), "linear".into());
            let Some(Ok(linear)) = read_kind("Dense", &Config::new("output", config)) else { return false };
            *kind = linear;
            true
        }
        _ => false,
    }
}

/// Logits after the last activation.
pub(super) fn squashed(logits: &[f64], squash: Option<Squash>) -> impl Iterator<Item = f32> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
    logits.iter().map(move |logit| match squash {
        Some(Squash::Softmax) => ((logit - most).exp() / sum) as f32,
        Some(Squash::Sigmoid) => (1.0 / (1.0 + (-logit).exp())) as f32,
        None => *logit as f32,
    })
}
