//! Keras's `.h5` files: whole models of every Keras, and files of weights alone.
//! Source: `keras/src/legacy/saving/legacy_h5_format.py`.

use super::assign::{Assigned, assign_values};
use super::chains::without_mixed_chains;
use super::config_in::Reader;
use super::config_out::{Style, model as model_config};
use super::dtype::Policies;
use super::leftover::refuse_leftovers;
use super::masks::makes_masks;
use super::merged::by_name;
use super::names::Renamed;
use super::order::keras_order;
use super::sublayers::path_in_keras;
use super::{store, theano};
use crate::hdf5::{Dataset, File, Group};
use crate::hdf5::{Stored, Tree, attribute_names, attribute_string, damaged, datasets, open, stored, tensor};
use crate::{Custom, LoadReport, Loaded, MatchBy, Misfits, WeightsOptions};
use frostline_graph::layers::Kind;
use frostline_graph::ops::Role;
use frostline_graph::{
    Body, Error, Graph, Handle, Layer, Model, ModelInfo, Result, Tensor, WantedWeight, Weights, join, json,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of Keras that frostline's files say they are of.
pub const KERAS_VERSION: &str = "3.15.1";

/// Other names of variables in files: those from before Keras 3, and what stands for a variable without a name. The class is
/// empty where they hold for all.
const OTHER_NAMES: &[(&str, &str, &[&str])] = &[
    ("", "kernel", &["W"]),
    ("", "bias", &["b"]),
    ("", "moving_mean", &["running_mean"]),
    ("", "moving_variance", &["running_std"]),
    ("DepthwiseConv1D", "kernel", &["depthwise_kernel"]),
    ("DepthwiseConv2D", "kernel", &["depthwise_kernel"]),
    ("LayerScale", "gamma", &["variable", "Variable"]),
];

/// Reads a whole model. What the file says of it comes first, and then its numbers, when nothing else of the file is in
/// memory any more.
pub(crate) fn load(path: &Path, bytes: Vec<u8>, custom: &[Custom]) -> Result<Loaded> {
    let Described { graph, values, info, is_of_theano, mut report } = describe(path, bytes, custom)?;
    let file = std::fs::File::open(path).map_err(|source| Error::io(path, source))?;
    let mut weights = Weights::default();
    for (name, value) in values {
        weights.insert(name, Handle::new(value.read(path, &file)?));
    }
    if is_of_theano {
        theano::turn_kernels(&graph, &weights)?;
        report.notes.push("Theano wrote the file: kernels are turned, as it turns them".to_owned());
    }
    Ok(Loaded { model: Model { graph, weights, info }, report })
}

/// A model whose numbers may still be in its file.
struct Described {
    graph: Graph,
    values: Vec<(String, Stored)>,
    info: ModelInfo,
    is_of_theano: bool,
    report: LoadReport,
}

fn describe(path: &Path, bytes: Vec<u8>, custom: &[Custom]) -> Result<Described> {
    let file = open(path, bytes)?;
    let root = file.root();
    let Some(config) = attribute_string(&root, "model_config") else {
        let what = match store::is_store(&file) || attribute_names(&root, "layer_names").is_some() {
            true => {
                "the file holds weights alone, no architecture\nhelp: put them onto their architecture first: `frostline convert MODEL --weights THIS.h5 -o model.keras`, where MODEL is a model file of it"
            }
            false => {
                "the file holds no Keras model\nhelp: it was written by another program, or it is cut off or damaged"
            }
        };
        return Err(Error::format(path, what));
    };
    let version = attribute_string(&root, "keras_version");
    let group = root.group("model_weights").map_err(|error| damaged(path, &error))?;
    let version = version.or_else(|| attribute_string(&group, "keras_version"));
    let mut report = LoadReport::default();
    let (graph, renamed) = parse(path, &config, version.as_deref(), custom, &mut report)?;
    let (values, found) = read(path, &group, &graph, &renamed, stored, WeightsOptions::default())?;
    let backend = attribute_string(&root, "backend");
    if backend.is_none() && version.is_none_or(|version| version.starts_with("1.")) {
        let note = "Keras 1 does not say which backend it ran on: kernels are taken as TensorFlow's, and would have to be turned if it was Theano";
        report.notes.push(note.to_owned());
    }
    report.tensors = found.tensors;
    report.loaded = found.loaded;
    report.unused = found.unused;
    if root.groups().unwrap_or_default().iter().any(|name| name == "optimizer_weights") {
        report.notes.push("the optimizer's state is left behind".to_owned());
    }
    Ok(Described {
        graph,
        values,
        info: info_with(&root, renamed),
        is_of_theano: backend.as_deref() == Some("theano"),
        report,
    })
}

/// Parses a model config, with errors that name the file, and says which layers have other names than in it.
pub(crate) fn parse(
    path: &Path,
    config: &str,
    version: Option<&str>,
    custom: &[Custom],
    report: &mut LoadReport,
) -> Result<(Graph, Renamed)> {
    let failed = |message: String| Error::format(path, message);
    let json: Value = json::parse(config).map_err(|error| {
        failed(format!("the model's config is no JSON: {error}\nhelp: the file is cut off or damaged"))
    })?;
    let mut reader = Reader {
        major: major(version),
        keeps_masks: keeps_masks(version),
        custom,
        report: &mut *report,
        renamed: Renamed::default(),
        policies: Policies::default(),
        adapted: 0,
        has_masks: makes_masks(&json),
    };
    let mut graph = reader.model(&json).map_err(failed)?;
    let Reader { renamed, policies, adapted, .. } = reader;
    report.warnings.extend(policies.warnings());
    if adapted > 0 {
        report.notes.push(format!(
            "{adapted} layers have LoRA adapters, which are merged into their weights, and are written so"
        ));
    }
    report.notes.extend(renamed.to_note());
    report.unsupported.extend(graph.set_aside_what_does_not_fit());
    Ok((graph, renamed))
}

/// The major version; files from before 2.0 did not say theirs.
fn major(version: Option<&str>) -> u32 {
    version.and_then(|version| version.split('.').next()?.parse().ok()).unwrap_or(1)
}

/// Whether `MultiHeadAttention` leaves the masks on what it is called on, as it did before Keras 3.8.
fn keeps_masks(version: Option<&str>) -> bool {
    let minor = version.and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
    (major(version), minor.unwrap_or_default()) < (3, 8)
}

/// Reads weights alone onto a model, of any of the three layouts.
pub(crate) fn load_weights(
    path: &Path,
    bytes: Vec<u8>,
    model: &Model,
    options: WeightsOptions,
) -> Result<LoadReport> {
    let file: File = open(path, bytes)?;
    let root = file.root();
    let renamed = Renamed::of(&model.info.renamed);
    if store::is_store(&file) {
        return load_store(path, &[file], model, options);
    }
    let group = root.group("model_weights").unwrap_or(root);
    let (values, report): (Vec<(String, Tensor)>, _) =
        read(path, &group, &model.graph, &renamed, tensor, options)?;
    for (name, value) in values {
        model.weights.get(&name)?.set(&value.data);
    }
    Ok(report)
}

/// Reads Keras 3's store, of one file or of several, onto a model.
pub(crate) fn load_store(
    path: &Path,
    files: &[File],
    model: &Model,
    options: WeightsOptions,
) -> Result<LoadReport> {
    let renamed = Renamed::of(&model.info.renamed);
    let (weights, report) = store::read(path, files, &model.graph, &renamed, options)?;
    for (name, handle) in weights.iter() {
        let own = model.weights.get(name)?;
        handle.with(|value| own.set(&value.data));
    }
    Ok(report)
}

/// The weights below a group with `layer_names`, as `value` makes them of datasets.
fn read<T: From<Tensor>>(
    path: &Path,
    group: &Group,
    graph: &Graph,
    renamed: &Renamed,
    value: impl Fn(&Path, &str, &Dataset, &[usize]) -> Result<T>,
    options: WeightsOptions,
) -> Result<(Vec<(String, T)>, LoadReport)> {
    let layers = attribute_names(group, "layer_names").ok_or_else(|| {
        Error::format(path, "the file holds no list of layers\nhelp: it is no Keras file, or damaged")
    })?;
    let tensors = datasets(path, group)?;
    // for each layer of the file its tensors: name as the file lists it, parts, key of the dataset
    let mut listed: BTreeMap<&str, Vec<Listed>> = BTreeMap::new();
    for layer in &layers {
        let Some(own) = descend(group, layer) else { continue };
        let names = attribute_names(&own, "weight_names").unwrap_or_default();
        let entry = |name: &String| (parts(layer, name), join(layer, name));
        listed.insert(layer, names.iter().map(entry).collect());
    }
    let in_order = match options.by {
        MatchBy::Name => None,
        MatchBy::Order => {
            let with_weights = layers.iter().filter_map(|layer| listed.get(layer.as_str()));
            let with_weights: Vec<_> = with_weights.filter(|names| !names.is_empty()).collect();
            Some(by_order(graph, &with_weights).map_err(|message| Error::format(path, message))?)
        }
    };
    let by_names = ByNames::new(graph, renamed, &listed);
    let find = |wanted: &WantedWeight| match &in_order {
        Some(in_order) => in_order.get(&wanted.path).cloned(),
        None => by_names.find(wanted),
    };
    let beside = |_: &WantedWeight, name: &str| by_name(name);
    let Assigned { values, used, kept } =
        assign_values(path, graph, &tensors, find, beside, value, options.misfits)?;
    let report = LoadReport {
        tensors: tensors.len(),
        loaded: used.len(),
        unused: tensors.into_keys().filter(|name| !used.contains(name)).collect(),
        kept,
        ..LoadReport::default()
    };
    if options.misfits == Misfits::Kept {
        return Ok((values, report));
    }
    refuse_leftovers(path, graph, &report.unused, |layer, tensor| {
        let Some((top, rest)) = renamed.path_in_file(&join(layer, "")) else { return false };
        // in a nested model's group a tensor has the name of its layer somewhere in its own
        let own = tensor.strip_prefix(&top).and_then(|tensor| tensor.strip_prefix('/'));
        let inner = rest.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        own.is_some_and(|own| inner.is_empty() || own.split('/').any(|part| part == inner))
    })?;
    Ok((values, report))
}

/// Finds the tensors of weights by the names that they are listed under, by their top layer.
pub(super) struct ByNames<'a> {
    renamed: &'a Renamed,
    listed: &'a BTreeMap<&'a str, Vec<Listed>>,
    leaves: BTreeMap<String, &'a Layer>,
}

