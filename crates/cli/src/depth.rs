//! `frostline depth`, and `--keep auto`.

use crate::Failure;
use crate::args::{Budget, Depth};
use crate::cache;
use crate::console::{Console, table};
use crate::images::{load_for, provenance};
use crate::train::{given, tell_new, trained};
use frostline::data::{self, Dataset, SkipReport};
use frostline::depth::{
    Experiment, Limits, Outcome, Scores, SearchKey, Verdict, candidates, grid, learning_curves, more_data,
    search,
};
use frostline::fit::{Event, Journal, TrainConfig, silent};
use frostline::graph::Model;
use frostline::report::RunFolder;
use frostline::report::depth::{self, DepthReport, Table, scores_document};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// With fewer images a split says next to nothing.
const FEW: usize = 30;

pub(crate) fn run(command: &Depth, seed: u64, console: &Console) -> Result<(), Failure> {
    if let Some(output) = &command.output {
        RunFolder::check_search(output, &command.data)?;
    }
    let began = Instant::now();
    let (model, loaded) = load_for(&command.model, command.images.image_size, console)?;
    let mut dataset = command.labels.source(&command.data).open_as(&command.labels.reading())?;
    let skips = sound(&mut dataset, console)?;
    let recipe = command.images.onto(TrainConfig::default());
    let scores = |model: &Model, dataset: &Dataset, recipe: &TrainConfig| {
        let scores = Scores::new(model, dataset, recipe, &command.cuts, seed, &|event: &Event<'_>| {
            console.show(event)
        });
        console.clear();
        scores
    };
    let Some(output) = &command.output else {
        console.progress(dataset.summary_of(&dataset.train));
        let scores = scores(&model, &dataset, &recipe)?;
        return match command.json {
            true => console.print(scores_document(&scores)),
            false => show_scores(&scores, console),
        };
    };
    let source = provenance(&command.model, &command.data, &command.labels, console)?;
    let key = SearchKey::new(&source.model_hash, &dataset, &recipe, seed)?;
    let caching = cache::caching_in(&command.cache, console);
    let experiment = Experiment::new(&model, dataset, recipe, caching, seed)?;
    let (dataset, recipe) = (experiment.development(), experiment.recipe());
    console.progress(format_args!("{}; {} held out to score", dataset.summary(), experiment.test().len()));
    let scores = scores(&model, &dataset, recipe)?;
    let (folder, log, known) = RunFolder::create_search(output, &command.data, &key)?;
    folder.splits(&experiment.held_out(command.repeats)?)?;
    if !known.is_empty() {
        console.progress(format_args!("{} trainings of an earlier search are taken over", known.len()));
    }
    if !command.json {
        show_scores(&scores, console)?;
    }
    let [images, test] = [experiment.images(), experiment.test().len()];
    if images < FEW {
        console.warn(format_args!(
            "{images} images to train and select on: what a part of them says of an arm is chance for the most part"
        ));
    }
    let stop = Arc::new(AtomicBool::new(false));
    if !console.is_in_process() {
        ends_on_signals(stop.clone(), console)?;
    }
    let (until, trainings) = match command.budget {
        None => (None, usize::MAX),
        Some(Budget::Time(time)) => (Some(began + time), usize::MAX),
        Some(Budget::Trainings(trainings)) => (None, trainings),
    };
    let limits = Limits {
        repeats: command.repeats,
        exhaustive: command.exhaustive,
        until,
        trainings: trainings.into(),
        stop: &stop,
    };
    let tell = |outcome: &Outcome, done: usize, total: usize| {
        console.progress(format_args!("[{done}/{total}] {}", outcome_line(outcome)));
        console.count("trainings", done, total);
        log.append(outcome)
    };
    let paths = model.graph.counted_paths();
    let (arms, baselines) =
        if command.exhaustive { grid(&scores, &paths) } else { candidates(&scores, &paths) };
    let mut found = search(&experiment, arms, baselines, &known, &limits, &tell)?;
    let (learning, is_whole) = learning_curves(&experiment, &found, &known, &limits, &tell)?;
    found.is_cut_short |= !is_whole;
    console.clear();
    let report = DepthReport {
        model: command.model.path.display().to_string(),
        data: command.data.display().to_string(),
        images: [images, test],
        verdict: Verdict::of(&found, paths.len()),
        scores,
        found,
        learning,
    };
    if !command.json {
        show(&depth::arms(&report.found, report.images), console)?;
        if let Some(text) = more_data(&report.learning) {
            show(&depth::learning(&report.learning), console)?;
            console.print(format_args!("{text}\n"))?;
        }
        console.print(&report.verdict.text)?;
    }
    let mut prepared = experiment.whole(&report.verdict.recommended)?;
    prepared.skips = skips;
    console.progress(format_args!("training `{}` on all of them", report.verdict.recommended.name));
    folder.begin_training()?;
    let trained = trained(&mut prepared, &Journal::default(), &folder, &silent)?;
    let seconds = began.elapsed().as_secs_f64();
    let folder = folder.telling(loaded, given(console));
    let record = folder.finish_search(&report, &prepared, &trained, source, seconds)?;
    tell_new(&record, &prepared, console);
    match command.json {
        true => console.print(report.document()),
        false => console.print(format_args!(
            "wrote {} and {}{}",
            record.model.display(),
            output.join("report.html").display(),
            if report.found.is_cut_short { "; the same command goes on with the search" } else { "" }
        )),
    }
}

/// Lets signals end a search: what has begun is finished first, but for the second.
fn ends_on_signals(asked: Arc<AtomicBool>, console: &Console) -> Result<(), Failure> {
    let tell_of_end =
        console.in_handler("ending the search: what has begun is finished first; once more ends at once");
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        tell_of_end();
    })?;
    Ok(())
}

/// Leaves the damaged images out, and tells of them and of those that are there more than once.
fn sound(dataset: &mut Dataset, console: &Console) -> Result<SkipReport, Failure> {
    dataset.warnings.iter().for_each(|warning| console.warn(warning));
    if dataset.is_regression() {
        return Ok(SkipReport::default()); // scores are of classes, and say so
    }
    let images = dataset.examples().count();
    let skips = data::check_all(dataset, &|done| console.count("checking images", done, images))?;
    console.clear();
    skips.note().iter().chain(&skips.odd_note()).for_each(|note| console.warn(note));
    *dataset = dataset.without(&skips);
    dataset.know_contents()?;
    dataset.duplicates().iter().for_each(|warning| console.warn(warning));
    Ok(skips)
}

/// `split 2: `top, head only` finds 61.5 % of the images that are held out (0.8 s)`.
fn outcome_line(outcome: &Outcome) -> String {
    let Outcome { arm, repeat, share, validation_accuracy, seconds, .. } = outcome;
    let part = if *share < 1.0 { format!(" on {:.0} % of the images", 100.0 * share) } else { String::new() };
    format!(
        "split {}: `{arm}`{part} finds {:.1} % of what is held out ({seconds:.1} s)",
        repeat + 1,
        100.0 * validation_accuracy
    )
}

fn show_scores(scores: &Scores, console: &Console) -> Result<(), Failure> {
    show(&depth::cuts(scores), console)?;
    show(&depth::freezes(scores), console)
}

fn show(of: &Table, console: &Console) -> Result<(), Failure> {
    let titles = of.titles.iter().map(|(title, _)| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = [titles].into_iter().chain(of.rows.iter().cloned()).collect();
    let right: Vec<bool> = of.titles.iter().map(|(_, is_number)| *is_number).collect();
    console.print(format_args!("{}\n\n{}\n", table(&rows, &right), of.note))
}
