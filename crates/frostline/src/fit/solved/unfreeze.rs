//! Whether training reused layers is worth it, from a head that is at its optimum (LP-FT, Kumar et al. 2022): only if folds say so.

use super::head::mean_and_error;
use super::head::refused;
use super::outcome::{LEVEL, Prospect, SolvedHead, output_weights};
use crate::fit::checkpoint::exact::Exact;
use crate::fit::train::evaluate::{outputs_in_views, viewed_of};
use crate::fit::{Event, Journal, Observer, Prepared, Stage, StageConfig, StageReport, StageRunner, Task};
use frostline_data::Example;
use frostline_engine::compile::{Statistics, compile};
use frostline_graph::{Freeze, Model, Result, Tensor, Unfreeze};
use frostline_head::{Method, interval};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// With fewer images the solved head is the answer: in the record no layer that was trained made it better.
const LEAST: usize = 500;
/// Parts of the images, each of which is predicted by models that were trained on the others.
const FOLDS: usize = 3;
/// Steps of training, and epochs at least.
const STEPS: usize = 100;
const EPOCHS: usize = 5;
const LEARNING_RATE: f32 = 1e-4;
/// How much of what was trained, on the mean over the last half of the epochs, is mixed with the weights from before (WiSE-FT,
/// Wortsman et al. 2022).
const SHARES: [f32; 2] = [0.5, 1.0];
/// What is not tried of its own accord takes longer than this.
const MOST_SECONDS: f64 = 300.0;
/// Multiply-adds of training a second, roughly: what a thread of a plain machine does.
const SPEED: f64 = 15e9;

/// What became of training reused layers.
#[derive(Clone, Debug, Serialize)]
pub struct Unfreezing {
    /// The lowest layer that was trained.
    pub from: String,
    /// By how much the mean cross-entropy of images falls that were not trained on, and the standard error of that.
    pub gain: f64,
    /// See `gain`.
    pub error: f64,
    /// The share of images that are found right more often.
    pub accuracy_gain: f64,
    /// How much of the trained weights is mixed with those from before.
    pub share: f32,
    /// Whether the gain is more than its standard error, and the trained layers are part of the model.
    pub adopted: bool,
    /// What is to be expected of new images then.
    #[serde(skip)]
    pub prospect: Prospect,
    /// How long it took.
    pub seconds: f64,
}

/// What came of it, and the stage that is part of the model now.
pub(in crate::fit) struct Considered {
    pub(in crate::fit) told: Unfreezing,
    pub(in crate::fit) adopted: Option<(StageReport, Freeze)>,
}

