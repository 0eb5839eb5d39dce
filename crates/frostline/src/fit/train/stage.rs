//! One stage of training: one freeze setting, one rule for the learning rate.

use crate::fit::StageConfig;
use crate::fit::checkpoint::journal::{At, Journal, NOWHERE};
use crate::fit::features::ahead::Ahead;
use crate::fit::features::feature_store::FeatureStore;
use crate::fit::objective::lost::Lost;
use crate::fit::train::stage_run::StageRun;
use crate::fit::train::standing::{Standing, snapshot};
use crate::fit::{Certificate, Event, Observer, Scores, Setting, Source, Watch, frozen_hashes};
use frostline_data::Example;
use frostline_engine::compile::{Prefixes, Statistics};
use frostline_engine::{Plan, Suffix};
use frostline_graph::{Error, Freeze, Model, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// What one stage does.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name, epochs and rates.
    pub config: StageConfig,
    /// What does not train: what `config` says of this model.
    pub freeze: Freeze,
    /// Whether the weights from before the stage count as its epoch 0, so that a stage that only makes the score
    /// worse is stepped back.
    pub reverts: bool,
    /// Without validation: the weights after so many of the last epochs are averaged. 0 and 1 leave those after the last.
    pub averaged_epochs: usize,
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
    /// Whether its result was kept: false for a stage that was stepped back.
    pub kept: bool,
    /// Whether every tensor of a frozen layer is the same bit for bit.
    pub frozen_unchanged: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Trains a model on a source of examples, stage by stage.
pub struct StageRunner<'a> {
    /// What is trained. Its weights change, and those of every model that shares them.
    pub model: &'a Model,
    /// The layers whose rate is `backbone_lr_factor` of the head's.
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
    /// What was done already, and what checkpoints are made of.
    journal: &'a Journal,
    /// What its stages are called there, before their numbers.
    scope: &'a str,
    /// The weights that the last stage may have changed.
    changed: Vec<String>,
    /// Whether the weights from before a stage may be put back after it.
    pub(in crate::fit) may_step_back: bool,
    /// The feature vectors that stages keep.
    pub(in crate::fit) store: FeatureStore,
    /// All stages, from the first, where they are known.
    all: Vec<Ahead>,
    /// The layers whose weights are no finite numbers as they are given.
    not_finite: Vec<String>,
}

