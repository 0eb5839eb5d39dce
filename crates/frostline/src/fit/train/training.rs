//! Runs the stages of a prepared training, and scores what comes out.

use crate::fit::checkpoint::exact::Exact;
use crate::fit::checkpoint::journal::NOWHERE;
use crate::fit::features::feature_store::FeatureStore;
use crate::fit::solved::Considered;
use crate::fit::train::evaluate::{outputs_in_views, score, scored, viewed_of};
use crate::fit::train::gradual::{improvement, standard_error};
use crate::fit::train::stages::Stages;
use crate::fit::{
    Caching, Certificate, Evaluation, Event, GradualConfig, Journal, LearningRates, Metric, Observer,
    Prepared, Prospect, RateSearch, Scores, SolvedHead, Source, Stage, StageReport, StageRunner, Unfreezing,
    frozen_hashes,
};
use frostline_data::Example;
use frostline_engine::compile::{Statistics, compile};
use frostline_graph::ops::MICRO_BATCHES;
use frostline_graph::{Error, Freeze, PrefixDType, Result, Unfreeze};
use frostline_head::novelty::Novelty;

const NOTHING_TO_WATCH: &str = "gradual unfreezing watches the validation score, and there is none\nhelp: give the setting `val = 0.2` and at least one epoch for the head";

/// A rate that was found, and by what it was multiplied.
struct Found {
    search: RateSearch,
    factor: f32,
}

/// What came out of a training. The model's weights are in [`Prepared::model`].
#[derive(Clone, Debug)]
pub struct Trained {
    /// Each stage, in order.
    pub stages: Vec<StageReport>,
    /// How the learning rate was found, where it was looked for.
    pub rate_search: Option<RateSearch>,
    /// The head, where it was solved.
    pub solved: Option<SolvedHead>,
    /// What came of training reused layers after it, where that was tried.
    pub unfreezing: Option<Unfreezing>,
    /// What was frozen in every stage whose result was kept.
    pub freeze: Freeze,
    /// The hashes of its tensors before the first stage and after the last.
    pub certificate: Certificate,
    /// The training scores of the epoch that was kept.
    pub train: Option<Scores>,
    /// The validation scores of the model.
    pub val: Option<Scores>,
    /// The test scores of the model, where the data have a test part.
    pub test: Option<Evaluation>,
    /// The same with the whole model in f32, as Keras runs it, where the frozen part was in other numbers.
    pub test_f32: Option<Evaluation>,
}

impl Trained {
    /// The boundary of the last stage whose result was kept.
    pub fn boundary(&self) -> &[String] {
        self.kept().last().map_or(&[], |stage| &stage.boundary)
    }

    /// How much accuracy the model loses on the test images when it runs in f32 instead of the numbers that it was trained
    /// on, where that is more than the standard error of the accuracy.
    pub fn loss_in_f32(&self) -> Option<f64> {
        let accuracy = |test: &Option<Evaluation>| test.as_ref()?.scores.get(Metric::Accuracy);
        let (rounded, exact) = (accuracy(&self.test)?, accuracy(&self.test_f32)?);
        let images: usize = self.test.as_ref()?.report.as_ref()?.confusion.iter().flatten().sum();
        let error = standard_error(Metric::Accuracy, rounded, images);
        (rounded - exact > error).then_some(rounded - exact)
    }

    /// What is to be expected of new images: of a solved head that nothing was trained after.
    pub fn prospect(&self) -> Option<&Prospect> {
        match &self.unfreezing {
            Some(unfreezing) if unfreezing.adopted => Some(&unfreezing.prospect),
            _ if self.kept().next().is_none() => self.solved.as_ref().map(|head| &head.prospect),
            _ => None,
        }
    }

    /// What tells images that are none of the classes: of a solved head that nothing was trained after.
    pub fn novelty(&self) -> Option<&Novelty> {
        let is_last = self.kept().next().is_none();
        self.solved.as_ref().filter(|_| is_last)?.novelty.as_ref()
    }

    fn kept(&self) -> impl DoubleEndedIterator<Item = &StageReport> {
        self.stages.iter().filter(|stage| stage.kept)
    }
}

