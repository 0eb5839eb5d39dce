//! The golden models, and inputs for them.

use frostline::PrefixDType;
use frostline::compile::compile_inference;
use frostline::formats;
use frostline::graph::{Graph, Model};
use std::path::{Path, PathBuf};

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The files of whole models, sorted.
pub(crate) fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path("keras")).expect("the goldens");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let is_model = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        !name.ends_with(".npz") && !name.ends_with(".weights.h5")
    };
    files.retain(is_model);
    files.sort();
    assert!(files.len() > 60, "only {} goldens were found", files.len());
    files
}

/// Every golden model, by its file's name.
pub(crate) fn models() -> Vec<(String, Model)> {
    let load = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, formats::load(&path).expect("a golden").model)
    };
    files().into_iter().map(load).collect()
}

pub(crate) fn load(name: &str) -> Model {
    formats::load(&path(name)).expect("a golden").model
}

/// Numbers between −1 and 1.
pub(crate) fn noise(len: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

/// What a model makes of two images of noise: each of its outputs.
pub(crate) fn outputs(model: &Model) -> Vec<Vec<f32>> {
    let mut plan = compile_inference(&PrefixDType::F32, model, &model.graph.stand_in_shapes())
        .expect("a model that runs");
    let images = 2;
    plan.predict(&noise(images * plan.prefix().input_len()), images)
}

/// The bits of numbers, so that NaN and −0 count too.
pub(crate) fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    values.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

/// Paths and bits of all weights.
pub(crate) fn weight_bits(model: &Model) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let of = |(path, handle): (&str, &frostline::graph::Handle)| {
        let tensor = handle.get();
        (path.to_owned(), tensor.shape, tensor.data.iter().map(|value| value.to_bits()).collect())
    };
    model.weights.iter().map(of).collect()
}

/// The graph with the output of the layer at `path` as a further output, the last one.
pub(crate) fn tapped(graph: &Graph, path: &str) -> Graph {
    use frostline::graph::{Body, TensorId};
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let mut graph = graph.clone();
    let layer = graph.layers.iter().position(|layer| layer.name == name).expect("the layer");
    let call = graph.calls.iter().position(|call| call.layer == layer).expect("its call");
    let output = match (rest, &mut graph.layers[layer].body) {
        (Some(rest), Body::Model(inner)) => {
            **inner = tapped(inner, rest);
            inner.outputs.len() - 1
        }
        _ => 0,
    };
    graph.outputs.push(TensorId { call, output });
    graph
}
