//! A stage at work: its epochs and steps.

use crate::fit::checkpoint::exact::Exact;
use crate::fit::checkpoint::state::{Lost, Named, Within};
use crate::fit::features::batches::Batches;
use crate::fit::features::feature_store::{Begin, BoundaryId, FeatureStore};
use crate::fit::features::passes::{Features, Views};
use crate::fit::objective::lost::first_lost;
use crate::fit::objective::scores::compute;
use crate::fit::train::standing::Standing;
use crate::fit::{
    EpochRecord, Event, Metric, Observer, Optimizer, Progress, Scored, Scores, Setting, Stage, StageReport,
    StageRunner, TargetColumn, Targets, Watch, clip_global_norm,
};
use frostline_data::shuffled;
use frostline_engine::compile::Compiled;
use frostline_engine::{Plan, Suffix};
use frostline_graph::Result;
use std::time::Instant;

/// What is done after each step, with what a checkpoint holds.
pub(in crate::fit) type AfterStep<'a> =
    &'a dyn Fn(&StageRun<'_>, &Suffix, &FeatureStore, &Standing) -> Result<()>;

/// Does nothing after a step.
pub(in crate::fit) fn go_on(_: &StageRun<'_>, _: &Suffix, _: &FeatureStore, _: &Standing) -> Result<()> {
    Ok(())
}

/// Its features, its buffers, its optimizer.
pub(in crate::fit) struct StageRun<'a> {
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
    pub(in crate::fit) optimizer: Optimizer,
    batch: usize,
    seed: u64,
    images: usize,
    batch_targets: TargetColumn,
    sample_weights: Vec<f32>,
    gradient: Vec<f32>,
    /// Of the first batch without a finite loss, the image whose feature vector is no finite numbers; see [`StageRun::lost_image`].
    pub(in crate::fit) lost: Lost,
    /// How many feature vectors of each view, to train and to validate on, were kept when the stage was stopped.
    pub(in crate::fit) kept_before: [Vec<usize>; 2],
}

impl<'a> StageRun<'a> {
    pub(in crate::fit) fn new(
        trainer: &StageRunner<'a>,
        stage: &'a Stage,
        compiled: &mut Compiled,
        store: &mut FeatureStore,
        batch: usize,
        seed: u64,
    ) -> Result<Self> {
        let StageRunner { model, source, train, val, setting, .. } = *trainer;
        let views = Views::of(source, setting);
        let by_content = store.is_on_disk();
        let mut val_features = Features::new(source, val, "val", None, by_content);
        let mut train_features = Features::new(source, train, "train", views, by_content);
        // the validation images are few and are needed in every epoch: they come first
        let parts = [val_features.part(store)?, train_features.part(store)?];
        let ahead = trainer.ahead();
        store.begin(
            compiled.frozen.clone(),
            &Begin { model, numbers: &setting.dtype, source, parts: &parts, ahead },
        )?;
        let is_reused =
            |path: &str| path.rsplit_once('/').is_some_and(|(layer, _)| trainer.reused.contains(layer));
        let (mut factors, mut lens) = (Vec::new(), Vec::new());
        for (path, weight, _) in compiled.plan.suffix().trained() {
            factors.push(if is_reused(path) { stage.config.backbone_lr_factor } else { 1.0 });
            lens.push(weight.len());
        }
        let class_weights = setting
            .config
            .class_weights
            .as_ref()
            .map(|weights| weights.weights(&source.dataset.classes, &source.dataset.class_counts(train)))
            .transpose()?;
        let labels = source.dataset.classes.len();
        let train_targets = TargetColumn::of(train, labels);
        Ok(Self {
            stage,
            setting,
            observe: trainer.observe,
            train: train_features,
            val: val_features,
            batch_targets: train_targets.clone(),
            train_targets,
            val_targets: TargetColumn::of(val, labels),
            class_weights,
            factors,
            optimizer: Optimizer::new(setting.config.optimizer, lens, setting.config.weight_decay),
            batch,
            seed,
            images: train.len(),
            sample_weights: Vec::new(),
            gradient: Vec::new(),
            lost: Lost::No,
            kept_before: Default::default(),
        })
    }

