//! `.safetensors`: frostline's own files with the architecture in them, and state dicts of PyTorch, whose architecture
//! the user names.
//! Source: <https://huggingface.co/docs/safetensors>.

mod assign;
mod file;
mod layout;
mod own;
mod torch;

pub(super) use file::{begins_with_header, is_safetensors};
pub(super) use own::to_bytes;
pub use torch::Architecture;

use super::{LoadReport, Loaded};
use assign::{Source, assign};
use file::Tensors;
use frostline_graph::{Error, Graph, Model, Result, WantedWeight};
use layout::Layout;
use std::path::Path;

/// Reads a whole model. `architecture`: what the user says of a file that does not say it itself; `image_size`: for which images an
/// architecture is built whose weights are those of one size.
pub(super) fn load(
    path: &Path,
    bytes: &[u8],
    architecture: Option<Architecture>,
    image_size: Option<[usize; 2]>,
) -> Result<Loaded> {
    let tensors = Tensors::open(path, bytes)?;
    match (own::saved_with(path, &tensors)?, architecture) {
        (Some(saved), None) => own::load(path, &tensors, saved),
        (Some(_), Some(name)) => Err(says_it_itself(path, name)),
        (None, Some(name)) => torch::load(path, tensors, name, image_size),
        (None, None) => torch::load_unnamed(path, tensors, image_size),
    }
}

/// The error for a file with an architecture of its own.
pub(super) fn says_it_itself(path: &Path, architecture: Architecture) -> Error {
    Error::format(
        path,
        format!("the file says its architecture itself\nhelp: leave the setting `arch = {architecture}` out"),
    )
}

/// Reads weights onto a model that is there already: those of one of frostline's files, else those of a state dict
/// whose modules have the names of the model's layers. The model is changed only if every weight fits, and if no tensor
/// is left over but for layers that cannot be run here.
pub(super) fn load_weights(path: &Path, bytes: &[u8], model: &Model) -> Result<LoadReport> {
    let tensors = Tensors::open(path, bytes)?;
    let find = |wanted: &WantedWeight| match tensors.shape(&wanted.path) {
        Some(_) => Some(Source { name: wanted.path.clone(), layout: Layout::Same }),
        None => torch::source(wanted),
    };
    let (weights, used) = assign(path, &tensors, &model.graph, find)?;
    let report = assign::report(&tensors, &used, assign::LEFT_BEHIND);
    let not_run = not_run(&model.graph)?;
    let of_layer = |name: &str, layer: &String| {
        name.strip_prefix(layer.as_str()).is_some_and(|rest| rest.starts_with(['/', '.']))
    };
    let is_left_over = |name: &&String| !not_run.iter().any(|layer| of_layer(name, layer));
    let unused: Vec<String> = report.unused.iter().filter(is_left_over).cloned().collect();
    if !unused.is_empty() {
        return Err(assign::left_over(
            path,
            &unused,
            &format!("the model `{}`", model.graph.name),
            "the weights belong to another model: give the model that they were saved from",
        ));
    }
    for (name, handle) in weights.iter() {
        let own = model.weights.get(name)?;
        handle.with(|value| own.set(&value.data));
    }
    Ok(report)
}

/// The layers that cannot be run here, and those that stand on them: no weight of theirs is wanted.
fn not_run(graph: &Graph) -> Result<Vec<String>> {
    let shapes = graph.leaf_shapes(&graph.stand_in_shapes())?;
    let is_run = |path: &String| matches!(shapes.get(path), Some(Some(_)));
    Ok(graph.leaves().into_iter().map(|(path, _)| path).filter(|path| !is_run(path)).collect())
}
