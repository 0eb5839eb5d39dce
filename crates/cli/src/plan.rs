//! `frostline plan`.

use crate::Failure;
use crate::args::Plan;
use crate::cache::bytes;
use crate::console::{Console, table};
use crate::train::prepared;
use frostline::fit::{StagePlan, TrainingPlan};

pub(crate) fn run(command: &Plan, seed: u64, console: &Console) -> Result<(), Failure> {
    let prepared = prepared(&command.model, &command.data, &command.training, seed, console)?;
    let plan = prepared.plan()?;
    if command.json {
        return console.print(serde_json::to_string(&plan)?);
    }
    show(&plan, console)
}

fn show(plan: &TrainingPlan, console: &Console) -> Result<(), Failure> {
    let [train, val, test] = plan.images;
    console.print(format_args!("{train} images to train on, {val} to validate, {test} to test"))?;
    for stage in &plan.stages {
        console.print(format_args!("\nstage `{}`, up to {} epochs", stage.name, stage.epochs))?;
        console.print(table(&facts(stage), &[false]))?;
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
                "{} in {} rows, {} of them cached",
                bytes(stage.feature_bytes),
                stage.rows,
                stage.cached_rows
            ),
        ),
        ("step buffers", bytes(stage.buffer_bytes)),
        (
            "time",
            format!(
                "{:.1} s for the missing features, {:.2} s an epoch of {} steps: {:.1} s",
                stage.feature_seconds,
                stage.epoch_seconds,
                stage.steps,
                stage.seconds()
            ),
        ),
    ];
    rows.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect()
}
