//! What fuzzing has found (fuzz/README.md), read again: each file is in `tests/golden/fuzzed/FORMAT/`, named after what went wrong with it.

use crate::golden;
use frostline::data;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What takes longer is a hang, on a machine that does much else too.
const LONGEST: Duration = Duration::from_secs(10);

/// The files of a format, copied beside each other under the ending that it has.
fn files(format: &str) -> Vec<PathBuf> {
    let folder = golden::path("fuzzed").join(format);
    let entries = std::fs::read_dir(&folder).expect("what was found");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    found.sort();
    found
}

/// Reads each file of a format; `read` may panic for none, nor go on for long.
fn each(format: &str, read: impl Fn(&Path)) {
    let found = files(format);
    assert!(!found.is_empty(), "no files of {format}");
    for path in found {
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| read(&path)));
        assert!(done.is_ok(), "{}: a panic", path.display());
        assert!(start.elapsed() < LONGEST, "{}: {:?}", path.display(), start.elapsed());
    }
}

#[test]
fn data_that_fuzzing_found_are_errors_or_data() {
    each("npy", |path| {
        let error = data::npy::read(path).expect_err("damaged").to_string();
        assert!(data::npy::batches(path).is_err() && error.contains("help:"), "{}: {error}", path.display());
    });
    for format in ["npz", "parquet"] {
        each(format, |path| {
            let error = data::open(path).expect_err("damaged").to_string();
            assert!(error.contains("help:"), "{}: {error}", path.display());
        });
    }
    each("images", |path| {
        let bytes = std::fs::read(path).expect("a file");
        let error = data::decode(&bytes, "picture").expect_err("damaged").to_string();
        assert!(error.contains("help:"), "{}: {error}", path.display());
    });
}

/// Each would write a matrix of hundreds of thousands of numbers into the settings of a layer.
#[test]
fn resizing_that_asks_for_far_more_than_a_file_stores_is_not_run() {
    each("onnx", |path| {
        let loaded = frostline::formats::load(path).expect("a graph");
        let refused = |(layer, class): &(String, String)| layer.starts_with("resizing") && class == "Resize";
        assert!(loaded.report.unsupported.iter().any(refused), "{:?}", loaded.report.unsupported);
    });
}