impl Prepared {
    /// Runs every stage, then the gradual unfreezing if the recipe asks for it, then scores the test images. The saved
    /// model's `trainable` flags say what was frozen at the end.
    pub fn train(&mut self, observe: Observer<'_>) -> Result<Trained> {
        self.train_with(&NOWHERE, observe)
    }

    /// The same, with checkpoints: goes on where the journal says that the training was stopped.
    ///
    /// # Errors
    ///
    /// As [`Prepared::train`]; and of the kind [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) where the training was to
    /// [`Stop`](crate::fit::Stop).
    pub fn train_with(&mut self, journal: &Journal, observe: Observer<'_>) -> Result<Trained> {
        self.train_kept(journal, &|event| {
            journal.hears(event);
            observe(event);
        })
    }

    fn train_kept(&mut self, journal: &Journal, observe: Observer<'_>) -> Result<Trained> {
        let before = frozen_hashes(&self.model, &Freeze::everything(&self.model.graph));
        let mut kept: Vec<Freeze> = Vec::new();
        let mut stages = Vec::new();
        let solved = self.solve_head(observe)?;
        journal.restore(&self.model)?;
        if solved.is_some() {
            kept.push(
                self.planned().with_statistics(Freeze::reused(&self.reused, &Unfreeze::Nothing)?, false),
            );
        }
        let mut unfreezing = None;
        let considers = self.setting.config.solve.as_ref().is_some_and(|solve| solve.unfreeze);
        if let Some(head) = solved.as_ref().filter(|_| considers && self.setting.config.stage.is_empty())
            && let Some(Considered { told, adopted }) = self.consider_unfreezing(head, journal, observe)?
        {
            unfreezing = Some(told);
            if let Some((report, freeze)) = adopted {
                stages.push(report);
                kept.push(freeze);
            }
        }
        let known = std::mem::take(&mut self.known);
        let rate_search;
        {
            let mut trainer =
                StageRunner::new(&self.model, &self.reused, self.source(), &self.setting, observe);
            trainer.takes(known);
            trainer.kept_in(journal, "stage");
            trainer.announce(self.planned().ahead()?);
            let mut planned = self.stages()?;
            rate_search = self.find_rate(&mut planned, &mut trainer, journal)?;
            for stage in planned {
                let report = trainer.stage(&stage)?;
                trainer.settle(&report)?;
                kept.extend(report.kept.then_some(stage.freeze));
                stages.push(report);
            }
            if let Some(gradual) = &self.setting.config.gradual {
                let begin = match (&solved, &self.dataset.val) {
                    (Some(head), Some(images)) => journal.recall("solved head", || {
                        let found = self.score_solved(head, images)?;
                        Ok(found.map(|found| Exact(self.setting.score(&found.scores))))
                    })?,
                    _ => None,
                };
                let begin = begin.map(|score| score.0);
                let gradual = &GradualConfig {
                    learning_rate: gradual.learning_rate
                        * rate_search.as_ref().map_or(1.0, |found| found.factor),
                    ..gradual.clone()
                };
                self.unfreeze_gradually(gradual, begin, &mut trainer, &mut stages, &mut kept)?;
            }
        }
        let Some(freeze) = kept.iter().cloned().reduce(|all, other| all.and(&other)) else {
            return Err(Error::setting(
                "the recipe trains for no epoch\nhelp: give the setting `epochs = 1` or more".to_owned(),
            ));
        };
        if let Some(last) = kept.last() {
            last.mark(&mut self.model.graph);
        }
        let after = frozen_hashes(&self.model, &freeze);
        let before = before.into_iter().filter(|(path, _)| after.contains_key(path)).collect();
        let certificate = Certificate::new(before, after);
        let last = kept.last().cloned().unwrap_or_default();
        let images = self.dataset.test.as_deref().unwrap_or_default();
        // what was kept for the stages has gone: their frozen layers, and other images' feature vectors in memory
        let from_features = match &solved {
            Some(head) if kept.len() == 1 => self.score_solved(head, images)?,
            Some(_) if !self.model.info.views.is_empty() => self.score_in_views(images, observe)?,
            _ => None,
        };
        let test = match from_features {
            Some(found) => Some(found),
            None => {
                let mut store = FeatureStore::new(&self.setting.caching, self.setting.config.features);
                self.score_test(images, &last, &mut store, observe)?
            }
        };
        let test_f32 = self.score_test_in_f32(images, observe)?;
        let newest = |of: fn(&StageReport) -> Option<&Scores>| {
            stages.iter().rev().filter(|stage| stage.kept).find_map(of).cloned()
        };
        let (train, mut val) = (newest(|stage| stage.train.as_ref()), newest(|stage| stage.val.as_ref()));
        if let (Some(head), None, Some(images)) = (&solved, &val, &self.dataset.val) {
            val = self.score_solved(head, images)?.map(|found| found.scores);
        }
        let rate_search = rate_search.map(|found| found.search);
        Ok(Trained {
            rate_search,
            unfreezing,
            solved,
            freeze,
            certificate,
            train,
            val,
            test,
            test_f32,
            stages,
        })
    }

