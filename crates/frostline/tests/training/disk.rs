//! The feature cache on disk: never trusted, never stale, the same to the last bit.

use crate::task::{Run, backbone, recipe, run_watched, run_with, stage};
use frostline::cache::{FeatureCache, Health};
use frostline::fit::{Caching, Event, TrainConfig, Validation};
use frostline::graph::Unfreeze;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn in_folder(folder: &Path) -> FeatureCache {
    FeatureCache::new(folder, 1 << 30)
}

fn head_only() -> TrainConfig {
    recipe(vec![stage(Unfreeze::Nothing, 2, 0.02)])
}

fn with(recipe: TrainConfig, caching: Caching) -> Run {
    let run = run_with(&backbone(), recipe, &Validation::Fraction(0.25), 3, caching);
    run.trained();
    run
}

fn shards(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let all = entries(folder).into_iter().flat_map(|prefix| entries(&prefix));
    let mut found: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors")).collect();
    found.sort();
    found
}

fn is_the_same(a: &Run, b: &Run) {
    assert!(a.weights() == b.weights(), "the weights differ");
    assert_eq!(a.epochs, b.epochs);
}

#[test]
fn features_on_disk_give_the_same_weights_to_the_last_bit() {
    let augment = "flip rotate(15)".parse().expect("augmentation");
    let stages = vec![stage(Unfreeze::Nothing, 3, 0.02), stage(Unfreeze::Highest(3), 2, 0.01)];
    for recipe in [recipe(stages.clone()), TrainConfig { augment, views: 2, ..recipe(stages) }] {
        let folder = tempfile::tempdir().expect("a folder");
        let computed = with(recipe.clone(), Caching::Nothing);
        for _ in 0..2 {
            is_the_same(&computed, &with(recipe.clone(), Caching::Disk(in_folder(folder.path()))));
        }
    }
}

#[test]
fn another_run_at_the_same_boundary_computes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    with(head_only(), Caching::Disk(in_folder(folder.path())));
    let first = shards(folder.path());
    assert!(!first.is_empty());
    let other = TrainConfig { head: "dense(5,relu)".parse().expect("a head"), ..head_only() };
    with(other, Caching::Disk(in_folder(folder.path())));
    assert_eq!(shards(folder.path()), first, "nothing was added");
    // a lower boundary has rows of its own
    with(recipe(vec![stage(Unfreeze::Highest(3), 1, 0.02)]), Caching::Disk(in_folder(folder.path())));
    assert!(shards(folder.path()).len() > first.len());
    assert_eq!(in_folder(folder.path()).list().expect("a cache that can be read").len(), 2);
}

#[test]
fn a_damaged_row_is_computed_again_and_found_by_verify() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = in_folder(folder.path());
    let sound = with(head_only(), Caching::Disk(cache.clone()));
    let before = cache.verify().expect("a check");
    assert_eq!((before.damaged, before.unreadable, before.removed), (0, 0, 0));
    for shard in shards(folder.path()) {
        let mut bytes = fs::read(&shard).expect("a shard");
        // rows come first behind the header
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        bytes[8 + header + 5] ^= 0x40;
        fs::write(&shard, bytes).expect("written");
    }
    is_the_same(&sound, &with(head_only(), Caching::Disk(cache.clone())));
    let health = cache.verify().expect("a check");
    assert!(health.damaged > 0 && health.removed > 0, "{health:?}");
    // what was computed again has been stored anew, so that nothing is missing but what was removed with it
    is_the_same(&sound, &with(head_only(), Caching::Disk(cache.clone())));
    assert_eq!(cache.verify().expect("a check").damaged, 0);
}

#[test]
fn a_shard_that_is_cut_off_is_not_read_and_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = in_folder(folder.path());
    let sound = with(head_only(), Caching::Disk(cache.clone()));
    for (index, shard) in shards(folder.path()).iter().enumerate() {
        let bytes = fs::read(shard).expect("a shard");
        let cut = [bytes.len() - 1, 4, 0][index % 3];
        fs::write(shard, &bytes[..cut]).expect("written");
    }
    is_the_same(&sound, &with(head_only(), Caching::Disk(cache.clone())));
    // the same rows have the same name: what was computed again has taken the damaged files' place
    let health = cache.verify().expect("a check");
    assert_eq!((health.damaged, health.unreadable), (0, 0));
}

/// Changes each shard after every epoch, while the training has it open.
fn disturbed(folder: &Path, disturb: impl Fn(&Path) + Sync) -> Run {
    let cache = Caching::Disk(in_folder(folder));
    let watch = |event: &Event<'_>| {
        if let Event::Epoch(_) = event {
            shards(folder).iter().for_each(|shard| disturb(shard));
        }
    };
    let recipe = recipe(vec![stage(Unfreeze::Nothing, 4, 0.02)]);
    let run = run_watched(&backbone(), recipe, &Validation::Fraction(0.25), 3, cache, &watch);
    run.trained();
    run
}

#[test]
fn what_is_changed_cut_off_or_removed_while_it_is_read_is_computed_again() {
    let folder = || tempfile::tempdir().expect("a folder");
    let sound = disturbed(folder().path(), |_| ());
    let flip = |shard: &Path| {
        // a bit of each kilobyte: of features that were read before, and of those that were not
        let mut bytes = fs::read(shard).expect("a shard");
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        let mut file = fs::File::options().write(true).open(shard).expect("a shard");
        file.write_all(&bytes).expect("written in place");
    };
    let cut = |shard: &Path| {
        let file = fs::File::options().write(true).open(shard).expect("a shard");
        file.set_len(file.metadata().expect("a length").len() / 3).expect("cut off");
    };
    let remove = |shard: &Path| fs::remove_file(shard).expect("removed");
    is_the_same(&sound, &disturbed(folder().path(), flip));
    is_the_same(&sound, &disturbed(folder().path(), cut));
    is_the_same(&sound, &disturbed(folder().path(), remove));
}

