//! `frostline depth`, and `--keep auto`.

mod searching;
mod sharing;

pub(crate) use searching::{Searching, Trials};
#[cfg(feature = "stores")]
pub(crate) use sharing::COMMAND;
pub(crate) use sharing::merge;

use crate::Failure;
use crate::args::{Budget, Depth};
use crate::console::{Console, table};
use frostline::data::{self, Dataset, SkipReport};
use frostline::depth::{Limits, Outcome, Scores, more_data, search};
use frostline::report::RunFolder;
use frostline::report::depth::{self, DepthReport, Table, scores_document};
use searching::{opened, scored};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// With fewer images a split says next to nothing.
const FEW: usize = 30;

pub(crate) fn run(command: &Depth, seed: u64, console: &Console) -> Result<(), Failure> {
    match (&command.output, command.sharing.shard) {
        (None, _) => scores_alone(command, seed, console),
        (Some(output), None) => whole(command, output, Missing::Train, seed, console),
        (Some(output), Some(shard)) => sharing::run(command, output, shard, seed, console),
    }
}

fn scores_alone(command: &Depth, seed: u64, console: &Console) -> Result<(), Failure> {
    let (model, _, dataset, _, recipe) = opened(command, console)?;
    console.progress(dataset.summary_of(&dataset.train));
    let scores = scored(command, (&model, &dataset, &recipe), seed, console)?;
    match command.json {
        true => console.print(scores_document(&scores)),
        false => show_scores(&scores, console),
    }
}

/// What becomes of trials whose outcomes are not known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// They are trained.
    Train,
    /// They are an error: other processes train them.
    Refuse,
}

/// The search on this machine, from what is known of it to the run.
pub(crate) fn whole(
    command: &Depth,
    output: &Path,
    missing: Missing,
    seed: u64,
    console: &Console,
) -> Result<(), Failure> {
    RunFolder::check_search(output, &command.data)?;
    let mut searching = Searching::begin(command, seed, console)?;
    let began = searching.began();
    let (folder, log) = searching.in_folder(output, console)?;
    let wanted = searching.search.ask().len();
    if missing == Missing::Refuse && wanted > 0 {
        return Err(format!(
            "`{}`: {wanted} trainings of the search are missing\nhelp: let its shards end, or start them again; or give the same command without --shard, which trains them here",
            output.display()
        )
        .into());
    }
    if !command.json {
        show_scores(&searching.scores, console)?;
    }
    let stop = stopped_by_signals(console)?;
    let (until, trainings) = match command.budget {
        None => (None, usize::MAX),
        Some(Budget::Time(time)) => (Some(began + time), usize::MAX),
        Some(Budget::Trainings(trainings)) => (None, trainings),
    };
    let limits = Limits { until, trainings: trainings.into(), stop: &stop };
    let tell = |outcome: &Outcome, done: usize, total: usize| {
        console.progress(format_args!("[{done}/{total}] {}", outcome_line(outcome)));
        console.count("trainings", done, total);
        log.append(outcome)
    };
    search(&searching.trials.experiment, &mut searching.search, &limits, &tell)?;
    console.clear();
    let (report, trials) = searching.report()?;
    if !command.json {
        show_report(&report, console)?;
    }
    let record = trials.finish(&report, folder, began, console)?;
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

fn show_report(report: &DepthReport, console: &Console) -> Result<(), Failure> {
    show(&depth::arms(&report.found, report.images), console)?;
    if let Some(text) = more_data(&report.learning) {
        show(&depth::learning(&report.learning), console)?;
        console.print(format_args!("{text}\n"))?;
    }
    console.print(&report.verdict.text)
}

/// What signals set, but where another process has called the command.
fn stopped_by_signals(console: &Console) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    if !console.is_in_process() {
        ends_on_signals(stop.clone(), console)?;
    }
    Ok(stop)
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