    /// Looks for the learning rate of the first stage, where that is asked for, and sets those of all stages.
    fn find_rate(
        &self,
        stages: &mut [Stage],
        trainer: &mut StageRunner<'_>,
        journal: &Journal,
    ) -> Result<Option<Found>> {
        let (LearningRates::Auto, Some(first)) = (self.setting.config.learning_rates, stages.first()) else {
            return Ok(None);
        };
        let losses: Vec<Exact> = journal.recall("learning rate", || trainer.range_test(first))?;
        let search = RateSearch::of(&losses.iter().map(|loss| loss.0).collect::<Vec<_>>())?;
        let factor = search.chosen / first.config.learning_rate;
        for (index, stage) in stages.iter_mut().enumerate() {
            let rate = &mut stage.config.learning_rate;
            *rate = if index == 0 { search.chosen } else { *rate * factor };
        }
        (trainer.observe)(&Event::Begins(&format!(
            "the learning rate is {:.2e}, {}: {} rates from {:.0e} to {:.0e} were tried",
            search.chosen,
            search.rule,
            search.rates.len(),
            search.rates.first().unwrap_or(&0.0),
            search.rates.last().unwrap_or(&0.0)
        )));
        Ok(Some(Found { search, factor }))
    }

    /// What the trained model says of the validation images, if there are any.
    #[cfg(feature = "report")]
    pub(crate) fn evaluate_validation(&self, trained: &Trained) -> Result<Option<Evaluation>> {
        let images = self.dataset.val.as_deref().unwrap_or_default();
        let found = match &trained.solved {
            Some(head) if trained.kept().next().is_none() => self.score_solved(head, images)?,
            Some(_) if !self.model.info.views.is_empty() => {
                self.score_in_views(images, &crate::fit::silent)?
            }
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
        let mut store = FeatureStore::new(&self.setting.caching, self.setting.config.features);
        self.score_test(images, &trained.freeze, &mut store, &crate::fit::silent)
    }

    /// The scores on test images, if there are any.
    pub(in crate::fit) fn score_test(
        &self,
        images: &[Example],
        freeze: &Freeze,
        store: &mut FeatureStore,
        observe: Observer<'_>,
    ) -> Result<Option<Evaluation>> {
        self.score_in(&self.setting.dtype, images, freeze, store, observe)
    }

    /// The scores of a solved head on images whose features are known.
    fn score_solved(&self, head: &SolvedHead, images: &[Example]) -> Result<Option<Evaluation>> {
        if images.is_empty() {
            return Ok(None);
        }
        let (loss, metrics) = (&self.setting.loss, self.setting.metrics());
        let outputs = self.solved_outputs(head, images)?;
        Ok(outputs.map(|outputs| scored(outputs, &self.model, self.source(), images, loss, &metrics)))
    }

    /// The scores of a model whose predictions are taken from several views.
    fn score_in_views(&self, images: &[Example], observe: Observer<'_>) -> Result<Option<Evaluation>> {
        if images.is_empty() {
            return Ok(None);
        }
        let (viewed, numbers, source) = (viewed_of(&self.model)?, &self.setting.dtype, self.source());
        let outputs = outputs_in_views(&viewed, numbers, source, images, "test", observe)?;
        let (loss, metrics) = (&self.setting.loss, self.setting.metrics());
        Ok(Some(scored(outputs, &self.model, source, images, loss, &metrics)))
    }

    /// The same with the whole model in f32, where the frozen part is in other numbers: as `evaluate` would, with no
    /// features but the outputs.
    pub(in crate::fit) fn score_test_in_f32(
        &self,
        images: &[Example],
        observe: Observer<'_>,
    ) -> Result<Option<Evaluation>> {
        if matches!(self.setting.dtype, PrefixDType::F32) {
            return Ok(None);
        }
        let (all, mut store) =
            (Freeze::everything(&self.model.graph), FeatureStore::new(&Caching::default(), None));
        self.score_in(&PrefixDType::F32, images, &all, &mut store, observe)
    }

    fn score_in(
        &self,
        numbers: &PrefixDType,
        images: &[Example],
        freeze: &Freeze,
        store: &mut FeatureStore,
        observe: Observer<'_>,
    ) -> Result<Option<Evaluation>> {
        if images.is_empty() {
            return Ok(None);
        }
        let (model, setting, shape) = (&self.model, &self.setting, self.pipeline.input().to_vec());
        // an image for each piece: a training's batch takes a training's memory
        let (batch, moving) = (setting.config.batch.min(MICRO_BATCHES), Statistics::Moving);
        let compiled = compile(numbers, model, freeze.clone(), &[shape], batch, moving)?;
        let (loss, metrics) = (&setting.loss, setting.metrics());
        let found = score(compiled, model, store, self.source(), images, "test", loss, &metrics, observe)?;
        if let Some(image) = found.not_finite {
            let name = &images[image].name;
            observe(&Event::Note(&format!(
                "what the model puts out for the test image `{name}` is no finite number: the test score says nothing"
            )));
        }
        Ok(Some(found))
    }

    /// Where the examples come from.
    pub fn source(&self) -> Source<'_> {
        Source { dataset: &self.dataset, pipeline: &self.pipeline }
    }