impl<'a> ByNames<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        renamed: &'a Renamed,
        listed: &'a BTreeMap<&'a str, Vec<Listed>>,
    ) -> Self {
        Self { renamed, listed, leaves: graph.leaves().into_iter().collect() }
    }

    /// The key of the tensor.
    pub(super) fn find(&self, wanted: &WantedWeight) -> Option<String> {
        let layer = wanted.path.rsplit_once('/').and_then(|(layer, _)| self.leaves.get(layer).copied());
        let own = path_with_inner_names(wanted, layer);
        // tf.keras gives the variables in a TimeDistributed no name of their layer
        let of_wrapper = matches!(wanted.kind, Kind::TimeDistributed(_))
            .then(|| path_in_keras(wanted).replace("/layer/", "/"));
        let find_by = |path: &String, renamed: &Renamed| {
            let (top, rest) = renamed.path_in_file(path)?;
            match_name(self.listed.get(top.as_str())?, &rest, wanted.kind.class_name())
        };
        let find = |path: &String| find_by(path, self.renamed).or_else(|| find_by(path, &Renamed::default()));
        find(&own).or_else(|| find(&of_wrapper?))
    }
}

/// The group of a layer, whose name may have slashes.
fn descend(group: &Group, path: &str) -> Option<Group> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first = group.group(parts.next()?).ok()?;
    parts.try_fold(first, |group, part| group.group(part).ok())
}

