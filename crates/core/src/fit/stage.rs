//! One stage of training: one freeze setting, one rule for the learning rate.

use super::features::{Features, Views};
use super::scores::compute;
use super::{
    CacheLimit, Certificate, EpochRecord, Event, Observer, Optimizer, Outputs, Scores, Setting, Source,
    TargetColumn, Targets, Watch, clip_global_norm, frozen_hashes,
};
use crate::compile::{Statistics, compile};
use crate::data::{Example, shuffled};
use crate::engine::{LossInput, Plan};
use crate::freeze::Freeze;
use crate::graph::Model;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// What one stage does.
#[derive(Clone, Debug)]
pub struct Stage {
    /// For people.
    pub name: String,
    /// What does not train.
    pub freeze: Freeze,
    /// At most so many.
    pub epochs: usize,
    /// The head's learning rate.
    pub learning_rate: f32,
    /// The rate of `reused` layers as a share of the head's.
    pub reused_factor: f32,
    /// Whether the rate rises from 0 over the first epoch.
    pub warm_up: bool,
    /// Whether the weights from before the stage count as its epoch 0, so that a stage that only makes the score
    /// worse is stepped back.
    pub steps_back: bool,
}

/// What became of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// Epochs that were trained.
    pub epochs: usize,
    /// The epoch whose weights were kept; 0 is the state before the first, which means that the stage was stepped
    /// back.
    pub best_epoch: usize,
    /// The training scores of that epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Scores>,
    /// The validation scores of that epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<Scores>,
    /// The validation scores of the last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_val: Option<Scores>,
    /// The layers whose outputs leave the frozen prefix.
    pub boundary: Vec<String>,
    /// Layers that were frozen.
    pub frozen_layers: usize,
    /// Numbers that were trained.
    pub trained_parameters: usize,
    /// Bytes of features that were kept.
    pub feature_bytes: u64,
    /// Whether its result was kept. A stage that was stepped back by its own epoch 0 counts as kept.
    pub kept: bool,
    /// Whether every tensor of a frozen layer is the same bit for bit.
    pub frozen_unchanged: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Trains a model on a source of examples, stage by stage.
pub struct Trainer<'a> {
    /// What is trained. Its weights change, and those of every model that shares them.
    pub model: &'a Model,
    /// The layers whose rate is `reused_factor` of the head's.
    pub reused: BTreeSet<String>,
    /// Where examples come from.
    pub source: Source<'a>,
    /// What is trained on.
    pub train: &'a [Example],
    /// What decides which epoch is best; where it is empty, the last weights are kept.
    pub val: &'a [Example],
    /// What all stages share.
    pub setting: &'a Setting,
    /// Is told of each event.
    pub observe: Observer<'a>,
    /// How many stages have begun: each shuffles and drops out in its own way.
    begun: u64,
}

impl<'a> Trainer<'a> {
    /// Trains on the dataset's training part and watches its validation part, if there is one. `reused` are the paths
    /// of the reused layers.
    pub fn new(
        model: &'a Model,
        reused: &[String],
        source: Source<'a>,
        setting: &'a Setting,
        observe: Observer<'a>,
    ) -> Self {
        let Source { dataset, .. } = source;
        Self {
            model,
            reused: reused.iter().cloned().collect(),
            source,
            train: &dataset.train,
            val: dataset.val.as_deref().unwrap_or_default(),
            setting,
            observe,
            begun: 0,
        }
    }

