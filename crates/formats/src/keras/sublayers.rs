//! Layers that are made of layers: their variables lie with those, in Keras's files.

use frostline_graph::{Graph, Result, WantedWeight};
use std::collections::BTreeMap;

/// By class: the layers in it, as its variables' names begin, and the groups in Keras 3's store.
const SUBLAYERS: &[(&str, &[(&str, &str)])] = &[(
    "MultiHeadAttention",
    &[
        ("query", "query_dense"),
        ("key", "key_dense"),
        ("value", "value_dense"),
        ("attention_output", "output_dense"),
    ],
)];

/// The layer in a layer that a variable is of, with its group and the variable's name there.
fn inner(class_name: &str, variable: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (_, layers) = SUBLAYERS.iter().find(|(class, _)| *class == class_name)?;
    let own = |(name, group): &(&'static str, &'static str)| {
        Some((*name, *group, variable.strip_prefix(*name)?.strip_prefix('_')?))
    };
    layers.iter().find_map(own)
}

/// Where a variable lies in Keras 3's store.
pub(super) struct Place {
    /// `kernel`, as in the path of the weight.
    pub(super) variable: &'static str,
    /// The layer in the layer, and its group.
    pub(super) inner: Option<(&'static str, &'static str)>,
    /// Its number among the variables there.
    number: usize,
}

impl Place {
    /// Behind the layer's group.
    pub(super) fn path(&self) -> String {
        match self.inner {
            Some((_, group)) => format!("{group}/vars/{}", self.number),
            None => format!("vars/{}", self.number),
        }
    }
}

/// The variables of each layer of a graph in their order, by the layer's path.
pub(super) fn places(graph: &Graph) -> Result<BTreeMap<String, Vec<Place>>> {
    let mut places: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        if let Some((layer, _)) = wanted.path.rsplit_once('/') {
            let own = places.entry(layer.to_owned()).or_default();
            let inner = inner(wanted.class_name, wanted.spec.name).map(|(name, group, _)| (name, group));
            let number = own.iter().filter(|place| place.inner == inner).count();
            own.push(Place { variable: wanted.spec.name, inner, number });
        }
    }
    Ok(places)
}

/// The path of a weight as Keras has it: `attention/query/kernel` for `attention/query_kernel`.
pub(super) fn path_in_keras(wanted: &WantedWeight) -> String {
    match (wanted.path.rsplit_once('/'), inner(wanted.class_name, wanted.spec.name)) {
        (Some((layer, _)), Some((name, _, variable))) => format!("{layer}/{name}/{variable}"),
        _ => wanted.path.clone(),
    }
}