/// Variables of Keras 1, whose names follow the layer's after an underscore.
const KERAS_1_VARIABLES: &[&str] =
    &["W", "b", "gamma", "beta", "running_mean", "running_std", "alphas", "depthwise_kernel"];

/// `conv1/kernel:0` as `[conv1, kernel]`; Keras 1's `conv1_W`, which may be of a layer in a nested model, as `[conv1, W]`.
fn parts(layer: &str, name: &str) -> Vec<String> {
    let name = name.split(':').next().unwrap_or(name);
    if name.contains('/') {
        return with_cells(name.split('/'));
    }
    let of_variable = |variable: &&str| {
        let own = name.strip_suffix(*variable)?.strip_suffix('_')?;
        Some(vec![own.to_owned(), (*variable).to_owned()])
    };
    let own = name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('_'));
    KERAS_1_VARIABLES.iter().find_map(of_variable).unwrap_or_else(|| match own {
        Some(variable) => vec![layer.to_owned(), variable.to_owned()],
        None => vec![name.to_owned()],
    })
}

/// Whether a variable of a layer of this class may be called `found` in a file.
fn is_called(found: &str, variable: &str, class_name: &str) -> bool {
    let of_variable = |(class, own, _): &&(&str, &str, &[&str])| {
        *own == variable && (class.is_empty() || *class == class_name)
    };
    let mut others = OTHER_NAMES.iter().filter(of_variable).flat_map(|(_, _, names)| names.iter());
    // `kernel_1`: TensorFlow numbered variables whose name was taken
    let bare =
        found.rsplit_once('_').filter(|(_, number)| number.parse::<u32>().is_ok()).map(|(bare, _)| bare);
    let is = |name: &str| name == found || bare == Some(name);
    is(variable) || others.any(|name| is(name))
}