    /// The stages of the recipe. Errors: a layer that is not there; nothing to watch for gradual unfreezing.
    pub(in crate::fit) fn stages(&self) -> Result<Vec<Stage>> {
        if self.setting.config.gradual.is_some() && self.dataset.val.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::setting(NOTHING_TO_WATCH.to_owned()));
        }
        self.planned().of_recipe()
    }

    /// What the stages are made of.
    pub(in crate::fit) fn planned(&self) -> Stages<'_> {
        let (model, reused, config) = (&self.model, self.reused.as_slice(), &self.setting.config);
        Stages { model, reused, config, solving: self.solving.as_ref() }
    }

    /// Begins with what the last stage, or the solved head, scores on the validation images.
    ///
    /// Unfreezes block by block from the top for as long as the validation score improves by more than its standard
    /// error. The first block that does not is put back as it was.
    fn unfreeze_gradually(
        &self,
        recipe: &GradualConfig,
        begin: Option<f64>,
        trainer: &mut StageRunner<'_>,
        stages: &mut Vec<StageReport>,
        kept: &mut Vec<Freeze>,
    ) -> Result<()> {
        let metric = self.setting.metric;
        let images = trainer.val.len();
        let score = |report: &StageReport| report.val.as_ref().map(|val| self.setting.score(val));
        let Some(mut best) = stages.last().and_then(score).or(begin) else {
            return Err(Error::setting(NOTHING_TO_WATCH.to_owned()));
        };
        trainer.may_step_back = true;
        for (index, block) in self.planned().blocks().into_iter().enumerate() {
            let stage = self.planned().block(recipe, block)?;
            let before = self.model.weights.snapshot();
            let mut report = trainer.stage(&stage)?;
            let after = score(&report).unwrap_or(best);
            let gained = improvement(metric, best, after);
            report.kept = gained > standard_error(metric, best, images);
            if !report.kept {
                for (path, tensor) in &before {
                    self.model.weights.get(path)?.set(&tensor.data);
                }
                let note = format!(
                    "block {} ({}): {metric} {best:.4} -> {after:.4} is within its standard error; stepped back",
                    index + 1,
                    stage.config.name
                );
                (trainer.observe)(&Event::Note(&note));
                trainer.settle(&report)?;
                stages.push(report);
                return Ok(());
            }
            trainer.settle(&report)?;
            best = after;
            stages.push(report);
            kept.push(stage.freeze);
        }
        Ok(())
    }
}
