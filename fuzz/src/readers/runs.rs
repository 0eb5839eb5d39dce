//! What a training leaves in its folder, and recipes.

use super::scratch::{file, path};
use crate::mutate::split_name;
use frostline::classes::EarlierRun;
use frostline::fit::TrainConfig;
use frostline::report::{RunImages, read_novelty};
use frostline_formats as formats;
use frostline_graph::Model;
use std::sync::LazyLock;

/// A folder that is taken for a run.
static RUN: LazyLock<()> = LazyLock::new(|| {
    file("run/model.keras", include_bytes!("../../../tests/golden/keras/dense.keras"));
    file("run/run.json", b"{}");
});

pub(crate) fn recipe(bytes: &[u8]) -> Option<Model> {
    drop(TrainConfig::read(&file("recipe.toml", bytes)));
    None
}

pub(crate) fn run_json(bytes: &[u8]) -> Option<Model> {
    *RUN;
    let record = file("run/run.json", bytes);
    drop(TrainConfig::read(&record));
    drop(EarlierRun::read(&path("run")));
    None
}

/// The first line says which file.
pub(crate) fn run_files(bytes: &[u8]) -> Option<Model> {
    *RUN;
    let (name, content) = split_name(bytes);
    let name = if name.ends_with(b".json") { "novelty.json" } else { "images.csv" };
    file(&format!("run/{name}"), content);
    drop(read_novelty(&path("run")));
    drop(RunImages::read(&path("run")));
    drop(formats::load(&path("run")));
    None
}
