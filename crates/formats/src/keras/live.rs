//! Models of Keras that are in memory: by their config and their variables, without a file.

use super::archive::config_of;
use super::assign::do_not_fit;
use super::chains::without_mixed_chains;
use super::leftover::refuse_leftovers;
use super::legacy::{ByNames, Listed, parse, with_cells};
use super::names::Renamed;
use crate::{Custom, LoadReport, Loaded};
use frostline_graph::layers::Kind;
use frostline_graph::{Error, Graph, Handle, Model, ModelInfo, Result, Tensor, Weights, is_within, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The name of a variable of a Keras model that is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KerasName {
    /// The path of its layer: names of nested models and of the layer, with `/` between them.
    pub layer: String,
    /// Its own name below the layer: `kernel`, `forward_lstm/lstm_cell/kernel`.
    pub variable: String,
}

/// A model from the config of a Keras model, as `to_json` writes it, and its variables. `name` is for messages; `version` is
/// Keras's own.
///
/// # Errors
///
/// A config that is not understood; a weight that no variable has the name and shape of; a variable that is left over.
pub fn from_keras(
    name: &Path,
    config: &str,
    version: &str,
    variables: Vec<(KerasName, Tensor)>,
    custom: &[Custom],
) -> Result<Loaded> {
    let mut report = LoadReport { tensors: variables.len(), ..LoadReport::default() };
    let (graph, renamed) = parse(name, config, Some(version), custom, &mut report)?;
    let (names, tensors): (Vec<KerasName>, Vec<Tensor>) = variables.into_iter().unzip();
    let shapes: Vec<&[usize]> = tensors.iter().map(|tensor| tensor.shape.as_slice()).collect();
    let places = places(name, &graph, &renamed, &names, &shapes)?;
    let mut weights = Weights::default();
    for ((path, tensor), KerasName { layer, variable }) in places.into_iter().zip(tensors).zip(&names) {
        match path {
            Some(path) => weights.insert(path, Handle::new(tensor)),
            None => report.unused.push(format!("{layer}/{variable}")),
        }
    }
    refuse_leftovers(name, &graph, &report.unused, |layer, variable| is_within(variable, layer))?;
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        if is_count(&wanted.kind, wanted.spec.name) && !weights.contains(&wanted.path) {
            weights.insert(wanted.path, Handle::new(Tensor::filled(&[], 0.0)));
        }
    }
    report.loaded = report.tensors - report.unused.len();
    let info = ModelInfo { renamed: renamed.into_map(), ..ModelInfo::default() };
    let model = Model { graph, weights, info };
    report.warnings.extend(crate::lost_weights(&model));
    Ok(Loaded { model, report })
}

/// The config of a model for Keras 3, as its `.keras` file has it.
///
/// # Errors
///
/// The layer that Keras has no config for.
pub fn keras_config(model: &Model) -> Result<String> {
    let config = config_of(&without_mixed_chains(model).graph).map_err(Error::surgery)?;
    Ok(json::text(&config))
}

/// For each variable of the Keras model that [`keras_config`] gives, the path of its weight.
///
/// # Errors
///
/// Names or shapes that are not those of the model's weights, each exactly once.
pub fn keras_places(model: &Model, variables: &[KerasName], shapes: &[&[usize]]) -> Result<Vec<String>> {
    let model = without_mixed_chains(model);
    let name = Path::new(&model.graph.name);
    let found = places(name, &model.graph, &Renamed::default(), variables, shapes)?;
    let named = found.into_iter().zip(variables).map(|(found, KerasName { layer, variable })| {
        found.ok_or_else(|| do_not_fit(name, vec![format!("`{layer}/{variable}` is no weight of the model")]))
    });
    named.collect()
}

/// Keras's count of a Normalization layer, which nothing is computed with.
fn is_count(kind: &Kind, variable: &str) -> bool {
    variable == "count" && matches!(kind, Kind::Normalization(_))
}

fn places(
    name: &Path,
    graph: &Graph,
    renamed: &Renamed,
    variables: &[KerasName],
    shapes: &[&[usize]],
) -> Result<Vec<Option<String>>> {
    let mut listed: BTreeMap<&str, Vec<Listed>> = BTreeMap::new();
    for (index, KerasName { layer, variable }) in variables.iter().enumerate() {
        let (top, below) = layer.split_once('/').unwrap_or((layer, ""));
        let below = below.split('/').filter(|part| !part.is_empty());
        // within its top layer a weight is found by the layer's own name too
        let own = below.clone().next().is_none().then_some(top);
        let parts = with_cells(own.into_iter().chain(below).chain(variable.split('/')));
        listed.entry(top).or_default().push((parts, index.to_string()));
    }
    let by_names = ByNames::new(graph, renamed, &listed);
    let mut found: Vec<Option<String>> = vec![None; variables.len()];
    let mut wrong = Vec::new();
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        let index = by_names.find(&wanted).and_then(|key| key.parse::<usize>().ok());
        let Some(index) = index.filter(|index| found[*index].is_none()) else {
            if !is_count(&wanted.kind, wanted.spec.name) {
                wrong.push(format!("no variable for `{}` of shape {:?}", wanted.path, wanted.spec.shape));
            }
            continue;
        };
        let KerasName { layer, variable } = &variables[index];
        if shapes[index] != wanted.spec.shape {
            wrong.push(format!(
                "`{}` wants shape {:?}, `{layer}/{variable}` has shape {:?}",
                wanted.path, wanted.spec.shape, shapes[index]
            ));
        }
        found[index] = Some(wanted.path);
    }
    match wrong.is_empty() {
        true => Ok(found),
        false => Err(do_not_fit(name, wrong)),
    }
}