/// A tensor of a layer as it is listed: the parts of its name, and the key of the dataset.
pub(super) type Listed = (Vec<String>, String);

/// For each weight of a graph the tensor in its place: layers with weights in Keras's order, and in each its variables, which must be
/// called alike.
fn by_order(graph: &Graph, layers: &[&Vec<Listed>]) -> Result<BTreeMap<String, String>, String> {
    let specs = graph.weight_specs(&graph.stand_in_shapes()).map_err(|error| error.to_string())?;
    let variables = |layer: usize| {
        let mut found = Vec::new();
        collect(&graph.layers[layer], &graph.layers[layer].name, true, &specs, &mut found);
        found.sort_by_key(|variable| !variable.trains);
        found
    };
    let own: Vec<_> = keras_order(graph).into_iter().map(variables).filter(|own| !own.is_empty()).collect();
    if own.len() != layers.len() {
        return Err(format!(
            "the file has {} layers with weights, and the model {}\nhelp: by order both must have as many; leave the setting `weights-by` out to match by name",
            layers.len(),
            own.len()
        ));
    }
    let mut found = BTreeMap::new();
    for (own, listed) in own.iter().zip(layers) {
        for (variable, (parts, key)) in own.iter().zip(listed.iter()) {
            let kind = specs.iter().find(|wanted| wanted.path == variable.path);
            let class = kind.map_or("", |wanted| wanted.kind.class_name());
            let name = variable.name.rsplit('/').next().unwrap_or_default();
            if parts.last().is_some_and(|found| is_called(found, name, class)) {
                found.insert(variable.path.to_owned(), key.clone());
            }
        }
    }
    Ok(found)
}

/// Names of cells, which TensorFlow numbers, as `cell`.
pub(super) fn with_cells<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_cell = |part: &str| {
        let rest =
            ["lstm_cell", "gru_cell", "simple_rnn_cell"].iter().find_map(|cell| part.strip_prefix(cell));
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('_').is_some_and(|n| n.parse::<u32>().is_ok())
        })
    };
    parts.map(|part| if is_cell(part) { "cell" } else { part }.to_owned()).collect()
}

/// The path of a weight as its layer's file has it: the layers in a Bidirectional or a TimeDistributed have names of their own.
fn path_with_inner_names(wanted: &WantedWeight, layer: Option<&Layer>) -> String {
    let path = path_in_keras(wanted);
    let inner = |key: &str| layer.and_then(|layer| layer.config.get(key)?["config"]["name"].as_str());
    let side = |side: &str| {
        let own = (side == "backward").then(|| inner("backward_layer")).flatten().map(str::to_owned);
        let base = inner("layer").unwrap_or_default();
        let base =
            ["forward_", "backward_"].iter().find_map(|prefix| base.strip_prefix(prefix)).unwrap_or(base);
        own.unwrap_or_else(|| format!("{side}_{base}"))
    };
    match &wanted.kind {
        Kind::Bidirectional(_) => path
            .replace("/forward_cell/", &format!("/{}/cell/", side("forward")))
            .replace("/backward_cell/", &format!("/{}/cell/", side("backward"))),
        Kind::TimeDistributed(_) => {
            path.replace("/layer/", &format!("/{}/", inner("layer").unwrap_or("layer")))
        }
        _ => path,
    }
}

