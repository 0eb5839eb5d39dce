//! A tiny model and a tiny task, on which a stage takes milliseconds.

#[path = "../../../../tests/rust/npy.rs"]
mod npy;

use frostline::PrefixDType;
use frostline::compile::{Statistics, compile};
use frostline::data;
use frostline::engine::Plan;
use frostline::fit::{
    Caching, Check, Event, Prepared, StageConfig, TrainConfig, Trained, Validation, prepare,
};
use frostline::graph::{Body, Call, Form, Graph, Layer, Model, TensorId, Weights};
use frostline::graph::{Freeze, Unfreeze};
use frostline::layers::{Config, InputLayer, Kind, LayerKind, parse_head, read_kind};
use npy::npy;
use serde_json::json;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The shape of an image.
pub(crate) const IMAGE: [usize; 3] = [6, 6, 3];

/// Numbers from 0 to 1.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(next).collect()
}

/// Floats with their shapes and labels, by the arrays' names.
pub(crate) fn write_npz(path: &Path, inputs: &[(&str, &[usize], Vec<f32>)], labels: &[(&str, Vec<i64>)]) {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: Vec<u8>| {
        archive
            .start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default())
            .expect("an entry");
        archive.write_all(&bytes).expect("its bytes");
    };
    for (name, shape, values) in inputs {
        add(
            name,
            npy(shape, "<f4", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()),
        );
    }
    for (name, labels) in labels {
        let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        add(name, npy(&[labels.len()], "<i8", &bytes));
    }
    std::fs::write(path, archive.finish().expect("an archive").into_inner()).expect("written");
}

/// Images whose class decides which channel is brightest, with noise.
pub(crate) fn images(count: usize, classes: usize, seed: u64) -> (Vec<f32>, Vec<i64>) {
    let len: usize = IMAGE.iter().product();
    let mut pixels = noise(count * len, seed);
    let labels: Vec<i64> = (0..count).map(|image| (image % classes) as i64).collect();
    for (image, label) in pixels.chunks_exact_mut(len).zip(&labels) {
        image.iter_mut().skip(*label as usize).step_by(3).for_each(|value| *value += 0.3);
    }
    (pixels, labels)
}

/// A folder with an npz of 24 images to train on and 12 to validate on.
pub(crate) fn data_of(classes: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.npz");
    let ((x, y), (x_val, y_val)) = (images(24, classes, 1), images(12, classes, 2));
    let shape = |count: usize| [count, IMAGE[0], IMAGE[1], IMAGE[2]];
    let inputs = [("x_train", &shape(24)[..], x), ("x_val", &shape(12)[..], x_val)];
    write_npz(&path, &inputs, &[("y_train", y), ("y_val", y_val)]);
    (folder, path)
}

pub(crate) fn conv(filters: usize) -> Kind {
    let config = json!({"filters": filters, "kernel_size": [3, 3], "padding": "same", "activation": "relu"});
    read_kind("Conv2D", &Config::new("conv", config.as_object().expect("an object")))
        .expect("a class")
        .expect("valid")
}

/// `conv2d`, `batch_normalization`, `dropout`, `conv2d_1`, `batch_normalization_1`, `global_average_pooling2d`,
/// `dense`, with statistics that are not those of any batch.
pub(crate) fn backbone() -> Model {
    let input = InputLayer { extents: IMAGE.iter().copied().map(Some).collect() };
    let config = input.config();
    let layer = Layer { name: "input".to_owned(), trainable: true, body: Body::Kind(input.into()), config };
    let end = vec![TensorId { call: 0, output: 0 }];
    let graph = Graph {
        name: "backbone".to_owned(),
        form: Form::Sequential,
        layers: vec![layer],
        calls: vec![Call { layer: 0, inputs: Vec::new() }],
        inputs: end.clone(),
        outputs: end,
    };
    let mut model = Model { graph, weights: Weights::default(), info: Default::default() };
    let mut kinds = vec![conv(4)];
    kinds.extend(parse_head("batchnorm dropout(0.3)").expect("layers"));
    kinds.push(conv(5));
    kinds.extend(parse_head("batchnorm gap dense(3,softmax)").expect("layers"));
    model.add_layers(kinds, &[IMAGE.to_vec()], 11).expect("layers that fit");
    for (index, (path, handle)) in model.weights.iter().enumerate() {
        if path.contains("batch_normalization") {
            let len = handle.with(|tensor| tensor.len());
            handle.set(&noise(len, index as u64).iter().map(|value| 0.5 + value).collect::<Vec<_>>());
        }
    }
    model
}

