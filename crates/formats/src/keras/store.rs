//! Keras 3's weight store (`model.weights.h5`, `.weights.h5`): a group a layer, named by class and number in the
//! order of `model.layers`, with the variables `vars/0`, `vars/1`, ….
//! Source: `keras/src/saving/saving_lib.py`.

use super::assign::assign;
use super::leftover::refuse_leftovers;
use super::merged::Beside;
use super::names::Renamed;
use super::order::keras_order;
use super::sublayers::{self, Place};
use crate::hdf5::{File, Group};
use crate::hdf5::{Tree, attribute_string, datasets};
use crate::{LoadReport, MatchBy, Misfits, WeightsOptions};
use frostline_graph::{
    Body, Error, ErrorKind, Graph, Layer, Model, Result, WantedWeight, Weights, is_within, join, snake_case,
};
use std::collections::BTreeMap;
use std::path::Path;

/// What Keras has called the group of a model's layers.
const CONTAINERS: [&str; 2] = ["layers", DEPENDENCIES];
/// Keras 2.12's: it went through the layers with weights twice, and so counted them twice.
const DEPENDENCIES: &str = "_layer_checkpoint_dependencies";

/// Whether a file has the layout of this store.
pub(super) fn is_store(file: &File) -> bool {
    let groups = file.root().groups().unwrap_or_default();
    CONTAINERS.iter().any(|container| groups.iter().any(|group| group == container))
}

/// The weights of a graph from a store, which may be several files, with the report.
pub(super) fn read(
    path: &Path,
    files: &[File],
    graph: &Graph,
    renamed: &Renamed,
    options: WeightsOptions,
) -> Result<(Weights, LoadReport)> {
    let roots: Vec<Group> = files.iter().map(File::root).collect();
    let mut tensors = BTreeMap::new();
    for root in &roots {
        tensors.extend(datasets(path, root)?);
    }
    let all = tensors.len();
    tensors.retain(|name, _| !name.starts_with("optimizer/"));
    let mut report = LoadReport { tensors: tensors.len(), ..LoadReport::default() };
    if all > tensors.len() {
        report
            .notes
            .push(format!("{} tensors of the optimizer's state are left behind", all - tensors.len()));
    }
    let order = sublayers::places(graph)?;
    let mut places = BTreeMap::new();
    let at = At { order: &order, renamed, by: options.by };
    locate(graph, &at, &roots, "", "", &mut places);
    let find = |wanted: &WantedWeight| {
        let (layer, variable) = wanted.path.rsplit_once('/')?;
        let place = order.get(layer)?.iter().find(|place| place.variable == variable)?;
        let group = places.get(layer)?;
        let own = join(group, &place.path());
        // tf.keras called the layers in a layer by the names of its private attributes
        let private = join(group, &format!("_{}", place.path()));
        Some(if place.inner.is_some() && tensors.contains_key(&private) { private } else { own })
    };
    // the store has LoRA's kernels merged, and a scale behind the layer's own variables
    let beside = |wanted: &WantedWeight, name: &str| {
        let layer = wanted.path.rsplit_once('/').map_or("", |(layer, _)| layer);
        let variable = wanted.spec.name;
        let places = order.get(layer).map(Vec::as_slice).unwrap_or_default();
        let own = places.iter().find(|place| place.variable == variable);
        let count = places.iter().filter(|place| own.is_some_and(|own| own.inner == place.inner)).count();
        let group = name.rsplit_once('/').map_or("", |(group, _)| group);
        Beside { scale: join(group, &count.to_string()), adapters: None }
    };
    let (weights, assigned) = assign(path, graph, &tensors, find, beside, options.misfits)?;
    let used = assigned.used;
    report.kept = assigned.kept;
    report.loaded = used.len();
    report.unused = tensors.into_keys().filter(|name| !used.contains(name)).collect();
    if options.misfits == Misfits::Refused {
        refuse_leftovers(path, graph, &report.unused, |layer, tensor| {
            places.get(layer).is_some_and(|place| is_within(tensor, place))
        })?;
    }
    Ok((weights, report))
}

