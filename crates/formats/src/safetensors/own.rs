//! frostline's own safetensors files: the weights under their paths (`layer path/variable`), and one entry in the
//! header's metadata, `frostline`, with the architecture as the `config.json` of a `.keras` archive has it.

use super::assign::{LEFT_BEHIND, Source, assign, left_over, report};
use super::file::Tensors;
use super::layout::Layout;
use crate::keras::{KERAS_VERSION, config_of, parse};
use crate::{LoadReport, Loaded};
use frostline_graph::{Error, Model, ModelInfo, Result, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The metadata's one key. With a single one the same model gives the same bytes: the crate's map has no order.
const KEY: &str = "frostline";

/// What is saved besides the weights.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    keras_version: String,
    config: Value,
    #[serde(default)]
    info: ModelInfo,
}

/// What frostline saved with the weights; `None` for a file of another program.
pub(super) fn saved_with(path: &Path, tensors: &Tensors<'_>) -> Result<Option<Saved>> {
    let Some(text) = tensors.metadata(KEY) else { return Ok(None) };
    let saved = serde_json::from_str(text);
    saved.map(Some).map_err(|error| {
        Error::format(
            path,
            format!("the architecture in its metadata cannot be read: {error}\nhelp: the file is damaged"),
        )
    })
}

/// The model.
pub(super) fn load(path: &Path, tensors: &Tensors<'_>, saved: Saved) -> Result<Loaded> {
    let mut notes = LoadReport::default();
    let (graph, _) = parse(path, &saved.config.to_string(), Some(&saved.keras_version), &[], &mut notes)?;
    let (weights, used) = assign(path, tensors, &graph, |wanted| {
        Some(Source { name: wanted.path.clone(), layout: Layout::Same })
    })?;
    let mut report = report(tensors, &used, LEFT_BEHIND);
    if !report.unused.is_empty() {
        return Err(left_over(path, &report.unused, "the architecture in the file", "the file is damaged"));
    }
    report.notes.extend(notes.notes);
    report.unsupported = notes.unsupported;
    Ok(Loaded { model: Model { graph, weights, info: saved.info }, report })
}

/// A whole model as a file. The same model gives the same bytes.
pub(crate) fn to_bytes(path: &Path, model: &Model) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::format(path, format!("cannot be written: {error}"));
    let saved = Saved {
        keras_version: KERAS_VERSION.to_owned(),
        config: config_of(&model.graph).map_err(|message| Error::format(path, message))?,
        info: model.info.clone(),
    };
    let text = serde_json::to_string(&saved).map_err(|error| failed(&error))?;
    let weights: Vec<(&str, Tensor)> =
        model.weights.iter().map(|(name, handle)| (name, handle.get())).collect();
    let views = weights.iter().map(|(name, tensor)| {
        let bytes = bytemuck::cast_slice(&tensor.data);
        TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (*name, view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))
}
