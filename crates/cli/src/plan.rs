//! `frostline plan`.

use crate::Failure;
use crate::args::Plan;
use crate::cache::bytes;
use crate::console::{Console, table};
use crate::train::prepared;
use frostline::fit::{BoundaryPlan, Check, SolvePlan, StagePlan, TrainingPlan};

pub(crate) fn run(command: &Plan, seed: u64, console: &Console) -> Result<(), Failure> {
    let (prepared, _) = prepared(
        Check::Decode,
        &command.model,
        &command.data,
        &command.labels,
        &command.training,
        seed,
        console,
    )?;
    let plan = prepared.plan()?;
    if command.json {
        return console.print(serde_json::to_string(&plan)?);
    }
    show(&plan, console)
}

fn show(plan: &TrainingPlan, console: &Console) -> Result<(), Failure> {
    let [train, val, test] = plan.images;
    console.print(format_args!("{train} images to train on, {val} to validate, {test} to test"))?;
    if let Some(solve) = &plan.solve {
        console.print("\nthe head is solved")?;
        console.print(table(&solving(solve), &[false]))?;
    }
    for stage in &plan.stages {
        console.print(format_args!("\nstage `{}`, up to {} epochs", stage.name, stage.epochs))?;
        console.print(table(&facts(stage), &[false]))?;
    }
    if !plan.boundaries.is_empty() {
        console.print("\nfeatures of frozen layers, by the boundary that they leave")?;
        console
            .print(table(&boundaries(&plan.boundaries), &[false, false, true, true, false, true, false]))?;
    }
    console.print("")?;
    if plan.gradual_blocks > 0 {
        let blocks = plan.gradual_blocks;
        console
            .print(format_args!("then up to {blocks} blocks are unfrozen, one by one; not counted below"))?;
    }
    if let Some(peak) = plan.peak_bytes {
        console.print(format_args!("peak memory  {}", bytes(peak)))?;
    }
    console.print(format_args!("total time   {:.1} s without early stopping", plan.seconds))
}

fn solving(plan: &SolvePlan) -> Vec<Vec<String>> {
    let views: Vec<String> = plan.views.iter().map(ToString::to_string).collect();
    let rows = [
        ("reads", format!("up to {} layers, from `{}` down", plan.cuts.len(), plan.cuts[0])),
        ("views", views.join(", ")),
        (
            "features",
            format!(
                "{} of {} images, {} of them cached",
                bytes(plan.feature_bytes),
                plan.images,
                plan.cached_images
            ),
        ),
        ("time", format!("{:.1} s for features", plan.seconds)),
    ];
    rows.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect()
}

fn boundaries(plans: &[BoundaryPlan]) -> Vec<Vec<String>> {
    let titles = ["  boundary", "stages", "vectors", "size", "made from", "by itself", "stored"];
    let row = |plan: &BoundaryPlan| {
        let stored = match (plan.stored, &plan.made_in) {
            (true, None) => "yes, already".to_owned(),
            (true, Some(stage)) => format!("yes, in the pass of `{stage}`"),
            (false, _) => "no, computed in every epoch".to_owned(),
        };
        vec![
            format!("  {}", plan.boundary.join(", ")),
            plan.stages.join(", "),
            plan.vectors.to_string(),
            bytes(plan.bytes),
            plan.from.as_ref().map_or("images".to_owned(), |from| from.join(", ")),
            format!("{:.1} s", plan.seconds),
            stored,
        ]
    };
    let titles = titles.map(str::to_owned).to_vec();
    [titles].into_iter().chain(plans.iter().map(row)).collect()
}

fn facts(stage: &StagePlan) -> Vec<Vec<String>> {
    let trains = match stage.trained.as_slice() {
        [first, .., last] => format!("{} layers, from `{first}` to `{last}`", stage.trained.len()),
        one => format!("`{}`", one.join("")),
    };
    let [below, above] = stage.multiply_adds.map(|count| count as f64 / 1e6);
    let rows = [
        ("trains", format!("{trains}: {} parameters", stage.trained_parameters)),
        ("frozen", format!("{} layers", stage.frozen_layers)),
        ("boundary", stage.boundary.join(", ")),
        ("multiply-adds", format!("{below:.1} M an image below the boundary, {above:.1} M above")),
        (
            "features",
            format!(
                "{} in {} feature vectors, {} of them cached",
                bytes(stage.feature_bytes),
                stage.vectors,
                stage.cached_vectors
            ),
        ),
        ("step buffers", bytes(stage.buffer_bytes)),
        (
            "time",
            format!(
                "{:.1} s for features, {:.2} s an epoch of {} steps: {:.1} s",
                stage.feature_seconds,
                stage.epoch_seconds,
                stage.steps,
                stage.seconds()
            ),
        ),
    ];
    rows.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect()
}
