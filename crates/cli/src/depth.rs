//! `frostline depth`, and `--keep auto`.

use crate::Failure;
use crate::args::Depth;
use crate::console::{Console, table};
use crate::images::load;
use frostline::data::{self, Dataset};
use frostline::depth::{CutScore, recommended, score_cuts};
use frostline::fit::{Head, Recipe};
use frostline::graph::{Keep, Model};
use serde_json::json;

pub(crate) fn run(command: &Depth, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    let dataset = data::open(&command.data)?;
    let scores = scores(&model, &dataset, &command.images.onto(Recipe::default()), console)?;
    let best = recommended(&scores).map(|best| best.cut.path.as_str());
    if command.json {
        let score = |score: &CutScore| {
            json!({
                "cut": score.cut.path, "kept": score.cut.layers, "shape": score.cut.shape,
                "probe": score.probe.accuracy(), "probe_error": score.probe.error(),
                "logme": score.logme, "hscore": score.h_score,
            })
        };
        let all: Vec<_> = scores.iter().map(score).collect();
        return console.print(json!({ "recommended": best, "scores": all }));
    }
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
    let scores = scores(model, dataset, recipe, console)?;
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
    console: &Console,
) -> Result<Vec<CutScore>, Failure> {
    let scores = score_cuts(model, dataset, recipe, &|event| console.show(event))?;
    console.clear();
    Ok(scores)
}
