//! `frostline depth`, and `--keep auto`.

use crate::Failure;
use crate::args::Depth;
use crate::cache;
use crate::console::{Console, table};
use crate::images::load;
use frostline::data::{self, Dataset};
use frostline::depth::{
    Arm, CutScore, Estimate, Experiment, Found, FreezeScore, HeadScore, Limits, Outcome, SearchKey,
    SearchLog, Verdict, candidates, grid, recommended, recommended_freeze, score_cuts, score_freezes, search,
};
use frostline::fit::{Caching, Event, Head, Recipe, silent};
use frostline::freeze::Unfreeze;
use frostline::graph::{Keep, Model};
use frostline::report::{Provenance, RunFolder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const NO_IMAGE: &str =
    "no image could be loaded\nhelp: `frostline train` without `auto` names the damaged ones";

pub(crate) fn run(command: &Depth, seed: u64, console: &Console) -> Result<(), Failure> {
    if let Some(output) = &command.output {
        RunFolder::check(output, &command.data)?;
    }
    let (model, _) = load(&command.model, console)?;
    let mut dataset = data::open(&command.data)?;
    let recipe = command.images.onto(Recipe::default());
    let Some(output) = &command.output else {
        let scores = Scores::new(&model, &dataset, &recipe, &command.cuts, seed, console)?;
        return match command.json {
            true => console.print(json!({
                "recommended": lowest(&scores.cuts), "unfreeze": scores.unfreeze(), "scores": of_cuts(&scores.cuts),
                "freezes": of_freezes(&scores.freezes), "head": scores.head,
            })),
            false => scores.show(console),
        };
    };
    let began = Instant::now();
    let skips = data::check_all(&dataset, &|_| {})?;
    dataset = dataset.without(&skips);
    let source = Provenance::new(&command.model, &command.data, rayon::current_num_threads())?;
    let key = SearchKey::new(&source.model_hash, &dataset, &recipe, seed)?;
    let caching = Caching::Disk(cache::open(command.cache.as_deref(), command.cache_limit)?);
    let experiment = Experiment::new(&model, dataset, recipe, caching, seed)?;
    let (dataset, recipe) = (experiment.development(), experiment.recipe());
    let scores = Scores::new(&model, &dataset, recipe, &command.cuts, seed, console)?;
    let folder = RunFolder::create(output, &command.data)?;
    let (log, known) = SearchLog::open(&folder.search(), &key)?;
    if !known.is_empty() {
        console.progress(format_args!("{} trainings of an earlier search are taken over", known.len()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let limits = Limits {
        repeats: command.repeats,
        exhaustive: command.exhaustive,
        time: command.budget,
        stop: &stop,
    };
    let tell = |outcome: &Outcome, done: usize, total: usize| {
        console.count(&outcome.arm, done, total);
        log.append(outcome)
    };
    let paths = model.graph.counted_paths();
    let arms = if command.exhaustive { grid(&scores.cuts, &paths) } else { candidates(&scores.cuts, &paths) };
    let found = search(&experiment, arms, known, &limits, &tell)?;
    console.clear();
    let verdict = Verdict::of(&found, paths.len());
    let document = document(&scores, &found, &verdict);
    if !command.json {
        scores.show(console)?;
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

fn of_freezes(scores: &[FreezeScore]) -> Vec<Value> {
    let score = |score: &FreezeScore| {
        json!({
            "from": score.from, "frozen": score.frozen_layers, "probe": score.probe.accuracy(),
            "probe_error": score.probe.error(),
        })
    };
    scores.iter().map(score).collect()
}

/// What `--json` prints of a search.
fn document(scores: &Scores, found: &Found, verdict: &Verdict) -> Value {
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
        "scores": of_cuts(&scores.cuts),
        "freezes": of_freezes(&scores.freezes),
        "head": scores.head,
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

fn show_freezes(scores: &[FreezeScore], kept: &str, console: &Console) -> Result<(), Failure> {
    let best = recommended_freeze(scores).map(|best| best.frozen_layers);
    let row = |score: &FreezeScore| {
        vec![
            score.from.clone().unwrap_or_else(|| "the head alone".to_owned()),
            score.frozen_layers.to_string(),
            format!("{:.1} %", 100.0 * score.probe.accuracy()),
            format!("{:.4}", score.probe.error()),
            if best == Some(score.frozen_layers) { "<- train".to_owned() } else { String::new() },
        ]
    };
    let titles = ["train from", "frozen", "kernel", "error", ""].map(str::to_owned).to_vec();
    let rows: Vec<_> = [titles].into_iter().chain(scores.iter().map(row)).collect();
    console.print(table(&rows, &[false, true, true, true]))?;
    console.print(format_args!(
        "\nwith all up to `{kept}` kept; kernel: share of {} images whose class ridge regression on the tangent kernel of the layers that train finds when it was fitted to the others",
        scores.first().map_or(0, |score| score.probe.errors.len())
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
        experiment.images(),
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
    let (scores, _) = score_cuts(model, dataset, recipe, &[], &|event| console.show(event))?;
    console.clear();
    let best = recommended(&scores).ok_or(NO_IMAGE)?;
    console.warn(format_args!(
        "--keep auto keeps the {} layers up to `{}`, whose probe finds {:.1} % of the classes; `frostline depth` shows all cuts",
        best.cut.layers,
        best.cut.path,
        100.0 * best.probe.accuracy()
    ));
    Ok(Keep::Layer(best.cut.path.clone()))
}

/// How far down to train what is kept by `--unfreeze auto`.
pub(crate) fn unfreeze(
    model: &Model,
    dataset: &Dataset,
    recipe: &Recipe,
    seed: u64,
    console: &Console,
) -> Result<Unfreeze, Failure> {
    let keep = recipe.keep.clone().unwrap_or_else(|| model.graph.default_keep());
    let kept = model.graph.highest_kept(&keep).filter(|_| recipe.head != Head::Keep).ok_or(
        "--unfreeze auto scores a new head on what is kept\nhelp: leave --head keep out, and name the highest layer with --keep",
    )?;
    let scores = score_freezes(model, dataset, recipe, &kept, &[], seed, &|event| console.show(event))?;
    console.clear();
    let best = recommended_freeze(&scores).ok_or(NO_IMAGE)?;
    let what = match &best.from {
        Some(layer) => format!("trains from `{layer}` up"),
        None => "trains the head alone".to_owned(),
    };
    console.warn(format_args!(
        "--unfreeze auto {what}, as the tangent kernel says; `frostline depth` shows all"
    ));
    Ok(best.from.clone().map_or(Unfreeze::Nothing, Unfreeze::From))
}

/// What is known before anything is trained.
struct Scores {
    cuts: Vec<CutScore>,
    head: Option<HeadScore>,
    /// Below the cut that is recommended.
    freezes: Vec<FreezeScore>,
}

impl Scores {
    fn new(
        model: &Model,
        dataset: &Dataset,
        recipe: &Recipe,
        named: &[String],
        seed: u64,
        console: &Console,
    ) -> Result<Self, Failure> {
        let observe = |event: &Event<'_>| console.show(event);
        let (cuts, head) = score_cuts(model, dataset, recipe, named, &observe)?;
        let kept = &recommended(&cuts).ok_or(NO_IMAGE)?.cut.path;
        let freezes = score_freezes(model, dataset, recipe, kept, named, seed, &observe)?;
        console.clear();
        Ok(Self { cuts, head, freezes })
    }

    fn unfreeze(&self) -> Option<&str> {
        recommended_freeze(&self.freezes)?.from.as_deref()
    }

    fn show(&self, console: &Console) -> Result<(), Failure> {
        show_cuts(&self.cuts, console)?;
        if let Some(HeadScore { leep, nce }) = self.head {
            console.print(format_args!(
                "the model's own classes predict the labels with LEEP {leep:.3} and NCE {nce:.3} (mean log likelihoods)"
            ))?;
        }
        console.print("")?;
        show_freezes(&self.freezes, lowest(&self.cuts).unwrap_or_default(), console)
    }
}