impl<'a> StageRunner<'a> {
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
            journal: &NOWHERE,
            scope: "",
            changed: Vec::new(),
            may_step_back: false,
            store: FeatureStore::new(&setting.caching, setting.config.features),
            all: Vec::new(),
            not_finite: model.layers_not_finite(),
        }
    }

    /// Leaves checkpoints, and takes over what was done already of stages of this name.
    pub(in crate::fit) fn kept_in(&mut self, journal: &'a Journal, scope: &'a str) {
        (self.journal, self.scope) = (journal, scope);
    }

    /// The last stage is over, and its weights are in the model, or were put back.
    pub(in crate::fit) fn settle(&self, report: &StageReport) -> Result<()> {
        let unit = self.unit(self.begun.saturating_sub(1));
        self.journal.settle(&unit, report, self.model, &self.changed, self.observe)
    }

    fn unit(&self, index: u64) -> String {
        format!("{} {index}", self.scope)
    }

    /// Tells of all stages that are to come, so that one pass over the images makes what several of them need. Stages
    /// that come otherwise than they were told are trained as well.
    pub(in crate::fit) fn announce(&mut self, stages: Vec<Ahead>) {
        self.all = stages;
    }

    /// Tells of frozen layers that are compiled already.
    pub(in crate::fit) fn takes(&mut self, known: Prefixes) {
        self.store = FeatureStore::new(&self.setting.caching, self.setting.config.features).knowing(known);
    }

    /// The stages from this one on, as far as they are known.
    pub(in crate::fit) fn ahead(&self) -> &[Ahead] {
        self.all.get((self.begun as usize).saturating_sub(1)..).unwrap_or_default()
    }

    /// Runs a stage: compiles, computes what lies below the boundary once, trains, keeps the best weights, and
    /// compares every frozen tensor with what it was before.
    pub fn stage(&mut self, stage: &Stage) -> Result<StageReport> {
        let start = Instant::now();
        let seed = self.setting.seed.wrapping_add(self.begun.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let unit = self.unit(self.begun);
        self.begun += 1;
        if let Some(report) = self.journal.report(&unit) {
            return Ok(report);
        }
        let before = frozen_hashes(self.model, &stage.freeze);
        let shape = self.source.pipeline.input().to_vec();
        let batch = self.setting.config.batch.min(self.train.len()).max(1);
        let numbers = &self.setting.dtype;
        let mut compiled = self.store.prefixes().compile(
            numbers,
            self.model,
            stage.freeze.clone(),
            &[shape],
            batch,
            Statistics::Batch,
        )?;
        let plan = &mut compiled.plan;
        let trained = plan.suffix().trained().map(|(_, weight, _)| weight.len()).sum();
        if trained == 0 {
            return Err(Error::setting(format!(
                "stage `{}` trains nothing: every layer that has weights is frozen\nhelp: freeze fewer layers",
                stage.config.name
            )));
        }
        let steps = self.train.len().div_ceil(batch);
        (self.observe)(&Event::StageBegins {
            name: &stage.config.name,
            epochs: stage.config.epochs,
            boundary: plan.boundary(),
            trained,
            steps,
        });
        let mut store = std::mem::replace(
            &mut self.store,
            FeatureStore::new(&self.setting.caching, self.setting.config.features),
        );
        let mut run = StageRun::new(self, stage, &mut compiled, &mut store, batch, seed)?;
        let plan = &mut compiled.plan;
        let mut standing = match Standing::resume(&unit, self.journal, &mut run, plan)? {
            Some(standing) => {
                let (name, epochs) = (&*stage.config.name, standing.report.epochs);
                let steps = standing.within.as_ref().map_or(0, |within| within.steps);
                (self.observe)(&Event::Resumes { name, epochs, steps });
                standing
            }
            None => {
                let watch = Watch::new(self.setting.metric.higher_is_better());
                let mut standing = Standing::new(watch, run.report(plan, trained));
                if !self.val.is_empty() && stage.reverts {
                    let val = run.validate(plan, &mut store)?;
                    run.tell(0, 0.0, None, Some(&val), start);
                    run.watch(&mut standing.watch, 0, &val);
                    standing.report.val = Some(val);
                    standing.best = Some(snapshot(plan));
                }
                standing
            }
        };
        let took = standing.report.seconds;
        let trains: BTreeSet<String> = plan.suffix().trained().map(|(path, ..)| path.to_owned()).collect();
        let is_needed = |path: &str| self.may_step_back || !trains.contains(path);
        let mark =
            |at: At, run: &StageRun<'_>, suffix: &Suffix, store: &FeatureStore, standing: &Standing| {
                self.journal.mark(at, self.model, &is_needed, self.observe, || {
                    let (mut state, tensors) = standing.draft(&unit, run, suffix, run.kept(store));
                    state.report.add_seconds(start.elapsed().as_secs_f64());
                    (state, tensors)
                })
            };
        let after_step = |run: &StageRun<'_>, suffix: &Suffix, store: &FeatureStore, standing: &Standing| {
            mark(At::Step, run, suffix, store, standing)
        };
        while !standing.is_over && standing.report.epochs < stage.config.epochs {
            let began = Instant::now();
            let (train, rate) = run.epoch(plan, &mut store, &mut standing, &after_step)?;
            let epoch = standing.report.epochs + 1;
            let val = match self.val.is_empty() {
                true => None,
                false => Some(run.validate(plan, &mut store)?),
            };
            run.tell(epoch, rate, Some(&train), val.as_ref(), began);
            let Standing { watch, report, best, average, is_over, .. } = &mut standing;
            report.epochs = epoch;
            // an activation may turn what is no number into one: neither the loss nor a metric need show it
            let finite = |scores: &Scores| scores.loss.is_finite();
            let lost = !finite(&train) || !val.as_ref().is_none_or(finite) || !is_finite(plan);
            let is_best = !lost && val.as_ref().is_none_or(|val| run.watch(watch, epoch, val));
            if is_best {
                report.best_epoch = epoch;
                report.train = Some(train);
                report.val.clone_from(&val);
                drop(best.take()); // two of them are never needed
                *best = (!self.val.is_empty()).then(|| snapshot(plan));
            }
            report.last_val = val;
            if lost {
                let image = run.lost_image().map(|index| self.train[index].name.clone());
                let (why, help) = Lost { layers: self.not_finite.clone(), image }.why();
                let what = format!("the loss is no finite number in epoch {epoch}");
                let left = match best {
                    Some(_) => "the stage ends there",
                    // without validation images, what was there before the stage is all that is known to be good
                    None if stage.reverts && self.val.is_empty() => {
                        (report.best_epoch, report.train) = (0, None);
                        "the weights are again those from before the stage"
                    }
                    None => {
                        return Err(Error::setting(format!(
                            "{what} of stage `{}`, and no epoch before it was scored{why}\nhelp: {help}",
                            stage.config.name
                        )));
                    }
                };
                let note = format!("stage `{}`: {what}; {left}{why}\nhelp: {help}", stage.config.name);
                (self.observe)(&Event::Note(&note));
                *is_over = true;
            } else if self.val.is_empty() && epoch + stage.averaged_epochs > stage.config.epochs {
                average.add(plan);
            }
            *is_over |= watch.is_exhausted(self.setting.config.patience);
            mark(At::Epoch, &run, plan.suffix(), &store, &standing)?;
        }
        self.changed = plan.suffix().weights().map(|(path, _)| path.to_owned()).collect();
        let Standing { mut report, best, average, .. } = standing;
        report.feature_bytes = run.bytes(&store);
        self.store = store;
        report.kept = report.best_epoch > 0;
        if let Some(best) = best.or(average.weights) {
            best.iter().for_each(|(path, value)| plan.suffix().set_weight(path, value));
        }
        // nothing was scored, and the loss was lost: the model has the weights from before the stage
        if report.kept || !self.val.is_empty() {
            plan.store(self.model)?;
        }
        report.frozen_unchanged = Certificate::new(before, frozen_hashes(self.model, &stage.freeze)).equal;
        if !report.frozen_unchanged {
            return Err(Error::weights(format!(
                "stage `{}` changed a tensor of a frozen layer; its result is not kept\nhelp: this is a defect of frostline, please report it",
                stage.config.name
            )));
        }
        report.seconds = took + start.elapsed().as_secs_f64();
        (self.observe)(&Event::StageEnds(&report));
        Ok(report)
    }
}

/// Whether every weight above the boundary is a number.
fn is_finite(plan: &mut Plan) -> bool {
    plan.suffix().weights().all(|(_, value)| value.iter().all(|number| number.is_finite()))
}