    pub(in crate::fit) fn report(&self, plan: &Plan, trained: usize) -> StageReport {
        StageReport {
            name: self.stage.config.name.clone(),
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

    /// The training image that the first batch without a finite loss had it from, if it was an image.
    pub(in crate::fit) fn lost_image(&self) -> Option<usize> {
        match self.lost {
            Lost::Image(index) => Some(index),
            Lost::No | Lost::Batch => None,
        }
    }

    /// How many feature vectors of each view, to train and to validate on, are kept, or were before the stage was stopped: those in
    /// memory went with the process.
    pub(in crate::fit) fn kept(&self, store: &FeatureStore) -> [Vec<usize>; 2] {
        let [train, val] = &self.kept_before;
        let most = |now: Vec<usize>, before: &[usize]| {
            let before = before.iter().copied().chain(std::iter::repeat(0));
            now.into_iter().zip(before).map(|(now, before)| now.max(before)).collect()
        };
        [most(self.train.kept(store), train), most(self.val.kept(store), val)]
    }

    /// The bytes of these.
    pub(in crate::fit) fn bytes(&self, store: &FeatureStore) -> u64 {
        let vectors: usize = self.kept(store).iter().flatten().sum();
        (vectors * store.feature_bytes_each(BoundaryId::OWN)) as u64
    }

    /// How many feature vectors the stage needs, and how many of them have to be computed.
    pub(in crate::fit) fn vectors(&mut self, store: &mut FeatureStore) -> Result<(usize, usize)> {
        let ((train, missing), (val, more)) = (self.train.vectors(store)?, self.val.vectors(store)?);
        Ok((train + val, missing + more))
    }

    /// Trains the next epoch, or what is left of one that was stopped, and calls `after_step`. Returns its scores and the head's
    /// rate at its end.
    pub(in crate::fit) fn epoch(
        &mut self,
        plan: &mut Plan,
        store: &mut FeatureStore,
        standing: &mut Standing,
        after_step: AfterStep<'_>,
    ) -> Result<(Scores, f32)> {
        let epoch = standing.report.epochs + 1;
        self.train.prepare(store, epoch - 1, self.observe)?;
        let order = match self.setting.config.shuffle {
            true => shuffled(self.images, self.seed, epoch as u64),
            false => (0..self.images).collect(),
        };
        let mut metrics = self.setting.metrics();
        // the mean of a batch's AUC or F1 says nothing
        metrics.retain(|metric| metric.is_mean_over_images());
        let steps = self.images.div_ceil(self.batch) as u64;
        let plateau = standing.watch.plateau_factor;
        let begun = standing.within.get_or_insert_default().steps;
        let left = order.get(begun * self.batch..).unwrap_or_default().to_vec();
        let mut batches = Batches::new(&mut self.train, store, left, self.batch, epoch - 1)?;
        for index in begun.. {
            let Some((chunk, vectors)) = batches.next(&mut self.train, store)? else { break };
            let step = (epoch as u64 - 1) * steps + index as u64;
            self.train_targets.gather(chunk, &mut self.batch_targets);
            let images = chunk.len();
            let suffix = plan.suffix();
            suffix.forward_training(vectors, images, self.seed.wrapping_add(step));
            let mean = self.backward(suffix, images);
            if !mean.is_finite() && self.lost == Lost::No {
                self.lost =
                    first_lost(vectors, images).map_or(Lost::Batch, |position| Lost::Image(chunk[position]));
            }
            let output = suffix.output(images);
            let scores = compute(
                output,
                self.setting.outputs,
                output.len() / images,
                &self.batch_targets.all(),
                &metrics,
            );
            let within = standing.within.get_or_insert_default();
            within.loss += mean * images as f64;
            within.sums.resize(scores.len(), (Named(Metric::Accuracy), Exact(0.0)));
            for ((name, sum), (metric, value)) in within.sums.iter_mut().zip(&scores) {
                (name.0, sum.0) = (*metric, sum.0 + value * images as f64);
            }
            within.rate = self.rate(step, steps) * plateau;
            within.steps = index + 1;
            let learning_rate = within.rate;
            let seen = ((index + 1) * self.batch).min(self.images).max(1);
            let loss = within.loss / seen as f64;
            self.update(suffix, learning_rate);
            (self.observe)(&Event::Step {
                epoch,
                step: index + 1,
                steps: steps as usize,
                loss,
                learning_rate,
            });
            after_step(self, suffix, store, standing)?;
        }
        let images = self.images.max(1) as f64;
        let Within { loss, sums, rate, .. } = standing.within.take().unwrap_or_default();
        let metrics = sums.into_iter().map(|(metric, sum)| (metric.0, sum.0 / images)).collect();
        Ok((Scores { loss: loss / images, metrics }, rate))
    }

    /// Trains a step at each of these rates, until the losses so far say that it `is_over`. Returns the losses.
    pub(in crate::fit) fn sweep(
        &mut self,
        plan: &mut Plan,
        store: &mut FeatureStore,
        rates: &[f32],
        is_over: &dyn Fn(&[f64]) -> bool,
    ) -> Result<Vec<f64>> {
        self.train.prepare(store, 0, self.observe)?;
        let mut losses = Vec::new();
        let epochs =
            if self.images == 0 { 0 } else { rates.len().div_ceil(self.images.div_ceil(self.batch)) };
        for epoch in 1..=epochs as u64 {
            let order = shuffled(self.images, self.seed, epoch);
            let mut batches = Batches::new(&mut self.train, store, order, self.batch, 0)?;
            while let Some((chunk, vectors)) = batches.next(&mut self.train, store)? {
                let Some(rate) = rates.get(losses.len()) else { return Ok(losses) };
                self.train_targets.gather(chunk, &mut self.batch_targets);
                let (images, suffix) = (chunk.len(), plan.suffix());
                suffix.forward_training(vectors, images, self.seed.wrapping_add(losses.len() as u64));
                losses.push(self.backward(suffix, images));
                if is_over(&losses) {
                    return Ok(losses);
                }
                self.update(suffix, *rate);
            }
        }
        Ok(losses)
    }

    /// The loss of the batch that has just run forward; its gradients are then in the suffix.
    fn backward(&mut self, suffix: &mut Suffix, images: usize) -> f64 {
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
        let Scored { values, outputs, input } = loss.loss.scored(suffix, images, self.setting.outputs);
        self.gradient.resize(values.len(), 0.0);
        let width = values.len() / images;
        let loss = loss.evaluate(values, outputs, width, &targets, weights, Some(&mut self.gradient));
        let gradient = &self.gradient;
        suffix.backward(images, input, |to| to.copy_from_slice(gradient));
        loss
    }

    /// The head's rate at a step.
    fn rate(&self, step: u64, steps: u64) -> f32 {
        let total = steps * self.stage.config.epochs as u64;
        let warm = match self.stage.config.warm_up && step < steps {
            true => (step + 1) as f32 / steps as f32,
            false => 1.0,
        };
        self.stage.config.learning_rate
            * warm
            * self.setting.config.schedule.factor(Progress { step, total, steps_per_epoch: steps })
    }

    fn update(&mut self, suffix: &mut Suffix, rate: f32) {
        if let Some(limit) = self.setting.config.clip_norm {
            clip_global_norm(suffix.trained().map(|(_, _, gradient)| gradient), limit);
        }
        self.optimizer.begin_step();
        for (index, (_, weight, gradient)) in suffix.trained().enumerate() {
            self.optimizer.update(index, rate * self.factors[index], weight, gradient);
        }
        suffix.reload();
    }

    pub(in crate::fit) fn validate(&mut self, plan: &mut Plan, store: &mut FeatureStore) -> Result<Scores> {
        self.val.prepare(store, 0, self.observe)?;
        let images = match &self.val_targets {
            TargetColumn::Classes(classes) => classes.len(),
            TargetColumn::Labels { width, values } | TargetColumn::Values { width, values } => {
                values.len() / width.max(&1)
            }
        };
        let mut batches = Batches::new(&mut self.val, store, (0..images).collect(), self.batch, 0)?;
        let mut outputs = Vec::new();
        while let Some((chunk, vectors)) = batches.next(&mut self.val, store)? {
            outputs.extend_from_slice(plan.suffix().predict(vectors, chunk.len()));
        }
        let width = outputs.len() / images.max(1);
        let (loss, metrics) = (&self.setting.loss, self.setting.metrics());
        Ok(Scores::of(&outputs, self.setting.outputs, width, &self.val_targets.all(), loss, &metrics))
    }

    /// Hands an epoch's validation scores to the watch; true if it is the best.
    pub(in crate::fit) fn watch(&self, watch: &mut Watch, epoch: usize, val: &Scores) -> bool {
        watch.observe(epoch, self.setting.score(val), val.loss, self.setting.config.schedule)
    }

    pub(in crate::fit) fn tell(
        &self,
        epoch: usize,
        rate: f32,
        train: Option<&Scores>,
        val: Option<&Scores>,
        began: Instant,
    ) {
        (self.observe)(&Event::Epoch(&EpochRecord {
            stage: self.stage.config.name.clone(),
            epoch,
            learning_rate: rate,
            train: train.cloned(),
            val: val.cloned(),
            seconds: began.elapsed().as_secs_f64(),
        }));
    }
}