#[test]
fn a_full_cache_drops_the_least_recently_used_prefix_and_never_grows_beyond_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = in_folder(folder.path());
    with(head_only(), Caching::Disk(cache.clone()));
    let one = cache.list().expect("a cache that can be read")[0].clone();
    let lower = recipe(vec![stage(Unfreeze::Highest(3), 1, 0.02)]);
    let alone = tempfile::tempdir().expect("a folder");
    with(lower.clone(), Caching::Disk(in_folder(alone.path())));
    let other = in_folder(alone.path()).list().expect("a cache that can be read")[0].bytes;
    // room for the larger of the two, not for both
    let limit = one.bytes.max(other) + one.bytes.min(other) / 2;
    with(lower, Caching::Disk(FeatureCache { limit, ..cache.clone() }));
    let left = cache.list().expect("a cache that can be read");
    assert!(left.iter().all(|entry| entry.name != one.name), "the older one went");
    assert!(left.iter().map(|entry| entry.bytes).sum::<u64>() <= limit);
    // no room at all: features are computed in every epoch, the result is the same
    let none = tempfile::tempdir().expect("a folder");
    let small = FeatureCache::new(none.path(), 10);
    let computed = with(head_only(), Caching::Disk(small));
    assert!(
        computed.notes.iter().any(|note| note.contains("the setting `cache-limit`")),
        "{:?}",
        computed.notes
    );
    is_the_same(&computed, &with(head_only(), Caching::Nothing));
    assert!(shards(none.path()).is_empty());
}

#[test]
fn two_runs_may_use_one_cache_at_the_same_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = || with(head_only(), Caching::Disk(in_folder(folder.path())));
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        let own = run();
        for other in others {
            is_the_same(&own, &other.join().expect("a run"));
        }
    });
    let Health { damaged, unreadable, .. } = in_folder(folder.path()).verify().expect("a check");
    assert_eq!((damaged, unreadable), (0, 0));
}

#[test]
fn clear_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = in_folder(folder.path());
    with(head_only(), Caching::Disk(cache.clone()));
    assert!(cache.clear().expect("cleared") > 0);
    assert!(cache.list().expect("a cache that can be read").is_empty());
    assert_eq!(cache.clear().expect("cleared"), 0);
}

#[test]
fn what_is_not_the_caches_own_is_never_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let (photos, model) = (folder.path().join("photos"), folder.path().join("model.safetensors"));
    fs::create_dir(&photos).expect("a folder");
    fs::write(photos.join("a.safetensors"), "mine").expect("a file");
    fs::write(&model, "mine").expect("a file");
    let cache = FeatureCache { limit: 40_000, ..in_folder(folder.path()) };
    // a folder that others use is refused
    let run =
        || run_with(&backbone(), head_only(), &Validation::Fraction(0.25), 3, Caching::Disk(cache.clone()));
    let error = run().trained.expect_err("no cache").to_string();
    assert!(error.contains("is no feature cache") && error.contains("help: "), "{error}");
    // one in which others put files later keeps them
    let own = tempfile::tempdir().expect("a folder");
    let cache = in_folder(own.path());
    with(head_only(), Caching::Disk(cache.clone()));
    let foreign = [
        own.path().join("note.txt"),
        own.path().join(&cache.list().expect("a cache that can be read")[0].name).join("note.txt"),
    ];
    foreign.iter().for_each(|file| fs::write(file, "mine").expect("a file"));
    fs::create_dir(own.path().join("photos")).expect("a folder");
    cache.verify().expect("verified");
    cache.clear().expect("cleared");
    assert!(
        cache.list().expect("a cache that can be read").is_empty()
            && foreign.iter().all(|file| file.exists())
    );
    assert!(own.path().join("photos").exists());
}

#[test]
fn one_pass_stores_the_rows_of_every_stage() {
    let stages = || vec![stage(Unfreeze::Nothing, 2, 0.02), stage(Unfreeze::Highest(3), 2, 0.01)];
    let computed = with(recipe(stages()), Caching::Nothing);
    let folder = tempfile::tempdir().expect("a folder");
    let cache = in_folder(folder.path());
    let run = with(recipe(stages()), Caching::Disk(cache.clone()));
    is_the_same(&computed, &run);
    assert_eq!(cache.list().expect("a cache that can be read").len(), 2);
    // 18 images to train on and 6 to validate, whichever stage's pass made them: each image once
    assert_eq!(run.passed, 24);
    // each boundary is found by itself: other recipes at it compute nothing
    for part in [Unfreeze::Nothing, Unfreeze::Highest(3)] {
        assert_eq!(with(recipe(vec![stage(part, 1, 0.02)]), Caching::Disk(cache.clone())).passed, 0);
    }
    // where the rows of one have gone, the other's still serve
    for gone in cache.list().expect("a cache that can be read") {
        fs::remove_dir_all(folder.path().join(&gone.name)).expect("removed");
        is_the_same(&computed, &with(recipe(stages()), Caching::Disk(cache.clone())));
        assert_eq!(cache.list().expect("a cache that can be read").len(), 2);
    }
}
