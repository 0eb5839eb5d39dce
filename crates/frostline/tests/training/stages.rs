//! Stages that make it worse are stepped back.

use crate::task::{recipe, run, stage};
use frostline::fit::{Check, GradualConfig, TrainConfig};
use frostline::graph::Unfreeze;

/// Wrecks whatever it trains.
const RUINOUS: f32 = 30.0;

#[test]
fn a_stage_that_only_makes_it_worse_is_stepped_back() {
    let head = stage(Unfreeze::Nothing, 8, 0.05);
    let both = run(recipe(vec![head.clone(), stage(Unfreeze::All, 3, RUINOUS)]));
    let alone = run(recipe(vec![head]));
    let (first, second) = (&both.trained().stages[0], &both.trained().stages[1]);
    assert_eq!(second.best_epoch, 0, "the ruinous stage was kept: {second:?}");
    assert_eq!(second.val, first.val);
    // what the record calls frozen is what was frozen in the stages that count
    assert!(!second.kept);
    assert_eq!(both.trained().freeze, alone.trained().freeze);
    assert_eq!(both.trained().certificate, alone.trained().certificate);
    assert_eq!(both.trained().boundary(), first.boundary);
    assert_eq!(both.weights(), alone.weights());
    assert!(both.trained().certificate.equal);
}

fn gradually(lr: f32) -> TrainConfig {
    let gradual = Some(GradualConfig { epochs: 2, learning_rate: lr, backbone_lr_factor: 1.0 });
    TrainConfig { gradual, ..recipe(vec![stage(Unfreeze::Nothing, 8, 0.05)]) }
}

#[test]
fn gradual_unfreezing_steps_back_at_the_first_block_that_does_not_help() {
    let run = run(gradually(RUINOUS));
    let trained = run.trained();
    let names: Vec<&str> = trained.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["unfreeze 0", "from conv2d_1"]);
    assert_eq!([trained.stages[0].kept, trained.stages[1].kept], [true, false]);
    assert!(
        run.notes.iter().any(|note| note.contains("within its standard error; stepped back")),
        "{:?}",
        run.notes
    );
    let alone = crate::task::run(recipe(vec![stage(Unfreeze::Nothing, 8, 0.05)]));
    alone.trained();
    assert_eq!(run.weights(), alone.weights());
    // what the record calls frozen is what was frozen in the stages that count
    assert_eq!(trained.freeze, alone.trained().freeze);
    assert!(trained.certificate.equal && trained.certificate.before.contains_key("conv2d_1/kernel"));
}

#[test]
fn gradual_unfreezing_goes_on_for_as_long_as_it_helps() {
    // the head has hardly been trained, so that every further epoch helps; by the error there is no standard error
    let metric = Some("mse".parse().expect("a metric"));
    let gradual = Some(GradualConfig { epochs: 3, learning_rate: 0.01, backbone_lr_factor: 1.0 });
    let run = run(TrainConfig { gradual, metric, ..recipe(vec![stage(Unfreeze::Nothing, 1, 0.001)]) });
    let names: Vec<&str> = run.trained().stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names[..2], ["unfreeze 0", "from conv2d_1"]);
    assert!(run.trained().stages[1].kept, "{:?}", run.trained().stages);
    assert!(names.len() > 2, "{names:?}");
}

#[test]
fn gradual_unfreezing_without_validation_is_an_error() {
    let (_folder, path) = crate::task::data_of(3);
    let dataset = frostline::data::open(&path).expect("data");
    let (none, model) = (frostline::fit::Validation::Fraction(0.0), crate::task::backbone());
    let prepared = frostline::fit::prepare(
        Check::Decode,
        model.clone(),
        dataset,
        gradually(0.01),
        &none,
        0,
        Default::default(),
        &|_| {},
    );
    let error = prepared.expect_err("said before anything is trained").to_string();
    assert!(error.contains("help: give the setting `val = 0.2`"), "{error}");
}

#[test]
fn what_was_trained_in_any_stage_is_not_called_frozen() {
    let both = run(recipe(vec![stage(Unfreeze::Nothing, 2, 0.05), stage(Unfreeze::Highest(3), 2, 0.01)]));
    let frozen: Vec<&str> = both.trained().freeze.paths().collect();
    assert_eq!(frozen, ["batch_normalization", "conv2d", "dropout"]);
    assert_eq!(both.trained().boundary(), ["dropout"]);
}

#[test]
fn freezing_everything_is_an_error() {
    let everything = ["conv2d", "batch_normalization", "conv2d_1", "batch_normalization_1", "dense"];
    let freeze = Some(everything.map(str::to_owned).to_vec());
    let mut only = stage(Unfreeze::All, 2, 0.05);
    only.freeze = freeze;
    let head = frostline::fit::Head::Keep;
    let run = run(TrainConfig { head, ..recipe(vec![only]) });
    let error = run.trained.as_ref().expect_err("an error").to_string();
    assert!(error.contains("trains nothing") && error.contains("help: freeze fewer layers"), "{error}");
}
