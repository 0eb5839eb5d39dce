//! A search in the folder of a run: what it stands on, and what it leaves.

use super::{FEW, sound};
use crate::Failure;
use crate::args::Depth;
use crate::cache;
use crate::console::Console;
use crate::images::{load_for, provenance};
use crate::train::{given, tell_new, trained};
use frostline::data::{Dataset, SkipReport};
use frostline::depth::{
    Experiment, Outcome, Rounds, Scores, Search, SearchKey, SearchLog, Verdict, candidates, grid,
};
use frostline::fit::{Event, Journal, TrainConfig, silent};
use frostline::formats::LoadReport;
use frostline::graph::Model;
use frostline::report::depth::DepthReport;
use frostline::report::{Provenance, RunFolder, RunRecord};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What trials are of: model, images and settings.
pub(crate) struct Trials {
    pub(crate) experiment: Experiment,
    /// What their outcomes depend on.
    pub(crate) key: SearchKey,
    model: Model,
    loaded: LoadReport,
    skips: SkipReport,
    source: Provenance,
}

impl Trials {
    pub(crate) fn open(command: &Depth, seed: u64, console: &Console) -> Result<Self, Failure> {
        let (model, loaded, dataset, skips, recipe) = opened(command, console)?;
        let source = provenance(&command.model, &command.data, &command.labels, console)?;
        let key = SearchKey::new(&source.model_hash, &dataset, &recipe, seed)?;
        let caching = cache::caching_in(&command.cache, console);
        let experiment = Experiment::new(model.clone(), dataset, recipe, caching, seed)?;
        Ok(Self { experiment, key, model, loaded, skips, source })
    }
}

/// The model, and the sound images of the data.
pub(super) fn opened(
    command: &Depth,
    console: &Console,
) -> Result<(Model, LoadReport, Dataset, SkipReport, TrainConfig), Failure> {
    let (model, loaded) = load_for(&command.model, command.images.image_size, console)?;
    let mut dataset = command.labels.source(&command.data).open_as(&command.labels.reading())?;
    let skips = sound(&mut dataset, console)?;
    let recipe = command.images.onto(TrainConfig::default());
    Ok((model, loaded, dataset, skips, recipe))
}

/// What the features alone say.
pub(super) fn scored(
    command: &Depth,
    (model, dataset, recipe): (&Model, &Dataset, &TrainConfig),
    seed: u64,
    console: &Console,
) -> Result<Scores, Failure> {
    let show = |event: &Event<'_>| console.show(event);
    let scores = Scores::new(model, dataset, recipe, &command.cuts, seed, &show);
    console.clear();
    Ok(scores?)
}

/// A search with its trials.
pub(crate) struct Searching {
    pub(crate) trials: Trials,
    pub(crate) scores: Scores,
    pub(crate) search: Search,
    pub(crate) rounds: Rounds,
    data: PathBuf,
    model_name: PathBuf,
    began: Instant,
}

impl Searching {
    pub(crate) fn begin(command: &Depth, seed: u64, console: &Console) -> Result<Self, Failure> {
        let began = Instant::now();
        let trials = Trials::open(command, seed, console)?;
        let experiment = &trials.experiment;
        let dataset = experiment.development();
        let held = experiment.test().len();
        console.progress(format_args!("{}; {held} held out to score", dataset.summary()));
        let scores = scored(command, (&trials.model, &dataset, experiment.recipe()), seed, console)?;
        let images = experiment.images();
        if images < FEW {
            console.warn(format_args!(
                "{images} images to train and select on: what a part of them says of an arm is chance for the most part"
            ));
        }
        let paths = trials.model.graph.counted_paths();
        let (arms, baselines) =
            if command.exhaustive { grid(&scores, &paths) } else { candidates(&scores, &paths) };
        let rounds = Rounds { repeats: command.repeats, exhaustive: command.exhaustive };
        let search = Search::new(experiment, arms, baselines, rounds)?;
        let (data, model_name) = (command.data.clone(), command.model.path.clone());
        Ok(Self { trials, scores, search, rounds, data, model_name, began })
    }

    /// Opens the folder of the run, and takes over what it holds of the same search.
    pub(crate) fn in_folder(
        &mut self,
        output: &Path,
        console: &Console,
    ) -> Result<(RunFolder, SearchLog), Failure> {
        let (folder, log, known) = RunFolder::create_search(output, &self.data, &self.trials.key)?;
        folder.splits(&self.trials.experiment.held_out(self.rounds.repeats)?)?;
        if !known.is_empty() {
            console.progress(format_args!("{} trainings of an earlier search are taken over", known.len()));
        }
        known.into_iter().for_each(|outcome: Outcome| self.search.tell(outcome));
        Ok((folder, log))
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// What it has found so far.
    pub(crate) fn report(self) -> Result<(DepthReport, Trials), Failure> {
        let experiment = &self.trials.experiment;
        let found = self.search.found(experiment)?;
        let report = DepthReport {
            model: self.model_name.display().to_string(),
            data: self.data.display().to_string(),
            images: [experiment.images(), experiment.test().len()],
            verdict: Verdict::of(&found, self.trials.model.graph.counted_paths().len()),
            learning: self.search.learning_curves(experiment, &found),
            scores: self.scores,
            found,
        };
        Ok((report, self.trials))
    }
}

impl Trials {
    /// Trains the arm that was chosen on all images, and writes the run.
    pub(crate) fn finish(
        self,
        report: &DepthReport,
        folder: RunFolder,
        began: Instant,
        console: &Console,
    ) -> Result<RunRecord, Failure> {
        let mut prepared = self.experiment.whole(&report.verdict.recommended)?;
        prepared.skips = self.skips;
        console.progress(format_args!("training `{}` on all of them", report.verdict.recommended.name));
        folder.begin_training()?;
        let trained = trained(&mut prepared, &Journal::default(), &folder, &silent)?;
        let seconds = began.elapsed().as_secs_f64();
        let folder = folder.telling(self.loaded, given(console));
        let record = folder.finish_search(report, &prepared, &trained, self.source, seconds)?;
        tell_new(&record, &prepared, console);
        Ok(record)
    }
}