    /// Runs a stage: compiles, computes what lies below the boundary once, trains, keeps the best weights, and
    /// compares every frozen tensor with what it was before.
    pub fn stage(&mut self, stage: &Stage) -> Result<StageReport> {
        let start = Instant::now();
        let seed = self.setting.seed.wrapping_add(self.begun.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.begun += 1;
        let before = frozen_hashes(self.model, &stage.freeze);
        let shape = self.source.pipeline.input().to_vec();
        let batch = self.setting.batch.min(self.train.len()).max(1);
        let mut plan = compile(self.model, stage.freeze.clone(), &[shape], batch, Statistics::Batch)?;
        let trained = plan.suffix().trained().map(|(_, weight, _)| weight.len()).sum();
        if trained == 0 {
            return Err(Error::Setting(format!(
                "stage `{}` trains nothing: every layer that has weights is frozen\nhelp: freeze fewer layers",
                stage.name
            )));
        }
        let steps = self.train.len().div_ceil(batch);
        (self.observe)(&Event::StageBegins {
            name: &stage.name,
            epochs: stage.epochs,
            boundary: plan.boundary(),
            trained,
            steps,
        });
        let mut limit = self.setting.cache;
        let mut run = StageRun::new(self, stage, &mut plan, batch, seed, &mut limit);
        let (mut watch, mut report) =
            (Watch::new(self.setting.metric.higher_is_better()), run.report(&plan, trained));
        let mut best: Option<Vec<(String, Vec<f32>)>> = None;
        if !self.val.is_empty() && stage.steps_back {
            let val = run.validate(&mut plan)?;
            run.tell(0, 0.0, None, Some(&val), start);
            run.watch(&mut watch, 0, &val);
            report.val = Some(val);
            best = Some(snapshot(&mut plan));
        }
        for epoch in 1..=stage.epochs {
            let began = Instant::now();
            let (train, rate) = run.epoch(&mut plan, epoch, watch.plateau_factor)?;
            report.epochs = epoch;
            let val = match self.val.is_empty() {
                true => None,
                false => Some(run.validate(&mut plan)?),
            };
            run.tell(epoch, rate, Some(&train), val.as_ref(), began);
            let lost = !train.loss.is_finite();
            let is_best = match &val {
                Some(val) => run.watch(&mut watch, epoch, val),
                None => !lost,
            };
            if is_best {
                report.best_epoch = epoch;
                report.train = Some(train);
                report.val.clone_from(&val);
                best = (!self.val.is_empty()).then(|| snapshot(&mut plan));
            }
            report.last_val = val;
            if lost {
                let note = format!(
                    "stage `{}`: the loss is no finite number in epoch {epoch}; the stage ends there. A lower --lr or --clip-norm 1 helps",
                    stage.name
                );
                if best.is_none() {
                    return Err(Error::Setting(format!(
                        "the loss is no finite number in epoch {epoch} of stage `{}`, and no epoch before it was scored\nhelp: lower the rate with --lr, or clip with --clip-norm 1",
                        stage.name
                    )));
                }
                (self.observe)(&Event::Note(&note));
                break;
            }
            if watch.is_exhausted(self.setting.patience) {
                break;
            }
        }
        report.feature_bytes = run.bytes();
        if let Some(best) = best {
            best.iter().for_each(|(path, value)| plan.suffix().set_weight(path, value));
        }
        plan.store(self.model)?;
        report.frozen_unchanged = Certificate::new(before, frozen_hashes(self.model, &stage.freeze)).equal;
        if !report.frozen_unchanged {
            return Err(Error::Weights(format!(
                "stage `{}` changed a tensor of a frozen layer; its result is not kept\nhelp: this is a defect of frostline, please report it",
                stage.name
            )));
        }
        report.seconds = start.elapsed().as_secs_f64();
        (self.observe)(&Event::StageEnds(&report));
        Ok(report)
    }
}

/// Every weight above the boundary, statistics included.
fn snapshot(plan: &mut Plan) -> Vec<(String, Vec<f32>)> {
    plan.suffix().weights().map(|(path, value)| (path.to_owned(), value.to_vec())).collect()
}

/// A stage at work: its features, its buffers, its optimizer.
struct StageRun<'a> {
    stage: &'a Stage,
    setting: &'a Setting,
    observe: Observer<'a>,
    train: Features<'a>,
    val: Features<'a>,
    train_targets: TargetColumn,
    val_targets: TargetColumn,
    class_weights: Option<Vec<f32>>,
    /// The rate of each trained weight as a share of the head's.
    factors: Vec<f32>,
    optimizer: Optimizer,
    batch: usize,
    seed: u64,
    images: usize,
    rows: Vec<f32>,
    batch_targets: TargetColumn,
    sample_weights: Vec<f32>,
    gradient: Vec<f32>,
}

