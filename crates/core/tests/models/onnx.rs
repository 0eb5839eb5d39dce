//! ONNX files that frostline wrote are read back as the model that they were; damaged ones are errors.

use crate::damaged::{Random, assert_whole};
use crate::golden;
use frostline::formats;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The largest difference as a share of the largest output: scales and offsets may go into the kernels below them.
const OUTPUT: f32 = 1e-4;
/// Goldens with layers that are written as operators of which no layer is made again, by how their names begin.
const ONE_WAY: &[&str] = &[
    "attention",
    "conv_transpose",
    "dot",
    "pooling_1d",
    "prelu.",
    "relu_settings",
    "repeat_vector",
    "unit_norm",
];

fn through_onnx(model: &frostline::graph::Model, folder: &Path) -> formats::Loaded {
    let path = folder.join("model.onnx");
    formats::save(model, &path).expect("written");
    formats::load(&path).expect("read back")
}

#[test]
fn every_golden_comes_back_from_onnx_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut back, mut one_way) = (0, Vec::new());
    for (name, model) in golden::models() {
        let loaded = through_onnx(&model, folder.path());
        if !loaded.report.unsupported.is_empty() {
            one_way.push(name);
            continue;
        }
        assert_eq!(loaded.report.unused, Vec::<String>::new(), "{name}");
        let (wanted, found) = (golden::outputs(&model), golden::outputs(&loaded.model));
        assert_eq!(wanted.len(), found.len(), "{name}");
        for (wanted, found) in wanted.iter().zip(&found) {
            let largest = wanted.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let off = wanted.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(wanted.len() == found.len() && off <= OUTPUT * largest, "{name}: {off} of {largest}");
        }
        back += 1;
    }
    let unknown: Vec<&String> =
        one_way.iter().filter(|name| !ONE_WAY.iter().any(|begin| name.starts_with(begin))).collect();
    assert!(unknown.is_empty(), "{unknown:?} do not come back");
    let known = |begin: &&&str| one_way.iter().any(|name| name.starts_with(**begin));
    assert_eq!(ONE_WAY.iter().filter(known).count(), ONE_WAY.len(), "of {ONE_WAY:?} some come back");
    assert!(back > 80, "only {back} came back");
}

/// A file that holds convolutions, normalisation, pooling, a branch and a dense layer.
fn bytes(folder: &Path) -> Vec<u8> {
    let path = folder.join("whole.onnx");
    formats::save(&golden::load("keras/nested_in_sequential.keras"), &path).expect("written");
    std::fs::read(path).expect("there")
}

/// Loads the bytes as a file: an error that says what to do, or a model that is whole.
fn load(path: &Path, bytes: &[u8], case: &str) -> bool {
    std::fs::write(path, bytes).expect("written");
    let done = catch_unwind(AssertUnwindSafe(|| match formats::load(path) {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("help:") && text.contains("damaged.onnx"), "{text}");
            false
        }
        Ok(loaded) => {
            assert_whole(&loaded.model);
            true
        }
    }));
    assert!(done.is_ok(), "{case}: a panic");
    done.unwrap_or(false)
}

#[test]
fn files_that_are_cut_off_or_changed_do_not_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = bytes(folder.path());
    let path = folder.path().join("damaged.onnx");
    assert!(load(&path, &whole, "whole"));
    let mut loaded = 0;
    for case in 0..400 {
        let end = whole.len() * case / 400;
        assert!(!load(&path, &whole[..end], &format!("the first {end} bytes")));
    }
    // most bytes are weights; the graph's own are at the front
    let front = whole.len().min(6000);
    for case in 0..4000u64 {
        let mut random = Random(case * 0x9E37_79B9 + 1);
        let mut bytes = whole.clone();
        match case % 2 {
            0 => random.mutate(&mut bytes[..front]),
            _ => random.mutate(&mut bytes),
        }
        loaded += usize::from(load(&path, &bytes, &format!("mutation {case}")));
    }
    assert!(loaded > 100, "only {loaded} mutations loaded: nothing but the outside was tried");
}