impl Prepared {
    /// Trains the highest block from the solved head, on folds first, and then on all images if images that were not trained on
    /// say that it is better by more than a standard error. Tells before how long that takes. Returns the stage, too, if it was
    /// adopted.
    pub(in crate::fit) fn consider_unfreezing(
        &mut self,
        head: &SolvedHead,
        journal: &Journal,
        observe: Observer<'_>,
    ) -> Result<Option<Considered>> {
        let images = self.dataset.train.len();
        if images < LEAST || matches!(Task::of(&self.dataset), Task::Labels(_) | Task::Numbers(_)) {
            return Ok(None);
        }
        let Some(from) = self.planned().blocks().into_iter().next() else { return Ok(None) };
        let freeze = Freeze::reused(&self.reused, &Unfreeze::From(from.clone()))?
            .with_statistics(&self.model.graph, &self.reused);
        let steps = images.div_ceil(self.setting.config.batch).max(1);
        let epochs = STEPS.div_ceil(steps).max(EPOCHS);
        let stage = Stage {
            config: StageConfig {
                name: format!("from {from}"),
                unfreeze: Unfreeze::From(from.clone()),
                epochs,
                learning_rate: LEARNING_RATE,
                backbone_lr_factor: 1.0,
                warm_up: true,
                ..StageConfig::default()
            },
            freeze,
            reverts: false,
            averaged_epochs: epochs.div_ceil(2),
        };
        let input = self.pipeline.input().to_vec();
        let plan =
            compile(&self.setting.dtype, &self.model, stage.freeze.clone(), &[input], 1, Statistics::Batch)?
                .plan;
        let work =
            3.0 * plan.multiply_adds()[1] as f64 * (images * stage.config.epochs) as f64 * FOLDS as f64;
        let threads = rayon::current_num_threads() as f64;
        let expected = work / (SPEED * threads.min(8.0));
        drop(plan);
        // on another machine a training that goes on does what it did
        if !journal.recall("unfreezing is tried", || Ok(expected <= MOST_SECONDS))? {
            observe(&Event::Note(&format!(
                "whether training `{from}` and above helps was not tried: it would take about {:.0} minutes; the setting `unfreeze = {from}` trains it",
                expected / 60.0
            )));
            return Ok(None);
        }
        observe(&Event::Begins(&format!(
            "trying on {FOLDS} parts of the photos whether training `{from}` and above helps: about {:.0} s; the setting `head-only` leaves it out",
            expected.max(1.0)
        )));
        let start = Instant::now();
        let folds = self.folds();
        let mut gains: Vec<Vec<f64>> = vec![Vec::new(); SHARES.len()];
        let mut correct: Vec<Vec<bool>> = vec![Vec::new(); SHARES.len()];
        let (mut losses, mut base_right) = (vec![0.0; SHARES.len()], 0);
        for held in 0..FOLDS {
            let name = format!("fold {held}");
            let is_known = journal.knows(&name);
            let found = journal.recall(&name, || self.try_on(held, &folds, head, &stage, journal))?;
            for (index, own) in found.shares.into_iter().enumerate() {
                gains[index].extend(own.gains.iter().map(|gain| gain.0));
                losses[index] += own.loss.0;
                correct[index].extend(own.correct);
            }
            base_right += found.base_right;
            if !is_known {
                journal.save(&self.model, observe)?;
            }
        }
        let stated: Vec<(f64, f64)> = gains.iter().map(|gains| mean_and_error(gains)).collect();
        let best = (0..SHARES.len()).max_by(|a, b| stated[*a].0.total_cmp(&stated[*b].0)).unwrap_or(0);
        let (gain, error) = stated[best];
        let found = correct[best].iter().filter(|correct| **correct).count();
        let accuracy_gain = (found as f64 - base_right as f64) / images as f64;
        let adopted = gain > error && accuracy_gain >= 0.0;
        let mut report = None;
        let mut prospect = head.prospect.clone();
        if adopted {
            // by models that were trained on a part of the images: a little less than the one that is trained on all
            let accuracy = interval::accuracy(&correct[best], None, LEVEL).map_err(refused)?;
            prospect = Prospect {
                accuracy: Some(found as f64 / images as f64),
                interval: [accuracy.low, accuracy.high],
                log_loss: Some(losses[best] / images as f64),
                calibration_error: None,
                ..prospect
            };
            let before = self.model.weights.snapshot();
            let train = self.dataset.train.clone();
            let mut trainer = self.runner(&self.model, &train, journal, "whole");
            let own = trainer.stage(&stage)?;
            mix(&self.model, &before, &self.model.weights.snapshot(), SHARES[best])?;
            trainer.settle(&own)?;
            report = Some((own, stage.freeze));
        }
        let (share, seconds) = (SHARES[best], start.elapsed().as_secs_f64());
        let told = Unfreezing { from, gain, error, accuracy_gain, share, adopted, prospect, seconds };
        Ok(Some(Considered { told, adopted: report }))
    }

    /// The part of each training image: those of one class in turn, and copies of one image in one part.
    fn folds(&self) -> Vec<usize> {
        let mut known = std::collections::HashMap::new();
        let mut counts = std::collections::HashMap::new();
        let part = |example: &Example| {
            let next = counts.entry(format!("{:?}", example.target)).or_insert(0usize);
            let own = *next % FOLDS;
            *next += 1;
            match self.dataset.content(example) {
                Some(content) => *known.entry(content).or_insert(own),
                None => own,
            }
        };
        self.dataset.train.iter().map(part).collect()
    }

    /// A copy of the model whose head is solved on these examples alone.
    fn solved_on(&self, head: &SolvedHead, examples: &[Example]) -> Result<Model> {
        let model = self.model.copy();
        let task = Task::of(&self.dataset);
        let Some(solving) = &self.solving else { return Ok(model) };
        let class_weights = self.setting.config.class_weights.as_ref();
        let Some(work) = solving.work(&self.dataset, &task, class_weights) else { return Ok(model) };
        let chosen: Vec<&Example> = examples.iter().collect();
        let solved = work.solve(&chosen, &solving.reading(head), Method::Mean)?;
        let (kernel, bias) = output_weights(&solved, &task);
        let output = model.graph.calls.last().map_or(0, |call| call.layer);
        let name = &model.graph.layers[output].name;
        model.weights.get(&format!("{name}/kernel"))?.set(&kernel);
        model.weights.get(&format!("{name}/bias"))?.set(&bias);
        Ok(model)
    }