impl<'a> StageRun<'a> {
    fn new(
        trainer: &Trainer<'a>,
        stage: &'a Stage,
        plan: &mut Plan,
        batch: usize,
        seed: u64,
        limit: &mut CacheLimit,
    ) -> Self {
        let Trainer { source, train, val, setting, .. } = *trainer;
        let views = (!source.pipeline.augment.is_identity())
            .then_some(Views { seed: setting.seed, count: setting.views });
        let prefix = plan.prefix();
        // the validation images are few and are needed in every epoch: they come first
        let val_features = Features::new(source, val, "val", prefix, None, limit);
        let train_features = Features::new(source, train, "train", prefix, views, limit);
        let is_reused =
            |path: &str| path.rsplit_once('/').is_some_and(|(layer, _)| trainer.reused.contains(layer));
        let rows = vec![0.0; batch * prefix.row_len()];
        let (mut factors, mut lens) = (Vec::new(), Vec::new());
        for (path, weight, _) in plan.suffix().trained() {
            factors.push(if is_reused(path) { stage.reused_factor } else { 1.0 });
            lens.push(weight.len());
        }
        let class_weights = setting
            .class_weights
            .as_ref()
            .map(|weights| weights.weights(&source.dataset.class_counts(train)));
        let train_targets = TargetColumn::of(train);
        Self {
            stage,
            setting,
            observe: trainer.observe,
            train: train_features,
            val: val_features,
            batch_targets: train_targets.clone(),
            train_targets,
            val_targets: TargetColumn::of(val),
            class_weights,
            factors,
            optimizer: Optimizer::new(setting.optimizer, lens, setting.weight_decay),
            batch,
            seed,
            images: train.len(),
            rows,
            sample_weights: Vec::new(),
            gradient: Vec::new(),
        }
    }

    fn report(&self, plan: &Plan, trained: usize) -> StageReport {
        StageReport {
            name: self.stage.name.clone(),
            epochs: 0,
            best_epoch: 0,
            train: None,
            val: None,
            last_val: None,
            boundary: plan.boundary().to_vec(),
            frozen_layers: self.stage.freeze.paths().count(),
            trained_parameters: trained,
            feature_bytes: 0,
            kept: true,
            frozen_unchanged: false,
            seconds: 0.0,
        }
    }

    fn bytes(&self) -> u64 {
        self.train.bytes() + self.val.bytes()
    }

    /// Trains one epoch. Returns its scores and the head's rate at its end.
    fn epoch(&mut self, plan: &mut Plan, epoch: usize, plateau: f32) -> Result<(Scores, f32)> {
        self.train.prepare(plan.prefix(), epoch - 1, self.observe)?;
        let order = match self.setting.shuffle {
            true => shuffled(self.images, self.seed, epoch as u64),
            false => (0..self.images).collect(),
        };
        let (mut metrics, row_len) = (self.setting.metrics(), plan.prefix().row_len());
        // the mean of a batch's AUC or F1 says nothing
        metrics.retain(|metric| metric.is_mean_over_images());
        let steps = self.images.div_ceil(self.batch) as u64;
        let (mut loss, mut names, mut sums, mut rate) = (0.0, Vec::new(), Vec::new(), 0.0);
        for (index, chunk) in order.chunks(self.batch).enumerate() {
            let step = (epoch as u64 - 1) * steps + index as u64;
            let rows = &mut self.rows[..chunk.len() * row_len];
            self.train.gather(plan.prefix(), chunk, epoch - 1, rows)?;
            self.train_targets.gather(chunk, &mut self.batch_targets);
            let images = chunk.len();
            let suffix = plan.suffix();
            suffix.forward_training(rows, images, self.seed.wrapping_add(step));
            loss += self.backward(suffix, images) * images as f64;
            let output = suffix.output(images);
            let scores = compute(
                output,
                self.setting.outputs,
                output.len() / images,
                &self.batch_targets.all(),
                &metrics,
            );
            sums.resize(scores.len(), 0.0);
            names = scores.iter().map(|(metric, _)| *metric).collect();
            sums.iter_mut().zip(&scores).for_each(|(sum, (_, value))| *sum += value * images as f64);
            rate = self.rate(step, steps) * plateau;
            self.update(suffix, rate);
            (self.observe)(&Event::Step { epoch, step: index + 1, steps: steps as usize });
        }
        let images = self.images.max(1) as f64;
        let metrics = names.into_iter().zip(sums).map(|(metric, sum)| (metric, sum / images)).collect();
        Ok((Scores { loss: loss / images, metrics }, rate))
    }

