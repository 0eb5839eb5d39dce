//! How weights travel: a copy is one's own, a shared weight is everyone's, and a new one is drawn.

use crate::golden::{load, weight_bits};
use frostline::PrefixDType;
use frostline::compile::{Statistics, compile};
use frostline::graph::Freeze;
use frostline::graph::{Keep, Model, Transfer};

/// Takes a step of training: every trained weight moves.
fn train(model: &Model) {
    let shapes = model.graph.stand_in_shapes();
    let mut plan = compile(&PrefixDType::F32, model, Freeze::nothing(), &shapes, 2, Statistics::Batch)
        .expect("a plan")
        .plan;
    plan.suffix().trained().for_each(|(_, weight, _)| weight.iter_mut().for_each(|value| *value += 1.0));
    plan.store(model).expect("stored");
}

fn lower(model: &Model, transfer: Transfer) -> Model {
    model.keep_with(&Keep::AllBut(1), transfer).expect("a cut")
}

const GOLDENS: [&str; 3] = ["keras/dense.keras", "keras/nested_in_sequential.h5", "keras/shared_layer.keras"];

#[test]
fn training_a_copy_leaves_the_original_alone() {
    for name in GOLDENS {
        let model = load(name);
        let before = weight_bits(&model);
        train(&lower(&model, Transfer::Copy));
        assert!(before == weight_bits(&model), "{name}");
    }
}

#[test]
fn training_what_is_shared_changes_the_original_as_in_keras() {
    for name in GOLDENS {
        let model = load(name);
        let before = weight_bits(&model);
        let other = lower(&model, Transfer::Share);
        train(&other);
        assert!(before != weight_bits(&model), "{name}");
        for (path, handle) in other.weights.iter() {
            let own = model.weights.get(path).expect("the same weight");
            assert!(own.is_shared_with(handle) && own.get() == handle.get(), "{name}: {path}");
        }
    }
}

#[test]
fn weights_that_begin_anew_are_drawn_from_the_seed() {
    for name in GOLDENS {
        let model = load(name);
        let before = weight_bits(&model);
        let drawn = |seed| lower(&model, Transfer::Reinit { seed });
        let (first, again, other) = (drawn(1), drawn(1), drawn(2));
        assert!(weight_bits(&first) == weight_bits(&again), "{name}: the seed does not decide");
        for (path, handle) in first.weights.iter() {
            let same = |model: &Model| model.weights.get(path).expect("the weight").get() == handle.get();
            if path.ends_with("/kernel") {
                assert!(!same(&model) && !same(&other), "{name}: {path} is not drawn");
                let spread = handle.with(|tensor| tensor.data.iter().any(|value| *value != tensor.data[0]));
                assert!(spread, "{name}: {path} is one number");
            }
            if path.ends_with("/bias") {
                assert!(
                    handle.with(|tensor| tensor.data.iter().all(|value| *value == 0.0)),
                    "{name}: {path}"
                );
            }
        }
        train(&first);
        assert!(before == weight_bits(&model), "{name}: the original changed");
    }
}

/// The mean and variance of a Normalization layer say how the data lie, not what was learned.
#[test]
fn statistics_of_the_data_survive_when_weights_begin_anew() {
    let model = load("keras/normalization_adapted.keras");
    let fresh = model.keep_with(&Keep::AllBut(0), Transfer::Reinit { seed: 3 }).expect("the whole model");
    let statistics: Vec<_> =
        model.weights.iter().filter(|(path, _)| path.contains("normalization/")).collect();
    assert!(statistics.len() >= 2);
    for (path, handle) in statistics {
        assert_eq!(fresh.weights.get(path).expect("the statistic").get(), handle.get(), "{path}");
    }
}
