//! Memory stays flat over many fits in one process.

#![allow(clippy::print_stdout, reason = "it tells the figure")]

#[path = "training/task.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod task;

use frostline::cache::FeatureCache;
use frostline::fit::{Caching, TrainConfig, Validation};
use frostline::graph::Unfreeze;
use std::ops::Range;
use task::{backbone, recipe, run_with, stage};

/// Fits after which allocators and thread pools have what they need, and fits that are then watched.
const WARM_UP: usize = 40;
const FITS: usize = 200;
/// How far the most memory of the second half may be above that of the first.
const GROWTH: f64 = 1.02;

/// The resident memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

#[test]
fn two_hundred_fits_take_no_more_memory_than_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = FeatureCache::new(folder.path(), 1 << 30);
    let model = backbone();
    let fit = |index: usize| {
        let stages = vec![stage(Unfreeze::Nothing, 1, 0.02), stage(Unfreeze::Highest(3), 1, 0.01)];
        let recipe = TrainConfig { views: 2, ..recipe(stages) };
        let caching = match index % 3 {
            0 => Caching::Nothing,
            1 => Caching::default(),
            _ => Caching::Disk(cache.clone()),
        };
        run_with(&model, recipe, &Validation::Fraction(0.25), 3, caching).trained();
    };
    let most = |fits: Range<usize>| {
        let after = |index| {
            fit(index);
            resident()
        };
        fits.filter_map(after).max()
    };
    (0..WARM_UP).for_each(fit);
    let grows = || {
        let (Some(first), Some(second)) = (most(0..FITS / 2), most(FITS / 2..FITS)) else { return false };
        println!("at most {first} bytes in the first half of {FITS} fits, {second} in the second");
        second as f64 > first as f64 * GROWTH
    };
    // now and then both threads need a block at once that only one ever needed before: a single step of 0.4 MB. What
    // grows with the fits grows again.
    assert!(!(grows() && grows()), "memory grows with the fits");
}
