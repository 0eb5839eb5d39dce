//! Model files, and files of weights.

use super::scratch::{file, path};
use frostline_formats::{self as formats, MatchBy, Misfits, WeightsOptions};
use frostline_graph::Model;
use std::sync::LazyLock;

/// Models whose weights files are read.
const GOLDENS: [&[u8]; 3] = [
    include_bytes!("../../../tests/golden/keras/dense.keras"),
    include_bytes!("../../../tests/golden/keras/batch_norm.keras"),
    include_bytes!("../../../tests/golden/keras/nested_in_sequential.keras"),
];

static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let model = |(index, bytes): (usize, &&[u8])| {
        formats::load(&file(&format!("golden/{index}.keras"), bytes)).expect("a golden file").model
    };
    GOLDENS.iter().enumerate().map(model).collect()
});

fn model(name: &str, bytes: &[u8]) -> Option<Model> {
    formats::load(&file(name, bytes)).ok().map(|loaded| loaded.model)
}

pub(crate) fn keras(bytes: &[u8]) -> Option<Model> {
    model("model.keras", bytes)
}

pub(crate) fn h5(bytes: &[u8]) -> Option<Model> {
    model("model.h5", bytes)
}

pub(crate) fn onnx(bytes: &[u8]) -> Option<Model> {
    model("onnx/model.onnx", bytes)
}

/// One that frostline wrote, and a state dict.
pub(crate) fn safetensors(bytes: &[u8]) -> Option<Model> {
    let path = file("safetensors/model.safetensors", bytes);
    let found = formats::load(&path).ok().map(|loaded| loaded.model);
    if found.is_none() {
        let options =
            formats::LoadOptions { architecture: "squeezenet1_1".parse().ok(), ..Default::default() };
        drop(formats::load_with(&path, &options));
        MODELS.iter().for_each(|model| drop(formats::load_weights(&path, model)));
    }
    found
}

/// What stands beside a state dict.
pub(crate) fn config_json(bytes: &[u8]) -> Option<Model> {
    static WEIGHTS: LazyLock<()> = LazyLock::new(|| {
        let header = br#"{"conv1.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let state = [&(header.len() as u64).to_le_bytes(), header.as_slice(), &[0; 4]].concat();
        file("timm/model.safetensors", &state);
    });
    *WEIGHTS;
    file("timm/config.json", bytes);
    drop(formats::load(&path("timm/model.safetensors")));
    None
}

pub(crate) fn weights_h5(bytes: &[u8]) -> Option<Model> {
    let path = file("some.weights.h5", bytes);
    for model in MODELS.iter() {
        for (by, misfits) in [(MatchBy::Name, Misfits::Refused), (MatchBy::Order, Misfits::Kept)] {
            drop(formats::load_weights_with(&path, model, WeightsOptions { by, misfits }));
        }
    }
    None
}

/// The list of shards; the shards themselves are of [`weights_h5`].
pub(crate) fn weights_json(bytes: &[u8]) -> Option<Model> {
    static SHARDS: LazyLock<()> = LazyLock::new(|| {
        let model = MODELS.first().expect("a model");
        let shard = formats::to_bytes(model, "m.weights.h5".as_ref()).expect("weights");
        file("shards/m_00000.weights.h5", &shard);
        file("shards/m_00001.weights.h5", b"no HDF5");
    });
    *SHARDS;
    let path = file("shards/m.weights.json", bytes);
    MODELS.iter().take(1).for_each(|model| drop(formats::load_weights(&path, model)));
    None
}