/// Keras's names for the layers of a graph, which follow their classes: `conv2d`, `conv2d_1`, …. `counts`: how much a layer
/// adds to the number of the next of its class.
fn group_names(graph: &Graph, counts: impl Fn(&Layer) -> usize) -> Vec<(usize, String)> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut name = |layer: usize| {
        let base = match &graph.layers[layer].body {
            Body::Kind(kind) => snake_case(kind.class_name()),
            Body::Model(inner) => snake_case(&format!("{:?}", inner.form)),
            Body::Unsupported { class_name, .. } => snake_case(class_name),
        };
        let number = used.entry(base.clone()).or_insert(0);
        let name = if *number == 0 { base } else { format!("{base}_{number}") };
        *number += counts(&graph.layers[layer]);
        (layer, name)
    };
    keras_order(graph).into_iter().map(&mut name).collect()
}

/// What helps to find a layer's group.
struct At<'a> {
    order: &'a BTreeMap<String, Vec<Place>>,
    renamed: &'a Renamed,
    by: MatchBy,
}

/// Notes the group of every layer: by the names that newer versions write beside the variables, where each layer with weights is
/// found so, else by Keras's rule for the groups' names, which goes by order. Half by the one and half by the other would take a
/// group twice.
fn locate(
    graph: &Graph,
    at: &At<'_>,
    groups: &[Group],
    prefix: &str,
    path: &str,
    places: &mut BTreeMap<String, String>,
) {
    let found = CONTAINERS.iter().find_map(|container| {
        let layers = inside(groups, container);
        (!layers.is_empty()).then_some((container, layers))
    });
    let Some((container, layers)) = found else { return };
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for layers in &layers {
        for child in layers.groups().unwrap_or_default() {
            let own = layers.group(&child).and_then(|child| child.group("vars"));
            if let Some(name) = own.ok().and_then(|vars| attribute_string(&vars, "name")) {
                by_name.insert(name, child);
            }
        }
    }
    let counts = |layer: &Layer| {
        let path = join(path, &layer.name);
        let is_counted_twice = *container == DEPENDENCIES && at.order.keys().any(|own| is_within(own, &path));
        if is_counted_twice { 2 } else { 1 }
    };
    let named = |layer: &Layer| {
        let path = join(path, &layer.name);
        by_name.get(at.renamed.in_file(&path)).or_else(|| by_name.get(&layer.name))
    };
    let has_weights = |layer: &&Layer| {
        let path = join(path, &layer.name);
        at.order.keys().any(|own| is_within(own, &path))
    };
    let all_named = graph.layers.iter().filter(has_weights).all(|layer| named(layer).is_some());
    for (layer, by_class) in group_names(graph, counts) {
        let layer = &graph.layers[layer];
        let found = named(layer).filter(|_| all_named && at.by == MatchBy::Name);
        let path = join(path, &layer.name);
        let child = found.cloned().unwrap_or(by_class);
        let place = join(prefix, &format!("{container}/{child}"));
        let children = inside(&layers, &child);
        match &layer.body {
            Body::Model(inner) if !children.is_empty() => {
                locate(inner, at, &children, &place, &path, places);
            }
            _ => drop(places.insert(path, place)),
        }
    }
}

/// The groups of this name in groups that stand for one.
fn inside(groups: &[Group], name: &str) -> Vec<Group> {
    groups.iter().filter_map(|group| group.group(name).ok()).collect()
}

/// The store of a model's weights as a file.
pub(crate) fn to_bytes(path: &Path, model: &Model) -> Result<Vec<u8>> {
    let mut tree = Tree::default();
    let order = sublayers::places(&model.graph)?;
    write(&model.graph, model, &order, "", &mut tree).map_err(|error| match error.kind() {
        ErrorKind::Weights => Error::format(path, error.message()),
        _ => error,
    })?;
    tree.into_bytes(path)
}

fn write(
    graph: &Graph,
    model: &Model,
    order: &BTreeMap<String, Vec<Place>>,
    path: &str,
    tree: &mut Tree,
) -> Result<()> {
    tree.group("vars").string("name", &*graph.name);
    let layers = tree.group("layers");
    for (layer, name) in group_names(graph, |_| 1) {
        let layer = &graph.layers[layer];
        let (group, path) = (layers.group(&name), join(path, &layer.name));
        if let Body::Model(inner) = &layer.body {
            write(inner, model, order, &path, group)?;
        }
        group.group("vars").string("name", &*layer.name);
        for place in order.get(&path).into_iter().flatten() {
            if let Some(inner) = place.inner {
                group.group(&join(inner.group, "vars")).string("name", inner.name);
            }
            group.tensor(&place.path(), model.weights.get(&join(&path, place.variable))?.get());
        }
    }
    Ok(())
}
