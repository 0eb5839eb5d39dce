//! Layers that are made of layers: their variables lie with those, in Keras's files.

use frostline_graph::layers::Sublayer;
use frostline_graph::{Graph, Result, WantedWeight};
use std::collections::BTreeMap;

/// The layer in a layer that a weight is of, and the name of its variable there.
fn inner(wanted: &WantedWeight) -> Option<(Sublayer, &'static str)> {
    let own = |layer: &Sublayer| {
        let variable = wanted.spec.name.strip_prefix(layer.name)?.strip_prefix('_')?;
        Some((*layer, variable))
    };
    wanted.kind.sublayers().iter().find_map(own)
}

/// Where a variable lies in Keras 3's store.
pub(super) struct Place {
    /// `kernel`, as in the path of the weight.
    pub(super) variable: &'static str,
    /// The layer in the layer.
    pub(super) inner: Option<Sublayer>,
    /// Its number among the variables there.
    number: usize,
}

impl Place {
    /// Behind the layer's group.
    pub(super) fn path(&self) -> String {
        match self.inner {
            Some(layer) => format!("{}/vars/{}", layer.group, self.number),
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
            let inner = inner(&wanted).map(|(layer, _)| layer);
            let number = own.iter().filter(|place| place.inner == inner).count();
            own.push(Place { variable: wanted.spec.name, inner, number });
        }
    }
    Ok(places)
}

/// The path of a weight as Keras has it: `attention/query/kernel` for `attention/query_kernel`.
pub(super) fn path_in_keras(wanted: &WantedWeight) -> String {
    match (wanted.path.rsplit_once('/'), inner(wanted)) {
        (Some((layer, _)), Some((own, variable))) => format!("{layer}/{}/{variable}", own.name),
        _ => wanted.path.clone(),
    }
}
