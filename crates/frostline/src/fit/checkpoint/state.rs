//! What a checkpoint says besides its tensors.

use super::exact::{self, Exact};
use super::key::TrainingKey;
use crate::fit::config::text;
use crate::fit::{Metric, Scores, StageReport, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct State {
    /// What it depends on.
    pub(super) key: Option<TrainingKey>,
    /// How long it took so far.
    #[serde(with = "exact")]
    pub(super) seconds: f64,
    /// Epochs that were told of.
    pub(super) epochs: usize,
    /// What was found out on the way, by names.
    pub(super) known: BTreeMap<String, serde_json::Value>,
    /// The stages that are done, in their order.
    pub(super) done: Vec<(String, SavedReport)>,
    /// The stage that is under way.
    pub(super) stage: Option<StageState>,
}

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct StageState {
    /// Which it is.
    pub(in crate::fit) unit: String,
    pub(in crate::fit) watch: Watch,
    pub(in crate::fit) report: SavedReport,
    /// Whether no epoch comes any more.
    pub(in crate::fit) is_over: bool,
    /// The epoch that is under way.
    pub(in crate::fit) within: Option<Within>,
    /// Whether some epoch was the best, whose weights are kept.
    pub(in crate::fit) has_best: bool,
    /// Whether these are the weights as they are.
    pub(in crate::fit) best_is_now: bool,
    /// Epochs whose weights are averaged.
    pub(in crate::fit) averaged: usize,
    /// See [`StageRun`](crate::fit::train::stage_run::StageRun).
    pub(in crate::fit) lost: Lost,
    /// Steps that the optimizer has taken.
    pub(in crate::fit) steps: u64,
    /// How many feature vectors of each view were kept.
    pub(in crate::fit) vectors: [Vec<usize>; 2],
}

/// Whether a batch had no finite loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::fit) enum Lost {
    /// None had.
    #[default]
    No,
    /// One had, and no image of it was the cause.
    Batch,
    /// One had, and this image's feature vector is no finite numbers.
    Image(usize),
}

/// How far an epoch is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct Within {
    /// Steps that were taken.
    pub(in crate::fit) steps: usize,
    /// The sum of the images' losses.
    #[serde(with = "exact")]
    pub(in crate::fit) loss: f64,
    /// The sums of the images' metrics.
    pub(in crate::fit) sums: Vec<(Named, Exact)>,
    /// The last rate.
    #[serde(with = "exact")]
    pub(in crate::fit) rate: f32,
}

/// A metric by its name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct Named(#[serde(with = "text")] pub(in crate::fit) Metric);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct SavedScores {
    #[serde(with = "exact")]
    loss: f64,
    metrics: Vec<(Named, Exact)>,
}

impl From<&Scores> for SavedScores {
    fn from(scores: &Scores) -> Self {
        let metrics = scores.metrics.iter().map(|(metric, value)| (Named(*metric), Exact(*value)));
        Self { loss: scores.loss, metrics: metrics.collect() }
    }
}

impl SavedScores {
    fn read(&self) -> Scores {
        let metric = |(metric, value): &(Named, Exact)| (metric.0, value.0);
        Scores { loss: self.loss, metrics: self.metrics.iter().map(metric).collect() }
    }
}

/// A [`StageReport`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct SavedReport {
    name: String,
    epochs: usize,
    best_epoch: usize,
    train: Option<SavedScores>,
    val: Option<SavedScores>,
    last_val: Option<SavedScores>,
    boundary: Vec<String>,
    frozen_layers: usize,
    trained_parameters: usize,
    feature_bytes: u64,
    kept: bool,
    frozen_unchanged: bool,
    #[serde(with = "exact")]
    seconds: f64,
}

impl From<&StageReport> for SavedReport {
    fn from(report: &StageReport) -> Self {
        let scores = |of: &Option<Scores>| of.as_ref().map(SavedScores::from);
        Self {
            name: report.name.clone(),
            epochs: report.epochs,
            best_epoch: report.best_epoch,
            train: scores(&report.train),
            val: scores(&report.val),
            last_val: scores(&report.last_val),
            boundary: report.boundary.clone(),
            frozen_layers: report.frozen_layers,
            trained_parameters: report.trained_parameters,
            feature_bytes: report.feature_bytes,
            kept: report.kept,
            frozen_unchanged: report.frozen_unchanged,
            seconds: report.seconds,
        }
    }
}

impl SavedReport {
    pub(in crate::fit) fn read(&self) -> StageReport {
        let scores = |of: &Option<SavedScores>| of.as_ref().map(SavedScores::read);
        StageReport {
            name: self.name.clone(),
            epochs: self.epochs,
            best_epoch: self.best_epoch,
            train: scores(&self.train),
            val: scores(&self.val),
            last_val: scores(&self.last_val),
            boundary: self.boundary.clone(),
            frozen_layers: self.frozen_layers,
            trained_parameters: self.trained_parameters,
            feature_bytes: self.feature_bytes,
            kept: self.kept,
            frozen_unchanged: self.frozen_unchanged,
            seconds: self.seconds,
        }
    }

    /// The stage has taken so much longer.
    pub(in crate::fit) fn add_seconds(&mut self, seconds: f64) {
        self.seconds += seconds;
    }

    pub(super) fn place(&self) -> (&str, usize) {
        (&self.name, self.epochs)
    }
}
