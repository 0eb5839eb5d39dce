//! Settings do what they say: rates by group, class weights, smoothing, clipping, warm-up.

use crate::task::{Run, backbone, bits, recipe, run, run_with, stage};
use frostline::PrefixDType;
use frostline::fit::{Caching, ClassWeights, Head, StageConfig, TrainConfig, Validation};
use frostline::graph::Unfreeze;

fn sgd(stage: StageConfig) -> TrainConfig {
    TrainConfig { optimizer: "sgd".parse().expect("an optimizer"), batch: 24, ..recipe(vec![stage]) }
}

/// One epoch of one step without validation.
fn one_step(recipe: TrainConfig) -> Run {
    let run = run_with(&backbone(), recipe, &Validation::Fraction(0.0), 0, Caching::default());
    run.trained();
    run
}

/// How far a weight has moved from where the backbone had it, each element.
fn moved(run: &Run, path: &str) -> Vec<f32> {
    let before = backbone().weights.get(path).expect("the weight").get();
    let after = run.prepared.model.weights.get(path).expect("the weight").get();
    after.data.iter().zip(&before.data).map(|(after, before)| after - before).collect()
}

#[test]
fn reused_layers_learn_at_their_share_of_the_rate() {
    let with = |backbone_lr_factor| {
        one_step(sgd(StageConfig { backbone_lr_factor, ..stage(Unfreeze::All, 1, 0.1) }))
    };
    let (full, tenth, none) = (with(1.0), with(0.1), with(0.0));
    for path in ["conv2d/kernel", "conv2d_1/kernel", "batch_normalization/gamma"] {
        let (full, tenth) = (moved(&full, path), moved(&tenth, path));
        let largest = full.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        assert!(largest > 1e-4, "{path} hardly moves");
        for (full, tenth) in full.iter().zip(&tenth) {
            // the step is added to weights near 1: its rounding is that of the weight
            assert!((full * 0.1 - tenth).abs() < 1e-3 * largest + 1e-6, "{path}: {full} and {tenth}");
        }
        assert!(moved(&none, path).iter().all(|value| *value == 0.0), "{path} moves at the rate 0");
    }
    // the head learns at its own rate whatever that of the reused layers is
    let head = |run: &Run| {
        bits(&run.prepared.model)
            .into_iter()
            .filter(|(path, _)| path.starts_with("dense"))
            .collect::<Vec<_>>()
    };
    assert_eq!(head(&full), head(&none));
    assert!(!head(&full).is_empty());
}

#[test]
fn a_class_that_weighs_nothing_teaches_nothing() {
    // only class 2 counts: everything is called so
    let class_weights = Some("0=0,1=0,2=1".parse::<ClassWeights>().expect("weights"));
    let lr = 0.1;
    let run =
        one_step(TrainConfig { class_weights, batch: 8, ..recipe(vec![stage(Unfreeze::Nothing, 20, lr)]) });
    let (loss, silent) = (&run.prepared.setting.loss, |_: &frostline::fit::Event<'_>| {});
    let (train, metric) = (&run.prepared.dataset.train, [run.prepared.setting.metric]);
    let found = frostline::fit::evaluate(
        &PrefixDType::F32,
        &run.prepared.model,
        run.prepared.source(),
        train,
        "train",
        loss,
        &metric,
        &silent,
    );
    let recall: Vec<f64> =
        found.expect("scores").report.expect("classes").classes.iter().map(|class| class.recall).collect();
    assert_eq!(recall, [0.0, 0.0, 1.0]);
}

#[test]
fn class_weights_of_one_and_balanced_classes_change_nothing() {
    let with = |spec: Option<&str>| {
        let class_weights = spec.map(|spec| spec.parse::<ClassWeights>().expect("weights"));
        one_step(TrainConfig { class_weights, ..sgd(stage(Unfreeze::Nothing, 2, 0.1)) }).weights()
    };
    assert!(with(None) == with(Some("0=1")) && with(None) == with(Some("balanced")));
    assert!(with(None) != with(Some("0=3")));
}

#[test]
fn clipping_bounds_the_step() {
    let norm = |clip_norm| {
        let run = one_step(TrainConfig {
            clip_norm,
            ..sgd(StageConfig { backbone_lr_factor: 1.0, ..stage(Unfreeze::All, 1, 1.0) })
        });
        let trained = |path: &&str| !path.starts_with("dense") && !path.contains("moving");
        let model = backbone();
        let paths: Vec<&str> = model.weights.iter().map(|(path, _)| path).filter(trained).collect();
        paths.iter().flat_map(|path| moved(&run, path)).map(|value| value * value).sum::<f32>().sqrt()
    };
    let (free, clipped) = (norm(None), norm(Some(1e-3)));
    assert!(free > 1e-2 && clipped <= 1.01e-3 && clipped > 1e-5, "{free} and {clipped}");
}

#[test]
fn the_rate_rises_over_the_first_epoch_where_it_is_warmed_up() {
    let with = |warm_up| {
        one_step(sgd(StageConfig { warm_up, backbone_lr_factor: 1.0, ..stage(Unfreeze::All, 1, 0.1) }))
    };
    // one step is all of the first epoch: it has the whole rate
    assert_eq!(with(true).weights(), with(false).weights());
    let in_three = |warm_up| {
        let recipe = sgd(StageConfig { warm_up, backbone_lr_factor: 1.0, ..stage(Unfreeze::All, 1, 0.1) });
        one_step(TrainConfig { batch: 8, ..recipe }).weights()
    };
    assert_ne!(in_three(true), in_three(false));
}

#[test]
fn smoothing_keeps_the_loss_from_zero() {
    let loss = |label_smoothing| {
        let run = run(TrainConfig { label_smoothing, ..recipe(vec![stage(Unfreeze::Nothing, 40, 0.2)]) });
        run.trained().train.as_ref().expect("scores").loss
    };
    assert!(loss(0.3) > loss(0.0) + 0.1);
}

#[test]
fn the_models_own_head_may_be_kept() {
    let run = run(TrainConfig { head: Head::Keep, ..recipe(vec![stage(Unfreeze::Nothing, 2, 0.05)]) });
    run.trained();
    assert_eq!(run.prepared.model.graph.counted_paths(), backbone().graph.counted_paths());
    assert_eq!(run.prepared.model.info.classes, Some(["0", "1", "2"].map(str::to_owned).to_vec()));
}
