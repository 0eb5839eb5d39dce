//! From a file's tensors to a model's weights: every weight is filled, or the load fails with the list of those
//! that are not.

use super::merged::{Beside, merged};
use crate::Misfits;
use crate::hdf5::Dataset;
use crate::hdf5::{shape, tensor};
use frostline_graph::layers::Kind;
use frostline_graph::{Error, Graph, Handle, Layer, Result, Tensor, WantedWeight, Weights};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// As many missing or wrong weights are named.
const NAMED: usize = 12;

/// The weights of a graph from a file, and the names of the file's tensors that they came from.
pub(super) fn assign(
    path: &Path,
    graph: &Graph,
    available: &BTreeMap<String, Dataset>,
    find: impl Fn(&WantedWeight) -> Option<String>,
    beside: impl Fn(&WantedWeight, &str) -> Beside,
    misfits: Misfits,
) -> Result<(Weights, Assigned<Tensor>)> {
    let mut assigned = assign_values(path, graph, available, find, beside, tensor, misfits)?;
    let mut weights = Weights::default();
    let values = std::mem::take(&mut assigned.values);
    values.into_iter().for_each(|(path, value)| weights.insert(path, Handle::new(value)));
    Ok((weights, assigned))
}

/// What a file's tensors become.
pub(super) struct Assigned<T> {
    /// Values of weights by their paths.
    pub(super) values: Vec<(String, T)>,
    /// The names of the tensors that they came from.
    pub(super) used: BTreeSet<String>,
    /// Weights that are not filled, with the reason.
    pub(super) kept: Vec<String>,
}

/// The values of a graph's weights, as `value` makes them of a dataset with its name and shape. `beside`: where other parts of a
/// weight would be.
pub(super) fn assign_values<T: From<Tensor>>(
    path: &Path,
    graph: &Graph,
    available: &BTreeMap<String, Dataset>,
    find: impl Fn(&WantedWeight) -> Option<String>,
    beside: impl Fn(&WantedWeight, &str) -> Beside,
    value: impl Fn(&Path, &str, &Dataset, &[usize]) -> Result<T>,
    misfits: Misfits,
) -> Result<Assigned<T>> {
    let mut values = Vec::new();
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    let layers: BTreeMap<String, &Layer> = graph.leaves().into_iter().collect();
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        let Some((name, dataset)) = find(&wanted).and_then(|name| available.get_key_value(&name)) else {
            // files of some versions leave the count of a Normalization layer out; nothing is computed with it
            match wanted.spec.name == "count" && matches!(wanted.kind, Kind::Normalization(_)) {
                true => values.push((wanted.path, Tensor::filled(&[], 0.0).into())),
                false => wrong.push(missing(&wanted, available)),
            }
            continue;
        };
        let found = shape(path, name, dataset)?;
        if found != wanted.spec.shape {
            wrong.push(format!(
                "`{}` wants shape {:?}, `{name}` in the file has shape {found:?}",
                wanted.path, wanted.spec.shape
            ));
            continue;
        }
        used.insert(name.clone());
        let layer = wanted.path.rsplit_once('/').and_then(|(layer, _)| layers.get(layer).copied());
        let parts = beside(&wanted, name);
        if let Some((value, more)) = merged(path, &wanted, layer, (name, dataset), &parts, available)? {
            used.extend(more);
            values.push((wanted.path, value.into()));
            continue;
        }
        values.push((wanted.path, value(path, name, dataset, &found)?));
    }
    match (wrong.is_empty(), misfits) {
        (true, _) => Ok(Assigned { values, used, kept: wrong }),
        (false, Misfits::Kept) if !used.is_empty() => Ok(Assigned { values, used, kept: wrong }),
        _ => Err(do_not_fit(path, wrong)),
    }
}

/// The error for a file with these misfits, the first of which are named.
pub(crate) fn do_not_fit(path: &Path, mut wrong: Vec<String>) -> Error {
    let more = wrong.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    wrong.truncate(NAMED);
    Error::format(
        path,
        format!(
            "the weights do not fit the architecture:\n  {}{more}\nhelp: the weights belong to another model, or the file is damaged",
            wrong.join("\n  ")
        ),
    )
}

fn missing(wanted: &WantedWeight, available: &BTreeMap<String, Dataset>) -> String {
    let layer = wanted.path.rsplit('/').nth(1).unwrap_or_default();
    let near: Vec<&str> = available
        .keys()
        .filter(|name| name.split('/').any(|part| part == layer))
        .map(String::as_str)
        .take(3)
        .collect();
    let near =
        if near.is_empty() { "nothing of that layer".to_owned() } else { format!("`{}`", near.join("`, `")) };
    format!("no weight for `{}` of shape {:?}; the file holds {near}", wanted.path, wanted.spec.shape)
}
