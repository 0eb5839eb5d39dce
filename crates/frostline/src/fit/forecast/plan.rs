//! What a training will do, before it runs: what trains, where the boundary is, and what it will cost, from a probe on a
//! few images.

use crate::fit::features::boundaries::{Boundaries, BoundaryPlan};
use crate::fit::features::feature_store::{BoundaryId, FeatureStore};
use crate::fit::train::stage_run::{StageRun, go_on};
use crate::fit::train::standing::{Standing, snapshot};
use crate::fit::{Caching, Prepared, Setting, SolvePlan, Stage, StageRunner, Watch, silent};
use frostline_engine::Plan;
use frostline_engine::compile::{Frozen, Prefixes, Statistics};
use frostline_formats as formats;
use frostline_graph::Result;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What a training will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingPlan {
    /// Images that are trained on, validated on, tested on.
    pub images: [usize; 3],
    /// The head, where it is solved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solve: Option<SolvePlan>,
    /// Each stage of the recipe.
    pub stages: Vec<StagePlan>,
    /// Each boundary of the stages: whether its feature vectors are stored, and what they are made from.
    pub boundaries: Vec<BoundaryPlan>,
    /// How many blocks gradual unfreezing may add as stages of their own; they are not in `seconds`.
    pub gradual_blocks: usize,
    /// The largest memory of the process in bytes, from a dry run and what that leaves out; where the system tells.
    pub peak_bytes: Option<u64>,
    /// All stages, without early stopping.
    pub seconds: f64,
}

/// What a stage will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its name.
    pub name: String,
    /// The layers whose outputs leave the frozen prefix.
    pub boundary: Vec<String>,
    /// Layers that train.
    pub trained: Vec<String>,
    /// Numbers that are trained.
    pub trained_parameters: usize,
    /// Layers that are frozen.
    pub frozen_layers: usize,
    /// At most so many.
    pub epochs: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Multiply-adds of an image's forward pass, below the boundary and above it.
    pub multiply_adds: [u64; 2],
    /// Feature vectors of boundary values that are needed: images times views.
    #[serde(rename = "rows")]
    pub vectors: usize,
    /// Feature vectors of these that the feature cache holds already.
    #[serde(rename = "cached_rows")]
    pub cached_vectors: usize,
    /// Bytes of all feature vectors.
    pub feature_bytes: u64,
    /// Bytes of the buffers of a step.
    pub buffer_bytes: u64,
    /// Time for the feature vectors that the stage's pass makes, of later stages' boundaries too.
    pub feature_seconds: f64,
    /// Time of an epoch, with its validation and with feature vectors that are not stored.
    pub epoch_seconds: f64,
}

impl StagePlan {
    /// All epochs, and the feature vectors that are missing.
    pub fn seconds(&self) -> f64 {
        self.feature_seconds + self.epochs as f64 * self.epoch_seconds
    }
}

/// What a dry run of a stage found.
struct DryRun {
    plan: StagePlan,
    /// Bytes that the process holds while the stage trains.
    held: u64,
    /// The stage's frozen layers.
    frozen: Arc<Frozen>,
}

impl Prepared {
    /// Says what [`Prepared::train`] will do. A dry run trains each stage on two batches of images; the model stays as it
    /// is.
    pub fn plan(&self) -> Result<TrainingPlan> {
        let solve = self.plan_solving()?;
        let mut boundaries = Boundaries::of(self)?;
        let recipe_stages = self.stages()?;
        self.rehearse_passes(recipe_stages.len(), &boundaries)?;
        // a stage is compiled while the frozen layers of the one before it are there, the first while those of the first pass are
        let mut earlier = boundaries.first();
        boundaries.release(0);
        let mut stages = Vec::new();
        // what lies in memory for longer than a pass or a step is counted and not run dry
        let mut with_resident = 0;
        for (index, stage) in recipe_stages.iter().enumerate() {
            let DryRun { mut plan, held, frozen } =
                self.dry_run(index, stage, &mut boundaries, earlier.take())?;
            earlier = Some(frozen);
            with_resident = with_resident.max(held + boundaries.resident(index));
            (plan.feature_seconds, plan.epoch_seconds) =
                boundaries.seconds(index, stage.config.epochs, plan.epoch_seconds);
            stages.push(plan);
        }
        drop(earlier);
        let count = |examples: &Option<Vec<frostline_data::Example>>| examples.as_ref().map_or(0, Vec::len);
        if let Some(last) = recipe_stages.last() {
            let index = recipe_stages.len() - 1;
            self.rehearse_test(&last.freeze, boundaries.is_stored(index))?;
            formats::to_bytes(&self.model, Path::new("model.keras"))?;
        }
        Ok(TrainingPlan {
            images: [self.dataset.train.len(), count(&self.dataset.val), count(&self.dataset.test)],
            seconds: stages.iter().map(StagePlan::seconds).sum::<f64>()
                + solve.as_ref().map_or(0.0, |solve| solve.seconds),
            solve,
            gradual_blocks: match &self.setting.config.gradual {
                Some(_) => self.planned().blocks().len(),
                None => 0,
            },
            peak_bytes: peak_memory().map(|dry_run| dry_run.max(with_resident)),
            boundaries: boundaries.plans(),
            stages,
        })
    }

