//! The candidates of a search: how much is kept, how much of it is frozen, and how fast the rest learns.

use super::Cut;
use crate::fit::{GradualConfig, PretrainedWeights, SolveConfig, StageConfig, TrainConfig};
use frostline_data::View;
use frostline_graph::{Keep, Unfreeze};
use serde::{Deserialize, Serialize};

/// Steps that unfrozen layers are trained for, from a head that was solved: a few photos make few steps an epoch.
const FINE_TUNE_STEPS: usize = 150;
/// Steps from random weights, at the head's rate for all layers.
const SCRATCH_STEPS: usize = 450;
/// A head's.
const LEARNING_RATE: f32 = 1e-3;
/// Of the head's rate, once reused layers train.
const FINE_TUNE_RATE: f32 = 0.1;

/// How an arm trains what it keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "train")]
pub enum Training {
    /// The head alone, solved on the output of the highest layer kept.
    Head,
    /// What `train` does by itself: the head is solved on the outputs of several blocks, in several views.
    Solved,
    /// The solved head, then all from a layer up, at a share of the head's rate.
    From {
        /// The lowest layer that trains.
        layer: String,
        /// The rate of reused layers as a share of the head's.
        factor: f64,
    },
    /// The solved head, then block by block from the top while the validation score improves.
    Gradual,
    /// Everything, from random weights.
    Scratch,
}

/// A candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Names it among the others.
    pub name: String,
    /// The highest layer kept.
    pub kept: String,
    /// How many layers that is.
    pub kept_layers: usize,
    /// How many of them stay frozen.
    pub frozen_layers: usize,
    /// What trains.
    #[serde(flatten)]
    pub training: Training,
}

impl Arm {
    /// An arm that keeps all up to a cut. `paths`: all layers, from the lowest to the highest.
    pub fn new(cut: &Cut, paths: &[String], training: Training) -> Self {
        let short = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let (kept, kept_layers) = (cut.path.clone(), cut.layers);
        let below = |layer: &String| paths.iter().position(|path| path == layer).unwrap_or(0);
        let (what, frozen_layers) = match &training {
            Training::Head => ("head only".to_owned(), kept_layers),
            Training::Solved => ("solved head".to_owned(), kept_layers),
            Training::From { layer, factor } => (format!("from {} at {factor}", short(layer)), below(layer)),
            Training::Gradual => ("gradual".to_owned(), 0),
            Training::Scratch => ("from scratch".to_owned(), 0),
        };
        Self { name: format!("{}, {what}", short(&kept)), kept, kept_layers, frozen_layers, training }
    }

    /// Whether the whole network trains: that has work for all threads.
    pub(super) fn trains_all(&self) -> bool {
        match self.training {
            Training::Scratch | Training::From { .. } => self.frozen_layers == 0,
            Training::Head | Training::Solved | Training::Gradual => false,
        }
    }

    /// The recipe that trains it, with what `base` says of everything else.
    pub fn recipe(&self, base: &TrainConfig, images: usize) -> TrainConfig {
        let steps = images.div_ceil(base.batch).max(1);
        let more_epochs = FINE_TUNE_STEPS.div_ceil(steps).max(5);
        let stage = StageConfig {
            name: "fine-tune".to_owned(),
            unfreeze: Unfreeze::Nothing,
            freeze: None,
            epochs: more_epochs,
            learning_rate: LEARNING_RATE * FINE_TUNE_RATE,
            backbone_lr_factor: 1.0,
            warm_up: true,
        };
        // one place, one view: what an arm is compared by is what it keeps and what it trains
        let solve = SolveConfig {
            cuts: Some(vec![self.kept.clone()]),
            views: Some(vec![View::Own]),
            ..SolveConfig::default()
        };
        let mut recipe = TrainConfig {
            keep: Some(Keep::Layer(self.kept.clone())),
            weights: PretrainedWeights::Copy,
            gradual: None,
            solve: Some(solve),
            stage: Vec::new(),
            ..base.clone()
        };
        match &self.training {
            Training::Head => {}
            Training::Solved => recipe.solve = Some(SolveConfig::default()),
            Training::From { layer, factor } => recipe.stage.push(StageConfig {
                unfreeze: Unfreeze::From(layer.clone()),
                backbone_lr_factor: *factor as f32,
                ..stage
            }),
            Training::Gradual => {
                recipe.gradual = Some(GradualConfig {
                    epochs: more_epochs,
                    learning_rate: stage.learning_rate,
                    backbone_lr_factor: 1.0,
                });
            }
            Training::Scratch => {
                recipe.weights = PretrainedWeights::Reinit;
                recipe.solve = None;
                recipe.stage = vec![StageConfig {
                    name: "from scratch".to_owned(),
                    unfreeze: Unfreeze::All,
                    epochs: SCRATCH_STEPS.div_ceil(steps).max(15),
                    learning_rate: LEARNING_RATE,
                    warm_up: false,
                    ..stage
                }];
            }
        }
        recipe
    }
}
