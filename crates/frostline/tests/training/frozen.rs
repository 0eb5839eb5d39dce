//! What is frozen stays as it was and runs as in prediction.

use crate::task::{backbone, bits, of_layer, plan, recipe, rows, run, stage};
use frostline::fit::{Certificate, StageConfig, TrainConfig, frozen_hashes};
use frostline::graph::{Freeze, Unfreeze};

/// One stage of two epochs at a high rate with exactly these layers frozen.
fn freezing(layers: &[&str]) -> TrainConfig {
    let freeze = Some(layers.iter().map(|layer| (*layer).to_owned()).collect());
    recipe(vec![StageConfig { freeze, backbone_lr_factor: 1.0, ..stage(Unfreeze::All, 2, 0.05) }])
}

/// The layers below the boundary, and one that is frozen above layers that train.
const BELOW: [&str; 2] = ["conv2d", "batch_normalization"];
const ABOVE: [&str; 1] = ["batch_normalization_1"];

#[test]
fn frozen_batch_norm_keeps_its_statistics_below_the_boundary_and_above_it() {
    let before = bits(&backbone());
    for (frozen, norm, other) in [
        (&BELOW[..], "batch_normalization", "batch_normalization_1"),
        (&ABOVE[..], "batch_normalization_1", "batch_normalization"),
    ] {
        // without validation the last weights are kept, so that what trains has moved
        let run = crate::task::run_with(
            &backbone(),
            freezing(frozen),
            &frostline::fit::Validation::Fraction(0.0),
            0,
            Default::default(),
        );
        let after = run.weights();
        run.trained();
        assert_eq!(of_layer(&before, norm), of_layer(&after, norm));
        let moved = |path: &str| {
            let of = |weights: &[(String, Vec<u32>)]| {
                weights.iter().find(|(other, _)| other == path).expect("the weight").1.clone()
            };
            of(&before) != of(&after)
        };
        for variable in ["gamma", "beta", "moving_mean", "moving_variance"] {
            assert!(moved(&format!("{other}/{variable}")), "{other}/{variable} did not train");
        }
        assert!(moved("conv2d_1/kernel"));
    }
}

#[test]
fn frozen_batch_norm_uses_its_moving_statistics_while_others_train() {
    let model = backbone();
    for frozen in
        [&["batch_normalization", "dropout", "batch_normalization_1"][..], &["batch_normalization_1"][..]]
    {
        let mut plan = plan(&model, frozen);
        let rows = rows(&plan);
        let suffix = plan.suffix();
        suffix.forward_training(&rows, 8, 1);
        let training = suffix.output(8).to_vec();
        let same = training == suffix.predict(&rows, 8);
        // with the first of them free, the batch's own statistics are used
        assert_eq!(same, frozen.len() == 3, "{frozen:?}");
    }
}

#[test]
fn frozen_dropout_is_off_and_free_dropout_is_on() {
    let model = backbone();
    for (frozen, drops) in [
        (&["batch_normalization", "batch_normalization_1", "dropout"][..], false),
        (&["batch_normalization", "batch_normalization_1"][..], true),
    ] {
        let mut plan = plan(&model, frozen);
        let rows = rows(&plan);
        let mut output = |seed| {
            plan.suffix().forward_training(&rows, 8, seed);
            plan.suffix().output(8).to_vec()
        };
        assert_eq!(output(1) != output(2), drops);
        assert_eq!(output(1), output(1));
    }
}

#[test]
fn weight_decay_does_not_touch_frozen_layers() {
    let before = bits(&backbone());
    for optimizer in ["adam", "adamw(weight_decay=0.5)", "sgd(momentum=0.9)"] {
        for frozen in [&BELOW[..], &ABOVE[..]] {
            let optimizer = optimizer.parse().expect("an optimizer");
            let run = run(TrainConfig { weight_decay: 0.5, optimizer, ..freezing(frozen) });
            run.trained();
            for layer in frozen {
                assert_eq!(of_layer(&before, layer), of_layer(&run.weights(), layer), "{optimizer:?}");
            }
            assert_ne!(of_layer(&before, "conv2d_1"), of_layer(&run.weights(), "conv2d_1"));
        }
    }
}

