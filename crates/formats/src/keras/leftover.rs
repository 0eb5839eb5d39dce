//! Tensors of layers that are run and that nothing has read: their layer computes something else than its class says, as a
//! quantised one does, or one with LoRA weights.

use frostline_graph::layers::Kind;
use frostline_graph::{Body, Error, Graph, Result};
use std::path::Path;

/// As many tensors are named.
const NAMED: usize = 6;
/// What only counts or seeds is called so, or so with more behind an underscore: nothing is computed with it.
const COUNTERS: &[&str] = &["seed_generator", "StateVar", "iteration", "count"];

/// Fails where a layer that is run has tensors among those that were not read. `is_of`: whether a tensor of the file is one of
/// the layer at a path.
pub(super) fn refuse_leftovers(
    path: &Path,
    graph: &Graph,
    unused: &[String],
    is_of: impl Fn(&str, &str) -> bool,
) -> Result<()> {
    let unread: Vec<&String> = unused.iter().filter(|name| !only_counts(name)).collect();
    if unread.is_empty() {
        return Ok(());
    }
    // above a layer that cannot be run nothing is read
    let shapes = graph.leaf_shapes(&graph.stand_in_shapes())?;
    let leaves = graph.leaves();
    let is_run = |(leaf, layer): &&(String, &frostline_graph::Layer)| {
        let computes = matches!(&layer.body, Body::Kind(kind) if !matches!(kind, Kind::Identity(_)));
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
            "{} tensors of layers that are run would not be read: `{}`{more}\nhelp: these layers compute more than their class says here; save the model before `quantize` or `enable_lora`",
            left.len(),
            left.iter().take(NAMED).copied().collect::<Vec<_>>().join("`, `")
        ),
    ))
}

/// Whether a part of a tensor's name, and not a word within it, is a counter's.
fn only_counts(name: &str) -> bool {
    let is_counter = |part: &str| {
        let rest = COUNTERS.iter().find_map(|counter| part.strip_prefix(counter));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    name.split(['/', ':']).any(is_counter)
}

#[cfg(test)]
mod tests {
    use super::only_counts;

    #[test]
    fn a_layer_with_the_word_in_its_name_is_no_counter() {
        for name in [
            "layers/dropout/seed_generator/vars/0",
            "flip/flip/StateVar:0",
            "scale/count:0",
            "a/seed_generator_state",
        ] {
            assert!(only_counts(name), "{name}");
        }
        for name in ["layers/account/vars/2", "discount/discount/lora_kernel_a:0", "counter/scale"] {
            assert!(!only_counts(name), "{name}");
        }
    }
}
