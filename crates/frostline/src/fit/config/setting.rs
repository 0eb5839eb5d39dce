//! The settings that all stages of a training share.

use crate::fit::{Caching, LossSetting, Metric, Outputs, Scores, TrainConfig};
use frostline_graph::PrefixDType;
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

/// A configuration with what the labels and the model have decided: all that the stages of a training share.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What the user has set.
    pub config: TrainConfig,
    /// What is made small.
    pub loss: LossSetting,
    /// Whether the model returns probabilities (or plain numbers), or logits.
    pub outputs: Outputs,
    /// What decides which epoch is best.
    pub metric: Metric,
    /// What is told beside it.
    pub shown: Vec<Metric>,
    /// Decides the order of images, dropout and views.
    pub seed: u64,
    /// Where the features of frozen layers are kept.
    pub caching: Caching,
    /// How the frozen prefix stores numbers.
    pub dtype: PrefixDType,
}

impl Setting {
    /// Keras's defaults on this loss, seed 0.
    pub fn new(loss: LossSetting, outputs: Outputs, metric: Metric) -> Self {
        Self {
            config: TrainConfig::default(),
            loss,
            outputs,
            metric,
            shown: vec![Metric::Accuracy],
            seed: 0,
            caching: Caching::default(),
            dtype: PrefixDType::F32,
        }
    }

    /// What decides which epoch is best: the metric, or the loss where such predictions have no such metric.
    pub(in crate::fit) fn score(&self, scores: &Scores) -> f64 {
        let loss = if self.metric.higher_is_better() { -scores.loss } else { scores.loss };
        scores.get(self.metric).unwrap_or(loss)
    }

    /// The metrics that are computed: those that are told, and what decides.
    pub(in crate::fit) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.shown.clone();
        if !metrics.contains(&self.metric) {
            metrics.push(self.metric);
        }
        metrics
    }
}
