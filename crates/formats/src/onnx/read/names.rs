//! Names of layers from what exporters call their nodes and weights.
//!
//! The best name is that of the module that the weights belong to (`layer1.0.conv1.weight`), then the module that
//! PyTorch's exporters note at the node (`/layer1/layer1.0/relu/Relu`), then the node's own name.

use super::node::Node;
use super::source::Source;
use frostline_graph::snake_case;
use std::collections::BTreeMap;

/// How weights' names end in PyTorch, the longest first.
const ENDINGS: &[&str] = &[".weight", ".bias", ".gamma", ".beta", ".running_mean", ".running_var"];

/// A name for the layer of each node; it may be given twice.
pub(super) fn layer_names(source: &Source) -> Vec<String> {
    let root = common_root(source);
    let modules: Vec<Option<String>> =
        source.nodes.iter().map(|node| module(source, node, root.as_deref())).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    // what only moves axes is no layer of its own in most places
    let is_layer = |node: &Node| {
        !["Cast", "Identity", "Reshape", "Shape", "Squeeze", "Transpose", "Unsqueeze"]
            .contains(&node.op.as_str())
    };
    let layers = source.nodes.iter().zip(&modules).filter(|(node, _)| is_layer(node));
    layers
        .filter_map(|(_, module)| module.as_deref())
        .for_each(|module| *counts.entry(module).or_default() += 1);
    let name = |(node, module): (&Node, &Option<String>)| {
        let kind = snake_case(node.op.rsplit('.').next().unwrap_or_default());
        match module {
            None => String::new(),
            Some(module) if counts.get(module.as_str()) == Some(&1) && is_layer(node) => module.clone(),
            // of several nodes of a module that with the weights is the layer
            Some(module) if has_weights(source, node) => module.clone(),
            Some(module) => format!("{module}.{kind}"),
        }
    };
    let named: Vec<String> = source.nodes.iter().zip(&modules).map(name).collect();
    let fallback = |(node, name): (&Node, &String)| match name.as_str() {
        "" => legal(&own_name(node, root.as_deref())),
        name => legal(name),
    };
    source.nodes.iter().zip(&named).map(fallback).collect()
}

/// A name that Keras takes: letters, digits, `.`, `_` and `-`, no `/`, which stands between a model and its layers.
pub(super) fn legal(name: &str) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => character,
        _ => '_',
    };
    let name: String = name.chars().take(200).map(plain).collect();
    let name = name.trim_matches(['_', '.', '-']);
    match name.chars().next() {
        None => "layer".to_owned(),
        Some(first) if first.is_ascii_alphanumeric() => name.to_owned(),
        Some(_) => format!("layer_{name}"),
    }
}

fn has_weights(source: &Source, node: &Node) -> bool {
    let known = |name: &str| source.constant(name).is_some_and(|constant| !constant.dims.is_empty());
    ["Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "InstanceNormalization", "PRelu"]
        .contains(&node.op.as_str())
        && (1..node.inputs.len()).filter_map(|index| node.input(index)).any(known)
}

/// The module that a node belongs to.
fn module(source: &Source, node: &Node, root: Option<&str>) -> Option<String> {
    if has_weights(source, node) {
        let weights = (1..node.inputs.len()).filter_map(|index| node.input(index));
        let module =
            weights.filter_map(|name| ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))).next();
        if let Some(module) = module {
            return Some(module.to_owned());
        }
    }
    if let Some(module) = &node.module {
        return Some(module.clone());
    }
    let path = node.name.strip_prefix('/').map(|path| path.split('/').collect::<Vec<_>>());
    let mut parts = match path {
        Some(parts) => parts,
        None => node.name.split('/').filter(|part| Some(*part) != root).collect(),
    };
    // the last is the operator
    parts.pop().filter(|_| !parts.is_empty())?;
    let mut module = String::new();
    for part in parts {
        // `features`, `features.0`: a module's name may hold that of the module around it
        match part.strip_prefix(module.as_str()) {
            Some(rest) if rest.starts_with('.') => module = part.to_owned(),
            _ if module.is_empty() => module = part.to_owned(),
            _ => module = format!("{module}.{part}"),
        }
    }
    (!module.is_empty()).then_some(module)
}

/// The model's own name, where all nodes' names begin with it (`resnet50/conv1_conv/Conv2D`).
fn common_root(source: &Source) -> Option<String> {
    let mut roots = source
        .nodes
        .iter()
        .filter_map(|node| Some(node.name.split_once('/')?.0))
        .filter(|root| !root.is_empty());
    let first = roots.next()?;
    roots.all(|root| root == first).then(|| first.to_owned())
}

fn own_name(node: &Node, root: Option<&str>) -> String {
    let own = node.name.trim_start_matches('/');
    let own = root.and_then(|root| own.strip_prefix(root)).unwrap_or(own);
    match own.trim_matches('/') {
        "" => snake_case(&node.op),
        own => own.strip_prefix("node_").unwrap_or(own).to_lowercase().replace('/', "."),
    }
}