    /// Trains a stage on a few feature vectors of zeros.
    fn dry_run(
        &self,
        index: usize,
        stage: &Stage,
        boundaries: &mut Boundaries,
        earlier: Option<Arc<Frozen>>,
    ) -> Result<DryRun> {
        let setting = Setting { caching: Caching::default(), ..self.setting.clone() };
        let mut trainer = StageRunner::new(&self.model, &self.reused, self.source(), &setting, &silent);
        let (train, val) = (trainer.train, trainer.val);
        let batch = setting.config.batch.min(train.len()).max(1);
        let few = |count: usize| count.min(2 * batch);
        (trainer.train, trainer.val) = (&train[..few(train.len())], &val[..few(val.len())]);
        let shape = self.pipeline.input().to_vec();
        let (numbers, freeze) = (&setting.dtype, stage.freeze.clone());
        let known = Prefixes::from_iter(earlier).and(boundaries.prefixes()).and(self.known.clone());
        let mut compiled = known.compile(numbers, &self.model, freeze, &[shape], batch, Statistics::Batch)?;
        drop(known);
        boundaries.release(index);
        let best = (!val.is_empty()).then(|| snapshot(&mut compiled.plan));

        let mut store = FeatureStore::blank(setting.config.features);
        let mut run = StageRun::new(&trainer, stage, &mut compiled, &mut store, batch, setting.seed)?;
        first_epoch(&mut run, &mut compiled.plan, &mut store)?; // caches and pages warm up
        let clock = Instant::now();
        first_epoch(&mut run, &mut compiled.plan, &mut store)?;
        let step_seconds = clock.elapsed().as_secs_f64() / trainer.train.len() as f64;
        let clock = Instant::now();
        if !trainer.val.is_empty() {
            run.validate(&mut compiled.plan, &mut store)?;
        }
        let val_seconds = clock.elapsed().as_secs_f64() / trainer.val.len().max(1) as f64;
        drop((run, store));
        if !boundaries.is_stored(index) {
            // beside the buffers of a step are those of the frozen layers
            trainer.train = &train[..train.len().min(batch)];
            let mut store = FeatureStore::new(&Caching::Nothing, setting.config.features);
            let mut run = StageRun::new(&trainer, stage, &mut compiled, &mut store, batch, setting.seed)?;
            first_epoch(&mut run, &mut compiled.plan, &mut store)?;
        }

        let whole = StageRunner::new(&self.model, &self.reused, self.source(), &self.setting, &silent);
        let mut store = FeatureStore::new(&self.setting.caching, self.setting.config.features);
        let mut run = StageRun::new(&whole, stage, &mut compiled, &mut store, batch, setting.seed)?;
        let (vectors, missing) = run.vectors(&mut store)?;
        let held = resident_memory().unwrap_or(0);
        drop(best);
        let params = compiled.plan.suffix().trained().map(|(_, weight, _)| weight.len()).sum();
        let layer = |path: &str| path.rsplit_once('/').map_or("", |(layer, _)| layer).to_owned();
        let mut trained: Vec<String> =
            compiled.plan.suffix().trained().map(|(path, ..)| layer(path)).collect();
        trained.dedup();
        let plan = StagePlan {
            name: stage.config.name.clone(),
            boundary: compiled.plan.boundary().to_vec(),
            trained,
            trained_parameters: params,
            frozen_layers: stage.freeze.paths().count(),
            epochs: stage.config.epochs,
            steps: train.len().div_ceil(batch),
            multiply_adds: compiled.plan.multiply_adds(),
            vectors,
            cached_vectors: vectors - missing,
            feature_bytes: (vectors * store.feature_bytes_each(BoundaryId::OWN)) as u64,
            buffer_bytes: compiled.plan.suffix().buffer_bytes() as u64,
            feature_seconds: 0.0,
            epoch_seconds: train.len() as f64 * step_seconds + val.len() as f64 * val_seconds,
        };
        Ok(DryRun { plan, held, frozen: compiled.frozen })
    }
}

fn first_epoch(run: &mut StageRun<'_>, plan: &mut Plan, store: &mut FeatureStore) -> Result<()> {
    let mut standing = Standing::new(Watch::new(true), run.report(plan, 0));
    run.epoch(plan, store, &mut standing, &go_on).map(drop)
}

/// The largest memory that this process has had so far, in bytes; none where the system does not tell.
pub(crate) fn peak_memory() -> Option<u64> {
    memory("VmHWM:")
}

/// The memory that this process has now.
fn resident_memory() -> Option<u64> {
    memory("VmRSS:")
}

fn memory(what: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}
