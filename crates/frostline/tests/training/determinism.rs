//! One seed, one result: with or without a cache, whatever the number of threads.

use crate::task::{Run, backbone, recipe, run_with, stage};
use frostline::DType;
use frostline::cache::FeatureCache;
use frostline::fit::{Caching, GradualConfig, StageConfig, TrainConfig, Validation};
use frostline::graph::Unfreeze;

fn augmented() -> TrainConfig {
    let augment = "flip rotate(15) brightness(0.1)".parse().expect("augmentation");
    TrainConfig { augment, views: 2, ..plain() }
}

/// The head, then the upper half.
fn plain() -> TrainConfig {
    recipe(vec![stage(Unfreeze::Nothing, 3, 0.02), stage(Unfreeze::Highest(3), 2, 0.01)])
}

fn with(recipe: TrainConfig, seed: u64, cache: Caching) -> Run {
    let run = run_with(&backbone(), recipe, &Validation::Fraction(0.25), seed, cache);
    run.trained();
    run
}

fn is_the_same(a: &Run, b: &Run) {
    assert!(a.weights() == b.weights(), "the weights differ");
    assert_eq!(a.epochs, b.epochs);
    assert_eq!(a.trained().certificate, b.trained().certificate);
}

#[test]
fn training_from_the_cache_is_the_same_to_the_last_bit() {
    for recipe in [plain(), augmented()] {
        let cached = with(recipe.clone(), 3, Caching::default());
        let computed = with(recipe, 3, Caching::Nothing);
        assert!(cached.trained().stages.iter().all(|stage| stage.feature_bytes > 0));
        assert!(computed.trained().stages.iter().all(|stage| stage.feature_bytes == 0));
        is_the_same(&cached, &computed);
    }
}

#[test]
fn a_cache_that_holds_only_the_validation_images_changes_nothing() {
    let whole = with(plain(), 3, Caching::default());
    let bytes = whole.trained().stages[0].feature_bytes;
    let part = with(plain(), 3, Caching::Memory(bytes / 2));
    assert!((1..bytes).contains(&part.trained().stages[0].feature_bytes));
    is_the_same(&whole, &part);
}

#[test]
fn one_thread_and_several_give_the_same_to_the_last_bit() {
    let on = |threads: usize, recipe: TrainConfig| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| with(recipe, 5, Caching::default()))
    };
    for recipe in [plain(), augmented()] {
        let one = on(1, recipe.clone());
        for threads in [2, 3, 7] {
            is_the_same(&one, &on(threads, recipe.clone()));
        }
    }
}

#[test]
fn the_seed_decides_and_nothing_else() {
    for recipe in [plain(), augmented()] {
        let one = with(recipe.clone(), 1, Caching::default());
        is_the_same(&one, &with(recipe.clone(), 1, Caching::default()));
        assert!(one.weights() != with(recipe, 2, Caching::default()).weights());
    }
}

#[test]
fn augmentation_is_seeded_views_and_never_frozen_by_the_cache() {
    let views = |views| with(TrainConfig { views, ..augmented() }, 4, Caching::default());
    let (one, two) = (views(1), views(2));
    assert!(one.weights() != two.weights(), "the second view is the first");
    assert!(one.weights() != with(plain(), 4, Caching::default()).weights(), "the view is the image");
    // each view is kept: the cache of two is larger
    let bytes = |run: &Run| run.trained().stages[0].feature_bytes;
    assert!(bytes(&two) > bytes(&one));
    // the validation images are not augmented: before anything is trained both score the same
    let unaugmented = |run: &Run| run.prepared.dataset.val.clone();
    assert_eq!(unaugmented(&one), unaugmented(&two));
}

#[test]
fn the_order_of_the_images_changes_with_the_epoch_unless_it_is_told_not_to() {
    let shuffled = with(plain(), 1, Caching::default());
    let fixed = with(TrainConfig { shuffle: false, ..plain() }, 1, Caching::default());
    assert!(shuffled.weights() != fixed.weights());
}

/// The head, then more and more: each boundary is lower than the one before.
fn three_stages() -> Vec<StageConfig> {
    [Unfreeze::Nothing, Unfreeze::Highest(3), Unfreeze::Highest(5)].map(|part| stage(part, 2, 0.02)).into()
}

#[test]
fn rows_of_one_pass_and_of_several_are_the_same_to_the_last_bit() {
    for precision in [DType::F32, DType::Bf16, DType::Int8] {
        let recipe = || TrainConfig { precision, ..recipe(three_stages()) };
        let computed = with(recipe(), 3, Caching::Nothing);
        let all = with(recipe(), 3, Caching::default());
        is_the_same(&computed, &all);
        let bytes: u64 = all.trained().stages.iter().map(|stage| stage.feature_bytes).sum();
        // with less and less room, fewer boundaries share a pass, and some are computed in each epoch
        for room in [bytes - 1, bytes / 2, bytes / 4, bytes / 10] {
            is_the_same(&computed, &with(recipe(), 3, Caching::Memory(room)));
        }
    }
}

#[test]
fn a_boundary_above_what_has_been_trained_is_computed_anew() {
    // the head's boundary changes when the layers below it have trained
    let stages = [Unfreeze::Nothing, Unfreeze::Highest(4), Unfreeze::Nothing];
    let recipe = || recipe(stages.clone().map(|part| stage(part, 2, 0.02)).into());
    is_the_same(&with(recipe(), 3, Caching::Nothing), &with(recipe(), 3, Caching::default()));
}

#[test]
fn gradual_unfreezing_is_the_same_to_the_last_bit() {
    let recipe =
        || TrainConfig { gradual: Some(GradualConfig { epochs: 2, ..Default::default() }), ..plain() };
    is_the_same(&with(recipe(), 3, Caching::Nothing), &with(recipe(), 3, Caching::default()));
}

#[test]
fn rounded_features_are_the_same_stored_or_not_and_take_half_the_room() {
    for precision in [DType::F32, DType::Bf16, DType::Int8] {
        let recipe = |features| TrainConfig { precision, features, ..recipe(three_stages()) };
        let rounded = || recipe(Some(DType::Bf16));
        let computed = with(rounded(), 3, Caching::Nothing);
        let folder = tempfile::tempdir().expect("a folder");
        let disk = FeatureCache::new(folder.path(), 1 << 30);
        let whole = with(recipe(Some(DType::F32)), 3, Caching::default());
        let bytes = |run: &Run| run.trained().stages[0].feature_bytes;
        for caching in [Caching::default(), Caching::Disk(disk.clone()), Caching::Disk(disk)] {
            let run = with(rounded(), 3, caching);
            is_the_same(&computed, &run);
            assert_eq!(2 * bytes(&run), bytes(&whole));
        }
        for room in [bytes(&whole), 2 * bytes(&whole)] {
            is_the_same(&computed, &with(rounded(), 3, Caching::Memory(room)));
        }
    }
}
