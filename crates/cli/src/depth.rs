//! `frostline depth`, and `--keep auto`.

use crate::Failure;
use crate::args::Depth;
use crate::cache;
use crate::console::{Console, table};
use crate::images::load;
use frostline::data::{self, Dataset};
use frostline::depth::{
    Arm, CutScore, Estimate, Experiment, Found, Limits, Outcome, SearchKey, SearchLog, Verdict, candidates,
    recommended, score_cuts, search,
};
use frostline::fit::{Caching, Head, Recipe, silent};
use frostline::graph::{Keep, Model};
use frostline::report::{Provenance, RunFolder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) fn run(command: &Depth, seed: u64, console: &Console) -> Result<(), Failure> {
    if let Some(output) = &command.output {
        RunFolder::check(output, &command.data)?;
    }
    let (model, _) = load(&command.model, console)?;
    let mut dataset = data::open(&command.data)?;
    let recipe = command.images.onto(Recipe::default());
    let Some(output) = &command.output else {
        let scores = scores(&model, &dataset, &recipe, &command.cuts, console)?;
        return match command.json {
            true => console.print(json!({ "recommended": lowest(&scores), "scores": of_cuts(&scores) })),
            false => show_cuts(&scores, console),
        };
    };
    let began = Instant::now();
    let skips = data::check_all(&dataset, &|_| {})?;
    dataset = dataset.without(&skips);
    let scores = scores(&model, &dataset, &recipe, &command.cuts, console)?;
    let source = Provenance::new(&command.model, &command.data, rayon::current_num_threads())?;
    let key = SearchKey::new(&source.model_hash, &dataset, &recipe, seed)?;
    let caching = Caching::Disk(cache::open(command.cache.as_deref(), command.cache_limit)?);
    let experiment = Experiment::new(&model, dataset, recipe, caching, seed)?;
    let folder = RunFolder::create(output, &command.data)?;
    let (log, known) = SearchLog::open(&folder.search(), &key)?;
    if !known.is_empty() {
        console.progress(format_args!("{} trainings of an earlier search are taken over", known.len()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let limits = Limits { repeats: command.repeats, time: command.budget, stop: &stop };
    let tell = |outcome: &Outcome, done: usize, total: usize| {
        console.count(&outcome.arm, done, total);
        log.append(outcome)
    };
    let paths = model.graph.counted_paths();
    let found = search(&experiment, candidates(&scores, &paths), known, &limits, &tell)?;
    console.clear();
    let verdict = Verdict::of(&found, paths.len());
    let document = document(&scores, &found, &verdict);
    if !command.json {
        show_cuts(&scores, console)?;
        show_arms(&found, &experiment, console)?;
        console.print(format_args!("\n{}", verdict.text))?;
    }
    let mut prepared = experiment.whole(&verdict.recommended)?;
    prepared.skips = skips;
    let trained = prepared.train(&silent)?;
    folder.found(&document)?;
    let record = folder.finish(&prepared, &trained, source, began.elapsed().as_secs_f64())?;
    match command.json {
        true => console.print(document),
        false => console.print(format_args!("wrote {}", record.model.display())),
    }
}

fn lowest(scores: &[CutScore]) -> Option<&str> {
    recommended(scores).map(|best| best.cut.path.as_str())
}

fn of_cuts(scores: &[CutScore]) -> Vec<Value> {
    let score = |score: &CutScore| {
        json!({
            "cut": score.cut.path, "kept": score.cut.layers, "shape": score.cut.shape,
            "probe": score.probe.accuracy(), "probe_error": score.probe.error(),
            "logme": score.logme, "hscore": score.h_score,
        })
    };
    scores.iter().map(score).collect()
}

/// What `--json` prints of a search.
fn document(scores: &[CutScore], found: &Found, verdict: &Verdict) -> Value {
    let arm = |arm: &Arm| {
        let score = found.score(arm);
        let outcomes = found.of(arm);
        let seconds = outcomes.iter().map(|outcome| outcome.seconds).reduce(|sum, more| sum + more);
        json!({
            "name": arm.name, "kept": arm.kept, "kept_layers": arm.kept_layers, "frozen": arm.frozen_layers,
            "training": arm.training,
            "selection": outcomes.iter().map(|outcome| outcome.fold).collect::<Vec<f64>>(),
            "scores": outcomes.iter().map(Outcome::quoted).collect::<Vec<f64>>(),
            "mean": score.map(|score| score.mean), "sd": score.map(|score| score.sd),
            "ci": score.filter(|score| score.error.is_finite()).map(|score| score.ci),
            "cost": { "inference": found.costs.get(&arm.kept), "seconds": seconds.map(|sum| sum / outcomes.len() as f64) },
        })
    };
    let controls = &found.controls;
    json!({
        "verdict": verdict,
        "arms": found.arms.iter().map(|(one, _)| arm(one)).collect::<Vec<Value>>(),
        "scores": of_cuts(scores),
        "controls": {
            "scratch": arm(&controls.scratch), "probe": arm(&controls.probe),
            "full": arm(&controls.full), "gradual": arm(&controls.gradual),
        },
    })
}

fn show_cuts(scores: &[CutScore], console: &Console) -> Result<(), Failure> {
    let best = lowest(scores);
    let titles = ["cut", "layers", "output", "probe", "error", "LogME", "H-score", ""];
    let row = |score: &CutScore| {
        let extents: Vec<String> = score.cut.shape.iter().map(usize::to_string).collect();
        vec![
            score.cut.path.clone(),
            score.cut.layers.to_string(),
            extents.join("x"),
            format!("{:.1} %", 100.0 * score.probe.accuracy()),
            format!("{:.4}", score.probe.error()),
            format!("{:.3}", score.logme),
            format!("{:.2}", score.h_score),
            if best == Some(&score.cut.path) { "<- keep".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> =
        [titles.map(str::to_owned).to_vec()].into_iter().chain(scores.iter().map(row)).collect();
    console.print(table(&rows, &[false, true, false, true, true, true, true]))?;
    console.print("")?;
    console.print(format_args!(
        "probe: share of {} images whose class a linear probe on the features finds when it was fitted to the others; error: its mean squared error, by which cuts are chosen: the lowest that is as good as the best within a standard error",
        scores[0].probe.errors.len()
    ))
}

fn show_arms(found: &Found, experiment: &Experiment<'_>, console: &Console) -> Result<(), Failure> {
    let titles = [
        "arm",
        "kept",
        "frozen",
        "splits",
        "selection",
        "quoted",
        "95 % interval",
        "over scratch",
        "parameters",
        "ms",
        "s",
        "",
    ];
    let percent = |value: f64| format!("{:.1}", 100.0 * value);
    let interval = |estimate: &Estimate| match estimate.error.is_finite() {
        true => format!("{} to {}", percent(estimate.ci[0]), percent(estimate.ci[1])),
        false => "-".to_owned(),
    };
    let row = |(index, (arm, outcomes)): (usize, &(Arm, Vec<Outcome>))| {
        let count = outcomes.len() as f64;
        let mean = |of: fn(&Outcome) -> f64| match outcomes.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.1}", outcomes.iter().map(of).sum::<f64>() / count),
        };
        let score = found.score(arm);
        let gain = found.gain(arm, &found.controls.scratch).filter(|_| *arm != found.controls.scratch);
        let cost = found.costs.get(&arm.kept);
        vec![
            arm.name.clone(),
            arm.kept_layers.to_string(),
            arm.frozen_layers.to_string(),
            outcomes.len().to_string(),
            mean(|outcome| 100.0 * outcome.fold),
            score.map_or("-".to_owned(), |score| match score.error.is_finite() {
                true => format!("{} ± {}", percent(score.mean), percent(score.sd)),
                false => percent(score.mean),
            }),
            score.as_ref().map_or("-".to_owned(), interval),
            gain.map_or("-".to_owned(), |gain| format!("{:+.1}", 100.0 * gain.mean)),
            cost.map_or("-".to_owned(), |cost| cost.parameters.to_string()),
            cost.map_or("-".to_owned(), |cost| format!("{:.1}", cost.milliseconds)),
            mean(|outcome| outcome.seconds),
            if index == found.recommended { "<- use".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = [titles.map(str::to_owned).to_vec()]
        .into_iter()
        .chain(found.arms.iter().enumerate().map(row))
        .collect();
    console.print(format_args!(
        "\n{} images to train and select on, {} quoted, by which nothing is selected; accuracies in %; ms: an image through the whole model; s: a training",
        experiment.development().len(),
        experiment.quoted().len()
    ))?;
    console.print(table(&rows, &[false, true, true, true, true, true, true, true, true, true, true]))
}

/// How much of a model is kept by `--keep auto`.
pub(crate) fn keep(
    model: &Model,
    dataset: &Dataset,
    recipe: &Recipe,
    console: &Console,
) -> Result<Keep, Failure> {
    if recipe.head == Head::Keep {
        return Err(
            "--head keep leaves the graph as it is, --keep auto cuts it\nhelp: give one of them".into()
        );
    }
    let scores = scores(model, dataset, recipe, &[], console)?;
    let best = recommended(&scores).ok_or(
        "no image could be loaded\nhelp: `frostline train` without --keep auto names the damaged ones",
    )?;
    console.warn(format_args!(
        "--keep auto keeps the {} layers up to `{}`, whose probe finds {:.1} % of the classes; `frostline depth` shows all cuts",
        best.cut.layers,
        best.cut.path,
        100.0 * best.probe.accuracy()
    ));
    Ok(Keep::Layer(best.cut.path.clone()))
}

fn scores(
    model: &Model,
    dataset: &Dataset,
    recipe: &Recipe,
    cuts: &[String],
    console: &Console,
) -> Result<Vec<CutScore>, Failure> {
    let scores = score_cuts(model, dataset, recipe, cuts, &|event| console.show(event))?;
    console.clear();
    Ok(scores)
}