#[test]
fn the_certificate_covers_every_frozen_tensor_and_is_equal() {
    let run = run(recipe(vec![stage(Unfreeze::Nothing, 2, 0.05)]));
    let certificate = &run.trained().certificate;
    assert!(certificate.equal && certificate.before == certificate.after);
    let mut wanted: Vec<String> =
        ["conv2d/kernel", "conv2d/bias", "conv2d_1/kernel", "conv2d_1/bias"].map(str::to_owned).to_vec();
    for norm in ["batch_normalization", "batch_normalization_1"] {
        wanted
            .extend(["gamma", "beta", "moving_mean", "moving_variance"].map(|name| format!("{norm}/{name}")));
    }
    wanted.sort();
    assert_eq!(certificate.before.keys().cloned().collect::<Vec<_>>(), wanted);
    assert!(run.trained().stages.iter().all(|stage| stage.frozen_unchanged));
}

#[test]
fn the_certificate_would_notice_one_bit_of_any_frozen_tensor() {
    let model = backbone();
    let freeze = Freeze::everything(&model.graph);
    let before = frozen_hashes(&model, &freeze);
    assert_eq!(before.len(), model.weights.len());
    for (path, handle) in model.weights.iter() {
        let value = handle.get();
        let mut changed = value.data.clone();
        let last = changed.len() - 1;
        changed[last] = f32::from_bits(changed[last].to_bits() ^ 1);
        handle.set(&changed);
        let certificate = Certificate::new(before.clone(), frozen_hashes(&model, &freeze));
        assert!(!certificate.equal, "{path}");
        handle.set(&value.data);
    }
    assert!(Certificate::new(before, frozen_hashes(&model, &freeze)).equal);
}

#[test]
fn a_plan_keeps_the_freeze_setting_that_it_was_made_from() {
    let mut model = backbone();
    let mut plan = plan(&model, &BELOW);
    // flags that are changed after compiling change nothing: there is nothing to forget
    model.graph.layers.iter_mut().for_each(|layer| layer.trainable = false);
    let trained: Vec<String> = plan.suffix().trained().map(|(path, ..)| path.to_owned()).collect();
    assert!(trained.iter().any(|path| path == "conv2d_1/kernel"));
    assert_eq!(plan.freeze(), &Freeze::exactly(&model.graph, &BELOW).expect("layers"));
}

#[test]
fn flags_in_the_file_are_not_followed_and_that_is_said() {
    let mut model = backbone();
    model.graph.layers.iter_mut().for_each(|layer| layer.trainable = layer.name != "conv2d_1");
    let recipe = recipe(vec![stage(Unfreeze::All, 2, 0.05)]);
    let run = crate::task::run_with(
        &model,
        recipe,
        &frostline::fit::Validation::Fraction(0.0),
        0,
        Default::default(),
    );
    let note =
        run.prepared.notes.iter().find(|note| note.contains("marks 1 of 6 reused layers as not trainable"));
    assert!(note.is_some(), "{:?}", run.prepared.notes);
    assert_ne!(of_layer(&bits(&model), "conv2d_1"), of_layer(&run.weights(), "conv2d_1"));
}

#[test]
fn the_saved_flags_say_what_was_frozen() {
    let run = run(recipe(vec![stage(Unfreeze::Nothing, 1, 0.01)]));
    run.trained();
    let frozen: Vec<String> = run
        .prepared
        .model
        .graph
        .leaves()
        .into_iter()
        .filter(|(_, layer)| !layer.trainable)
        .map(|(path, _)| path)
        .collect();
    assert_eq!(frozen, run.prepared.reused);
}

#[test]
fn the_original_model_is_left_alone() {
    let model = backbone();
    let before = bits(&model);
    crate::task::run_with(
        &model,
        recipe(vec![stage(Unfreeze::All, 2, 0.05)]),
        &frostline::fit::Validation::Auto,
        0,
        Default::default(),
    )
    .trained();
    assert_eq!(before, bits(&model));
}
