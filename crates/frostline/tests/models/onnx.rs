//! ONNX files that frostline wrote are read back as the model that they were; damaged ones are errors.

use crate::damaged::{Random, assert_whole};
use crate::golden;
use crate::torch_formula::Golden;
use frostline::formats;
use frostline::graph::{Body, Graph, Model};
use frostline::layers::{Config, Kind, read_kind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The largest difference as a share of the largest output: scales and offsets may go into the kernels below them.
const OUTPUT: f32 = 1e-5;
fn through_onnx(model: &Model, folder: &Path) -> formats::Loaded {
    let path = folder.join("model.onnx");
    formats::save(model, &path).expect("written");
    formats::load(&path).expect("read back")
}

/// Every model among the goldens: those of the current Keras, of old ones, and the state dicts of PyTorch.
fn goldens() -> Vec<(String, Model)> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let in_folder = |folder: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(golden::path(folder)).expect("the goldens");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    };
    let mut found = golden::models();
    for path in in_folder("old").into_iter().chain(in_folder("bad")).chain(in_folder(".")) {
        let is_model = path.extension().is_some_and(|ending| ending == "h5" || ending == "keras");
        if is_model && let Ok(loaded) = formats::load(&path) {
            found.push((name(&path), loaded.model));
        }
    }
    for path in
        in_folder("torch").into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"))
    {
        let golden = Golden::read(&path);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("weights.safetensors");
        std::fs::write(&file, golden.file()).expect("written");
        let architecture = golden.architecture.parse().expect("a name that is known");
        let mut model = formats::load_as(&file, Some(architecture)).expect("a golden").model;
        close_inputs(&mut model.graph, &golden.input);
        found.push((name(&path), model));
    }
    found
}

/// Small images, as PyTorch was shown them: `[images, channels, height, width]`.
fn close_inputs(graph: &mut Graph, input: &[usize]) {
    let layer = &mut graph.layers[0];
    layer.config.insert("batch_shape".to_owned(), serde_json::json!([null, input[2], input[3], input[1]]));
    let kind = read_kind("InputLayer", &Config::new(&layer.name, &layer.config)).expect("it is known");
    layer.body = Body::Kind(kind.expect("an input layer"));
}

#[test]
fn every_golden_comes_back_from_onnx_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut back, mut refused, mut one_way) = (0, 0, Vec::<String>::new());
    let mut wrong = Vec::new();
    for (name, model) in goldens() {
        let is_whole =
            model.graph.leaves().iter().all(|(_, layer)| !matches!(layer.body, Body::Unsupported { .. }));
        if !is_whole {
            continue;
        }
        if model.graph.leaves().iter().any(|(_, layer)| may_be_refused(&layer.body))
            && let Err(error) = formats::save(&model, &folder.path().join("model.onnx"))
        {
            let error = error.to_string();
            assert!(
                error.contains("help:") && error.contains("save the model as `.keras`"),
                "{name}: {error}"
            );
            refused += 1;
            continue;
        }
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
            if wanted.len() != found.len() || off.is_nan() || off > OUTPUT * largest {
                wrong.push(format!("{name}: {off} of {largest}"));
            }
        }
        back += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(one_way, [] as [String; 0], "do not come back");
    assert!(back > 140 && refused > 0, "only {back} came back, {refused} were refused");
}

/// Layers that are not written, or not with all settings, as `docs/onnx.md` says.
fn may_be_refused(body: &Body) -> bool {
    let Body::Kind(kind) = body else { return false };
    kind.makes_mask()
        || matches!(kind, Kind::Bidirectional(_) | Kind::Recurrent(_) | Kind::TimeDistributed(_))
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