    /// The loss of the batch that has just run forward; its gradients are then in the suffix.
    fn backward(&mut self, suffix: &mut crate::engine::Suffix, images: usize) -> f64 {
        let targets = self.batch_targets.all();
        let weights = match (&self.class_weights, &targets) {
            (Some(weights), Targets::Classes(classes)) => {
                self.sample_weights.clear();
                self.sample_weights
                    .extend(classes.iter().map(|class| weights.get(*class as usize).unwrap_or(&1.0)));
                Some(self.sample_weights.as_slice())
            }
            _ => None,
        };
        let loss = &self.setting.loss;
        let (values, from, input) = match suffix.logits(images) {
            Some((logits, squash)) if loss.loss.takes_logits_of(squash) => {
                (logits, Outputs::Logits, LossInput::Logits)
            }
            _ => (suffix.output(images), self.setting.outputs, LossInput::Output),
        };
        self.gradient.resize(values.len(), 0.0);
        let width = values.len() / images;
        let loss = loss.evaluate(values, from, width, &targets, weights, Some(&mut self.gradient));
        let gradient = &self.gradient;
        suffix.backward(images, input, |to| to.copy_from_slice(gradient));
        loss
    }

    /// The head's rate at a step.
    fn rate(&self, step: u64, steps: u64) -> f32 {
        let total = steps * self.stage.epochs as u64;
        let warm = match self.stage.warm_up && step < steps {
            true => (step + 1) as f32 / steps as f32,
            false => 1.0,
        };
        self.stage.learning_rate * warm * self.setting.schedule.factor(step, total, steps)
    }

    fn update(&mut self, suffix: &mut crate::engine::Suffix, rate: f32) {
        if let Some(limit) = self.setting.clip_norm {
            clip_global_norm(suffix.trained().map(|(_, _, gradient)| gradient), limit);
        }
        self.optimizer.begin_step();
        for (index, (_, weight, gradient)) in suffix.trained().enumerate() {
            self.optimizer.update(index, rate * self.factors[index], weight, gradient);
        }
        suffix.reload();
    }

    fn validate(&mut self, plan: &mut Plan) -> Result<Scores> {
        self.val.prepare(plan.prefix(), 0, self.observe)?;
        let images = match &self.val_targets {
            TargetColumn::Classes(classes) => classes.len(),
            TargetColumn::Values { width, values } => values.len() / width.max(&1),
        };
        let row_len = plan.prefix().row_len();
        let indices: Vec<usize> = (0..images).collect();
        let mut outputs = Vec::new();
        for chunk in indices.chunks(self.batch) {
            let rows = &mut self.rows[..chunk.len() * row_len];
            self.val.gather(plan.prefix(), chunk, 0, rows)?;
            outputs.extend_from_slice(plan.suffix().predict(rows, chunk.len()));
        }
        let width = outputs.len() / images.max(1);
        let (loss, metrics) = (&self.setting.loss, self.setting.metrics());
        Ok(Scores::of(&outputs, self.setting.outputs, width, &self.val_targets.all(), loss, &metrics))
    }

    /// Hands an epoch's validation scores to the watch; true if it is the best.
    fn watch(&self, watch: &mut Watch, epoch: usize, val: &Scores) -> bool {
        let score = val.get(self.setting.metric).unwrap_or(val.loss);
        watch.observe(epoch, score, val.loss, self.setting.schedule)
    }

    fn tell(&self, epoch: usize, rate: f32, train: Option<&Scores>, val: Option<&Scores>, began: Instant) {
        (self.observe)(&Event::Epoch(&EpochRecord {
            stage: self.stage.name.clone(),
            epoch,
            learning_rate: rate,
            train: train.cloned(),
            val: val.cloned(),
            seconds: began.elapsed().as_secs_f64(),
        }));
    }
}
