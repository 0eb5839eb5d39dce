//! The settings of one stage.

use crate::fit::config::defaults::StageDefaults;
use crate::fit::config::text::{self, shortest};
use frostline_graph::Unfreeze;
use serde::{Deserialize, Serialize};

/// One stage of training. What a recipe leaves out is filled in by [`StageDefaults`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StageConfig {
    /// For people; by default `stage N`, and `train` where there is one stage.
    pub name: String,
    /// How many of the reused layers train.
    #[serde(with = "text")]
    pub unfreeze: Unfreeze,
    /// Exactly these layers are frozen, instead of `unfreeze`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Vec<String>>,
    /// Passes over the training images.
    pub epochs: usize,
    /// The head's learning rate.
    #[serde(rename = "lr", serialize_with = "shortest")]
    pub learning_rate: f32,
    /// The reused layers' rate as a share of the head's.
    #[serde(serialize_with = "shortest")]
    pub backbone_lr_factor: f32,
    /// Whether the rate rises from 0 over the first epoch.
    pub warm_up: bool,
}

impl Default for StageConfig {
    /// The head alone trains, by Keras's default rate.
    fn default() -> Self {
        Self {
            name: String::new(),
            unfreeze: Unfreeze::Nothing,
            freeze: None,
            epochs: StageDefaults::HEAD.epochs,
            learning_rate: StageDefaults::HEAD.learning_rate,
            backbone_lr_factor: StageDefaults::HEAD.backbone_lr_factor,
            warm_up: StageDefaults::HEAD.warm_up,
        }
    }
}

impl StageConfig {
    /// Trains the head alone.
    #[must_use]
    pub fn head() -> Self {
        Self::default()
    }

    /// Trains so many of the reused layers too, from the highest down, at a tenth of the rate.
    #[must_use]
    pub fn fine_tune(unfreeze: Unfreeze) -> Self {
        let StageDefaults { epochs, learning_rate, backbone_lr_factor, warm_up } = StageDefaults::FINE_TUNE;
        Self { unfreeze, epochs, learning_rate, backbone_lr_factor, warm_up, ..Self::default() }
    }

    /// For so many epochs at most.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// With this learning rate of the head.
    #[must_use]
    pub fn learning_rate(self, learning_rate: f32) -> Self {
        Self { learning_rate, ..self }
    }
}

/// Unfreezing block by block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradualConfig {
    /// Epochs a block.
    pub epochs: usize,
    /// The head's learning rate.
    #[serde(rename = "lr", serialize_with = "shortest")]
    pub learning_rate: f32,
    /// The reused layers' rate as a share of the head's.
    #[serde(serialize_with = "shortest")]
    pub backbone_lr_factor: f32,
}

impl Default for GradualConfig {
    /// What `--gradual` does.
    fn default() -> Self {
        let StageDefaults { epochs, learning_rate, backbone_lr_factor, .. } = StageDefaults::FINE_TUNE;
        Self { epochs, learning_rate, backbone_lr_factor }
    }
}