    /// Trains without one part, and says what becomes of that part.
    fn try_on(
        &self,
        held: usize,
        folds: &[usize],
        head: &SolvedHead,
        stage: &Stage,
        journal: &Journal,
    ) -> Result<Tried> {
        let (fit, fold): (Vec<usize>, Vec<usize>) = (0..folds.len()).partition(|index| folds[*index] != held);
        let pick = |indices: &[usize]| -> Vec<Example> {
            indices.iter().map(|index| self.dataset.train[*index].clone()).collect()
        };
        let (fit, fold) = (pick(&fit), pick(&fold));
        let part = self.solved_on(head, &fit)?;
        let before = part.weights.snapshot();
        let base = self.predict_with(&part, &fold)?;
        self.runner(&part, &fit, journal, &format!("fold {held}")).stage(stage)?;
        let after = part.weights.snapshot();
        let mut shares = Vec::new();
        for share in SHARES {
            mix(&part, &before, &after, share)?;
            let own = self.predict_with(&part, &fold)?;
            shares.push(OfShare {
                gains: base.iter().zip(&own).map(|(base, own)| Exact(base.loss - own.loss)).collect(),
                loss: Exact(own.iter().map(|one| one.loss).sum::<f64>()),
                correct: own.iter().map(|one| one.correct).collect(),
            });
        }
        Ok(Tried { shares, base_right: base.iter().filter(|one| one.correct).count() })
    }

    fn runner<'a>(
        &'a self,
        model: &'a Model,
        train: &'a [Example],
        journal: &'a Journal,
        scope: &'a str,
    ) -> StageRunner<'a> {
        let mut trainer =
            StageRunner::new(model, &self.reused, self.source(), &self.setting, &crate::fit::silent);
        (trainer.train, trainer.val) = (train, &[]);
        trainer.kept_in(journal, scope);
        trainer
    }

    /// What a model says of examples.
    fn predict_with(&self, model: &Model, examples: &[Example]) -> Result<Vec<Said>> {
        let viewed = viewed_of(model)?;
        let numbers = &self.setting.dtype;
        let outputs =
            outputs_in_views(&viewed, numbers, self.source(), examples, "train", &crate::fit::silent)?;
        let width = outputs.len() / examples.len().max(1);
        let said = |(row, example): (&[f32], &Example)| {
            let frostline_data::Target::Class(class) = example.target else { return Said::default() };
            let share = match row {
                [one] if class == 0 => 1.0 - one,
                [one] => *one,
                row => row[class],
            };
            let loss = -f64::from(share.max(1e-7)).ln();
            Said { loss, correct: crate::fit::predicted_class(row) == class }
        };
        Ok(outputs.chunks_exact(width.max(1)).zip(examples).map(said).collect())
    }
}

/// What came of training without one part of the images, on that part.
#[derive(Serialize, Deserialize)]
struct Tried {
    /// By [`SHARES`].
    shares: Vec<OfShare>,
    /// Images that are right before.
    base_right: usize,
}

#[derive(Serialize, Deserialize)]
struct OfShare {
    gains: Vec<Exact>,
    loss: Exact,
    correct: Vec<bool>,
}

/// What is said of an image.
#[derive(Clone, Copy, Default)]
struct Said {
    loss: f64,
    correct: bool,
}

/// Sets the weights to a mixture of what was before and after.
fn mix(model: &Model, before: &[(String, Tensor)], after: &[(String, Tensor)], share: f32) -> Result<()> {
    for ((path, before), (_, after)) in before.iter().zip(after) {
        if before.data != after.data {
            let mixed = |(before, after): (&f32, &f32)| before + share * (after - before);
            let mixed: Vec<f32> = before.data.iter().zip(&after.data).map(mixed).collect();
            model.weights.get(path)?.set(&mixed);
        }
    }
    Ok(())
}
