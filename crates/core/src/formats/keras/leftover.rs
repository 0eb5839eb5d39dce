//! Tensors of layers that are run and that nothing has read: their layer computes something else than its class says, as a
//! quantised one does, or one with LoRA weights.

use crate::graph::{Body, Graph};
use crate::layers::TRAINING_ONLY;
use crate::{Error, Result};
use std::path::Path;

/// As many tensors are named.
const NAMED: usize = 6;
/// Parts of names of what only counts or seeds: nothing is computed with it.
const COUNTERS: &[&str] = &["seed_generator", "StateVar", "iteration", "count"];

/// Fails where a layer that is run has tensors among those that were not read. `is_of`: whether a tensor of the file is one of
/// the layer at a path.
pub(super) fn refuse_leftovers(
    path: &Path,
    graph: &Graph,
    unused: &[String],
    is_of: impl Fn(&str, &str) -> bool,
) -> Result<()> {
    let counts = |name: &str| COUNTERS.iter().any(|counter| name.contains(counter));
    let unread: Vec<&String> = unused.iter().filter(|name| !counts(name)).collect();
    if unread.is_empty() {
        return Ok(());
    }
    // above a layer that cannot be run nothing is read
    let shapes = graph.leaf_shapes(&graph.stand_in_shapes())?;
    let leaves = graph.leaves();
    let is_run = |(leaf, layer): &&(String, &crate::graph::Layer)| {
        let computes = matches!(&layer.body, Body::Kind(kind) if !TRAINING_ONLY.contains(&kind.class_name()));
        computes && shapes.get(leaf).is_some_and(Option::is_some)
    };
    let run: Vec<&str> = leaves.iter().filter(is_run).map(|(leaf, _)| leaf.as_str()).collect();
    let of_layer = |name: &&&String| run.iter().any(|layer| is_of(layer, name));
    let left: Vec<&str> = unread.iter().filter(of_layer).map(|name| name.as_str()).collect();
    if left.is_empty() {
        return Ok(());
    }
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Error::format(
        path,
        format!(
            "{} tensors of layers that are run would not be read: `{}`{more}\nhelp: these layers compute more than their class says here; save the model before `quantize` or `enable_lora`, or with LoRA weights merged",
            left.len(),
            left.iter().take(NAMED).copied().collect::<Vec<_>>().join("`, `")
        ),
    ))
}