/// The tensor whose name ends as the weight's path does; the longest agreement counts, and it must be the only
/// one. Order alone never decides.
fn match_name(listed: &[Listed], rest: &str, class_name: &str) -> Option<String> {
    let wanted = with_cells(rest.split('/'));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let (variable, layers) = wanted.split_last()?;
    let is_variable = |found: &str| is_called(found, variable, class_name);
    for agreement in (usize::from(!layers.is_empty())..=layers.len()).rev() {
        let suffix = &layers[layers.len() - agreement..];
        let mut matches = listed.iter().filter(|(parts, _)| {
            let Some((found, above)) = parts.split_last() else { return false };
            is_variable(found)
                && above.len() >= suffix.len()
                && above[above.len() - suffix.len()..] == *suffix
        });
        if let (Some((_, key)), None) = (matches.next(), matches.next()) {
            return Some(key.clone());
        }
    }
    None
}

/// A whole model as a legacy file.
pub(crate) fn to_bytes(path: &Path, model: &Model) -> Result<Vec<u8>> {
    let model = &without_mixed_chains(model);
    let config = model_config(&model.graph, Style::Legacy).map_err(|message| Error::format(path, message))?;
    let mut tree = Tree::default();
    tree.string("model_config", json::text(&config));
    tree.string("keras_version", KERAS_VERSION);
    tree.string("backend", "tensorflow");
    if model.info != ModelInfo::default() {
        tree.string("frostline", json!(model.info).to_string());
    }
    let weights = tree.group("model_weights");
    weights.string("keras_version", KERAS_VERSION);
    weights.string("backend", "tensorflow");
    let graph = &model.graph;
    let order = keras_order(graph);
    weights.names(
        "layer_names",
        &order.iter().map(|layer| graph.layers[*layer].name.clone()).collect::<Vec<_>>(),
    );
    let specs = graph.weight_specs(&graph.stand_in_shapes())?;
    for layer in order {
        let layer = &graph.layers[layer];
        let mut variables = Vec::new();
        collect(layer, &layer.name, true, &specs, &mut variables);
        // Keras lists what trains before what does not
        variables.sort_by_key(|variable| !variable.trains);
        let group = weights.group(&layer.name);
        let inside = |full: &str| match &layer.body {
            Body::Model(_) => full[layer.name.len() + 1..].to_owned(),
            _ => full.to_owned(),
        };
        group.names(
            "weight_names",
            &variables.iter().map(|variable| inside(&variable.name)).collect::<Vec<_>>(),
        );
        for variable in &variables {
            group.tensor(&inside(&variable.name), model.weights.get(variable.path)?.get());
        }
    }
    weights.group("top_level_model_weights").names("weight_names", &[]);
    tree.into_bytes(path)
}

/// A variable on its way into a file.
struct Variable<'a> {
    /// The path of the weight.
    path: &'a str,
    /// As Keras names it.
    name: String,
    /// By the flags in the file.
    trains: bool,
}

/// The variables of a layer and all in it, in Keras's order.
fn collect<'a>(
    layer: &Layer,
    path: &str,
    trains: bool,
    specs: &'a [WantedWeight],
    found: &mut Vec<Variable<'a>>,
) {
    let trains = trains && layer.trainable;
    if let Body::Model(inner) = &layer.body {
        for index in keras_order(inner) {
            collect(&inner.layers[index], &join(path, &inner.layers[index].name), trains, specs, found);
        }
        return;
    }
    let own =
        specs.iter().filter(|wanted| wanted.path.rsplit_once('/').is_some_and(|(layer, _)| layer == path));
    found.extend(own.map(|wanted| Variable {
        path: &wanted.path,
        name: path_with_inner_names(wanted, Some(layer)),
        trains: trains && wanted.spec.role == Role::Trainable,
    }));
}

/// What frostline wrote beside the model, where it did, and what layers are called in the file.
fn info_with(root: &Group, renamed: Renamed) -> ModelInfo {
    let saved = attribute_string(root, "frostline").and_then(|json| serde_json::from_str(&json).ok());
    let mut info: ModelInfo = saved.unwrap_or_default();
    info.renamed.extend(renamed.into_map());
    info
}
