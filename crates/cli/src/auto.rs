//! What `--keep auto` and `--unfreeze auto` choose.

use crate::Failure;
use crate::console::Console;
use frostline::data::Dataset;
use frostline::depth::{recommended, recommended_freeze, score_cuts, score_freezes};
use frostline::fit::{Head, TrainConfig};
use frostline::graph::{Keep, Model, Unfreeze, as_flag};

const NO_IMAGE: &str =
    "no image could be loaded\nhelp: `frostline train` without `auto` names the damaged ones";

/// How much of a model is kept by `--keep auto`.
pub(crate) fn keep(
    model: &Model,
    dataset: &Dataset,
    recipe: &TrainConfig,
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
    console.progress(format_args!(
        "--keep auto keeps the {} layers up to `{}`, whose probe finds {:.1} % of the classes; `frostline depth` shows all cuts",
        best.cut.layers,
        as_flag(&best.cut.path),
        100.0 * best.probe.accuracy()
    ));
    Ok(Keep::Layer(best.cut.path.clone()))
}

/// How far down to train what is kept by `--unfreeze auto`.
pub(crate) fn unfreeze(
    model: &Model,
    dataset: &Dataset,
    recipe: &TrainConfig,
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
        Some(layer) => format!("trains from `{}` up", as_flag(layer)),
        None => "trains the head alone".to_owned(),
    };
    console.progress(format_args!(
        "--unfreeze auto {what}, as the tangent kernel says; `frostline depth` shows all"
    ));
    Ok(best.from.clone().map_or(Unfreeze::Nothing, Unfreeze::From))
}
