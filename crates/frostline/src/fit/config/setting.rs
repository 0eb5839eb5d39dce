//! The settings that all stages of a training share.

use crate::fit::{Caching, ClassWeights, LossSetting, Metric, OptimizerKind, Outputs, Schedule, Scores};
use frostline_graph::{DType, PrefixDType};
use serde::{Deserialize, Serialize};

/// What BatchNormalization of reused layers does while they train. In a layer of the new head it always trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReusedStatistics {
    /// It normalises by its moving statistics, which stay as they are.
    Frozen,
    /// It normalises by the batch's statistics, which the moving ones follow.
    Train,
}

/// Everything but the stage's own freeze, epochs and rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What is made small.
    pub loss: LossSetting,
    /// Whether the model returns probabilities (or plain numbers), or logits.
    pub outputs: Outputs,
    /// What decides which epoch is best.
    pub metric: Metric,
    /// How weights follow their gradients.
    pub optimizer: OptimizerKind,
    /// How the rate moves within a stage.
    pub schedule: Schedule,
    /// Decoupled, on top of the optimizer's own.
    pub weight_decay: f32,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f32>,
    /// How classes weigh in the loss.
    pub class_weights: Option<ClassWeights>,
    /// Images a step.
    pub batch: usize,
    /// Whether the order of the images changes with each epoch.
    pub shuffle: bool,
    /// Epochs without a better score after which a stage ends.
    pub patience: Option<usize>,
    /// Views of an image, where the pipeline augments.
    pub views: usize,
    /// Decides the order of images, dropout and views.
    pub seed: u64,
    /// Where the feature vectors of frozen layers are kept.
    pub caching: Caching,
    /// How the frozen prefix stores numbers.
    pub numbers: PrefixDType,
    /// What feature vectors of frozen layers are rounded to. None: f32, but bf16 where the prefix has kept them in it, so that no bit
    /// changes.
    pub features: Option<DType>,
}

impl Setting {
    /// Adam on this loss, 32 images a step, seed 0.
    pub fn new(loss: LossSetting, outputs: Outputs, metric: Metric) -> Self {
        Self {
            loss,
            outputs,
            metric,
            optimizer: OptimizerKind::default(),
            schedule: Schedule::default(),
            weight_decay: 0.0,
            clip_norm: None,
            class_weights: None,
            batch: 32,
            shuffle: true,
            patience: None,
            views: 4,
            seed: 0,
            caching: Caching::default(),
            numbers: PrefixDType::F32,
            features: None,
        }
    }

    /// What decides which epoch is best: the metric, or the loss where such predictions have no such metric.
    pub(in crate::fit) fn score(&self, scores: &Scores) -> f64 {
        let loss = if self.metric.higher_is_better() { -scores.loss } else { scores.loss };
        scores.get(self.metric).unwrap_or(loss)
    }

    /// The metrics that are computed: what decides, and accuracy beside it, which numbers have none of.
    pub(in crate::fit) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![Metric::Accuracy, self.metric];
        metrics.dedup();
        metrics
    }
}
