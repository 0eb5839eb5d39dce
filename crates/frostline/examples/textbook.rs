//! The textbook's transfer learning program, from "Hands-On Machine Learning", chapter 11: load model A, keep all but
//! its output layer, add an output layer for task B, freeze what is reused, train; unfreeze it, train at a lower rate.
//!
//! It runs twice. With `Share`, model B stands on A's own weights, as `Sequential(model_A.layers[:-1])` does in Keras:
//! training B changes A. With `Copy`, A stays as it was.
//!
//! ```sh
//! cargo run --release --example textbook
//! ```

#![allow(clippy::print_stdout, reason = "it tells what happens")]

use frostline::data::{self, Augment, Pipeline, Preprocess, Resize, Split};
use frostline::fit::{
    Event, Loss, LossSetting, Metric, OptimizerKind, Outputs, Setting, Source, Stage, Trainer, evaluate,
    frozen_hashes,
};
use frostline::formats;
use frostline::graph::{Freeze, Unfreeze};
use frostline::graph::{Keep, Model, Transfer};
use frostline::layers::parse_head;
use std::path::Path;

const SEED: u64 = 42;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo");
    for transfer in [Transfer::Share, Transfer::Copy] {
        println!("{transfer:?}");
        // model_A = keras.models.load_model("my_model_A.h5")
        let model_a = formats::load(&assets.join("my_model_A.h5"))?.model;
        let before = model_a.copy();
        let accuracy = train_b_on_a(&model_a, transfer, &assets.join("fashion_subset.npz"))?;
        println!("  model B: test accuracy {:.2} %", 100.0 * accuracy);
        println!("  model A: {}\n", what_happened(&before, &model_a));
    }
    Ok(())
}

/// Returns the test accuracy of model B.
fn train_b_on_a(
    model_a: &Model,
    transfer: Transfer,
    task_b: &Path,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut dataset = data::open(task_b)?;
    dataset.hold_out(0.2, SEED)?;
    let input = vec![28, 28, 1];
    let pipeline = Pipeline::new(&input, Resize::default(), Augment::default(), Preprocess::None)?;
    let source = Source { dataset: &dataset, pipeline: &pipeline };

    // model_B_on_A = keras.Sequential(model_A.layers[:-1])
    let mut model_b = model_a.keep(&Keep::AllBut(1), transfer)?;
    let reused = model_b.graph.counted_paths();
    // model_B_on_A.add(keras.layers.Dense(1, activation="sigmoid"))
    model_b.push(parse_head("dense(1,sigmoid)")?, &[input], SEED)?;

    // compile(loss="binary_crossentropy", optimizer=SGD(…), metrics=["accuracy"])
    let loss = LossSetting { loss: Loss::BinaryCrossentropy, label_smoothing: 0.0 };
    let setting = Setting {
        optimizer: "sgd(momentum=0.9)".parse::<OptimizerKind>()?,
        seed: SEED,
        ..Setting::new(loss, Outputs::Probabilities, Metric::Accuracy)
    };
    let say = |event: &Event<'_>| {
        if let Event::StageEnds(report) = event
            && let Some(val) = &report.val
        {
            println!(
                "  {}: {} epochs, validation loss {:.4}, {} layers frozen and unchanged",
                report.name, report.epochs, val.loss, report.frozen_layers
            );
        }
    };
    let mut trainer = Trainer::new(&model_b, &reused, source, &setting, &say);
    // for layer in model_B_on_A.layers[:-1]: layer.trainable = False
    let head = Stage {
        name: "head".to_owned(),
        freeze: Freeze::reused(&reused, &Unfreeze::Nothing)?,
        epochs: 4,
        learning_rate: 1e-2,
        backbone_lr_factor: 1.0,
        warm_up: false,
        reverts: false,
        averaged_epochs: 0,
    };
    trainer.stage(&head)?;
    // … layer.trainable = True, and compile again at a lower rate: a stage compiles its own plan
    let unfrozen = Stage {
        name: "unfrozen".to_owned(),
        freeze: Freeze::reused(&reused, &Unfreeze::All)?,
        epochs: 16,
        learning_rate: 1e-3,
        ..head
    };
    trainer.stage(&unfrozen)?;
    // model_B_on_A.evaluate(X_test_B, y_test_B)
    let test = dataset.split(Split::Test);
    let scores = evaluate(&model_b, source, test, "test", &loss, &[Metric::Accuracy], &|_| {})?.scores;
    Ok(scores.get(Metric::Accuracy).unwrap_or(f64::NAN))
}

/// Compares every tensor of A with what it was.
fn what_happened(before: &Model, after: &Model) -> String {
    let hashes = |model: &Model| frozen_hashes(model, &Freeze::everything(&model.graph));
    let (before, after) = (hashes(before), hashes(after));
    let changed: Vec<&str> = before
        .iter()
        .filter(|(path, hash)| after.get(*path) != Some(*hash))
        .map(|(path, _)| path.as_str())
        .collect();
    match changed.is_empty() {
        true => format!("all {} tensors are as they were", before.len()),
        false => format!("{} of {} tensors changed: {}", changed.len(), before.len(), changed.join(", ")),
    }
}