pub(crate) fn stage(unfreeze: Unfreeze, epochs: usize, learning_rate: f32) -> StageConfig {
    let name = format!("unfreeze {unfreeze}");
    StageConfig {
        name,
        unfreeze,
        freeze: None,
        epochs,
        learning_rate,
        backbone_lr_factor: 0.1,
        warm_up: false,
    }
}

/// Batches of 8, preprocessing none.
pub(crate) fn recipe(stages: Vec<StageConfig>) -> TrainConfig {
    TrainConfig { stage: stages, batch: 8, preprocess: "none".to_owned(), ..TrainConfig::default() }
}

pub(crate) struct Run {
    pub(crate) prepared: Prepared,
    pub(crate) trained: frostline::Result<Trained>,
    /// Each epoch's stage, number, and validation loss.
    pub(crate) epochs: Vec<(String, usize, Option<f64>)>,
    pub(crate) notes: Vec<String>,
    /// How often an image, or a row of it, went through frozen layers to be stored.
    pub(crate) passed: usize,
}

impl Run {
    pub(crate) fn trained(&self) -> &Trained {
        self.trained.as_ref().expect("a training that works")
    }

    pub(crate) fn weights(&self) -> Vec<(String, Vec<u32>)> {
        bits(&self.prepared.model)
    }
}

pub(crate) fn bits(model: &Model) -> Vec<(String, Vec<u32>)> {
    let of = |(path, handle): (&str, &frostline::graph::Handle)| {
        (path.to_owned(), handle.with(|tensor| tensor.data.iter().map(|value| value.to_bits()).collect()))
    };
    model.weights.iter().map(of).collect()
}

/// The weights of the layer at a path.
pub(crate) fn of_layer(weights: &[(String, Vec<u32>)], layer: &str) -> Vec<(String, Vec<u32>)> {
    let of: Vec<_> = weights
        .iter()
        .filter(|(path, _)| path.rsplit_once('/').is_some_and(|(l, _)| l == layer))
        .cloned()
        .collect();
    assert!(!of.is_empty(), "`{layer}` has no weights");
    of
}

/// Trains the backbone on three classes.
pub(crate) fn run(recipe: TrainConfig) -> Run {
    run_with(&backbone(), recipe, &Validation::Auto, 0, Caching::default())
}

pub(crate) fn run_with(
    model: &Model,
    recipe: TrainConfig,
    validation: &Validation,
    seed: u64,
    cache: Caching,
) -> Run {
    run_watched(model, recipe, validation, seed, cache, &|_| {})
}

/// As `run_with`; `watch` is told all that happens.
pub(crate) fn run_watched(
    model: &Model,
    recipe: TrainConfig,
    validation: &Validation,
    seed: u64,
    cache: Caching,
    watch: &(dyn Fn(&Event<'_>) + Sync),
) -> Run {
    let (_folder, path) = data_of(3);
    let dataset = data::open(&path).expect("data");
    let silent = |_: &Event<'_>| {};
    let mut prepared =
        prepare(Check::Decode, model.clone(), dataset, recipe, validation, seed, cache, &silent)
            .expect("a recipe");
    let (epochs, notes) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let passed = AtomicUsize::new(0);
    let observe = |event: &Event<'_>| match event {
        Event::Epoch(record) => {
            let loss = record.val.as_ref().map(|val| val.loss);
            epochs.lock().expect("epochs").push((record.stage.clone(), record.epoch, loss));
        }
        Event::Features { .. } => drop(passed.fetch_add(1, Ordering::Relaxed)),
        Event::Note(note) => notes.lock().expect("notes").push((*note).to_owned()),
        _ => {}
    };
    let trained = prepared.train(&|event: &Event<'_>| {
        observe(event);
        watch(event);
    });
    let (epochs, notes) = (epochs.into_inner().expect("epochs"), notes.into_inner().expect("notes"));
    Run { prepared, trained, epochs, notes, passed: passed.into_inner() }
}

/// A plan of the backbone with exactly these layers frozen.
pub(crate) fn plan(model: &Model, frozen: &[&str]) -> Plan {
    let freeze = Freeze::exactly(&model.graph, frozen).expect("layers that are there");
    compile(&PrefixDType::F32, model, freeze, &[IMAGE.to_vec()], 8, Statistics::Batch).expect("a plan").plan
}

/// The boundary values of eight images.
pub(crate) fn rows(plan: &Plan) -> Vec<f32> {
    let mut rows = vec![0.0; 8 * plan.prefix().feature_len()];
    plan.prefix().run(&images(8, 3, 3).0, &mut rows);
    rows
}
