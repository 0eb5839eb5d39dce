//! Operations of Keras (`x * 2.0`, `x[:, 0]`, `keras.ops.mean(x)`): nodes of the graph that are no layers. What they are
//! called on, tensors and constants, is brought into the form in which the graph keeps it.

use super::inbound::{ATTENTION, in_order, tensors};
use frostline_graph::layers::{AttentionCall, CALL, Operation, classes};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Operations that are the layer of the same name where they are called on tensors alone.
const AS_LAYERS: &[&str] = &["Add", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"];
/// Layers that may be called with a mask of their own.
const ATTENTIONS: &[&str] = &["AdditiveAttention", "Attention", "MultiHeadAttention"];
/// Whether a place looks at none behind it.
const CAUSAL: &str = "use_causal_mask";
/// Of constants no call has more levels of lists.
const MAX_DEPTH: usize = 32;

/// Adds to the config of an operation what it is called on. `has_masks`: the model says which steps of a sequence count, which layers hand
/// on and operations do not; `keeps_masks`: attention layers of the file's Keras leave that on what they are called on. Errors are reasons why it, or the layer, cannot be run.
pub(super) fn with_call(
    class: &str,
    json: &Value,
    config: &mut Map<String, Value>,
    has_masks: bool,
    keeps_masks: bool,
) -> Result<(), String> {
    let nodes = json["inbound_nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ATTENTIONS.contains(&class) {
        let causal = nodes.iter().map(is_causal).collect::<Result<BTreeSet<bool>, String>>()?;
        if causal.len() > 1 {
            return Err("its calls differ in `use_causal_mask`".to_owned());
        }
        let keeps_masks = class == "MultiHeadAttention" && has_masks && keeps_masks;
        config.extend(AttentionCall { causal: causal.contains(&true), keeps_masks }.config());
        return Ok(());
    }
    let module = json["module"].as_str();
    if !is_operation(class, module, nodes) {
        return nodes.iter().try_for_each(called_on_tensors);
    }
    if !Operation::CLASSES.contains(&class) {
        return Err("it is an operation of Keras that frostline does not have".to_owned());
    }
    let mut calls = nodes.iter().map(call);
    let Some(first) = calls.next() else { return Ok(()) };
    let first = first?;
    if calls.any(|other| other.as_ref() != Ok(&first)) {
        return Err("its calls are given different constants".to_owned());
    }
    if AS_LAYERS.contains(&class) && !has_masks && holds_tensors_alone(&first) {
        return Ok(());
    }
    config.insert(CALL.to_owned(), first);
    Ok(())
}

/// Whether a node is an operation and no layer. `.h5` files do not say the module: there a merge layer is called on one list.
fn is_operation(class: &str, module: Option<&str>, nodes: &[Value]) -> bool {
    let several = |node: &Value| node["args"].as_array().is_some_and(|arguments| arguments.len() > 1);
    match module {
        Some(module) => module.starts_with("keras.src.ops") || module.starts_with("keras.ops"),
        None if !Operation::CLASSES.contains(&class) => false,
        None => !classes().contains(&class) || nodes.iter().any(several),
    }
}

/// A layer is called on tensors; flags (`training`, `mask`) are no matter.
fn called_on_tensors(node: &Value) -> Result<(), String> {
    let is_other = |value: &&Value| match value {
        Value::Null | Value::Bool(_) => false,
        value => tensors(value).is_empty(),
    };
    match node["args"].as_array().into_iter().flatten().find(is_other) {
        Some(Value::Number(number)) => Err(format!("it is called on {number} beside a tensor")),
        Some(_) => Err("it is called on a constant".to_owned()),
        None => Ok(()),
    }
}

/// The call of a node, as the graph keeps it. Tensors are counted in the order in which they are found there.
fn call(node: &Value) -> Result<Value, String> {
    let mut count = 0;
    let args = node["args"].as_array().into_iter().flatten().map(|value| argument(value, &mut count, 0));
    let args = args.collect::<Result<Vec<_>, String>>()?;
    let named = node["kwargs"].as_object().into_iter().flat_map(in_order);
    let kwargs = named.map(|(name, value)| Ok((name.clone(), argument(value, &mut count, 0)?)));
    let kwargs = kwargs.collect::<Result<Map<String, Value>, String>>()?;
    match tensors(node).len() == count {
        true => Ok(json!({"args": args, "kwargs": kwargs})),
        false => Err("what it is called on cannot be told".to_owned()),
    }
}

/// An argument in the graph's form.
fn argument(value: &Value, count: &mut usize, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("its arguments are lists in lists without an end".to_owned());
    }
    let class = value["class_name"].as_str();
    match (class, value) {
        (Some("__keras_tensor__"), _) => {
            *count += 1;
            Ok(json!({"tensor": *count - 1}))
        }
        (Some("__numpy__" | "__tensor__"), value) => {
            Ok(json!({"array": value["config"]["value"], "dtype": value["config"]["dtype"]}))
        }
        (Some("__tuple__"), value) => {
            let items = value["config"]["value"].as_array().or(value["items"].as_array());
            items.into_iter().flatten().map(|item| argument(item, count, depth + 1)).collect()
        }
        (_, Value::Array(items)) => items.iter().map(|item| argument(item, count, depth + 1)).collect(),
        (_, other) => Ok(other.clone()),
    }
}

fn holds_tensors_alone(call: &Value) -> bool {
    fn is_tensor(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(is_tensor),
            value => value.get("tensor").is_some(),
        }
    }
    let named = call["kwargs"].as_object().into_iter().flat_map(Map::values);
    call["args"].as_array().into_iter().flatten().chain(named).all(is_tensor)
}

/// Whether a call of an attention layer is causal; it has no other mask than those that follow from the layers below, and gives its
/// output alone. Before Keras 3 keywords stand behind the first tensor.
fn is_causal(node: &Value) -> Result<bool, String> {
    let positional = node["args"].as_array().map(Vec::as_slice).unwrap_or_default();
    let keywords = node.get("kwargs").or(node.get(0).and_then(|first| first.get(3)));
    let is_set = |value: &Value| !value.is_null() && *value != json!(false);
    let more = positional.iter().skip(ATTENTION.len()).find(|value| is_set(value)).map(|_| "a mask");
    let is_other = |(name, value): &(&String, &Value)| {
        is_set(value) && !ATTENTION.contains(&name.as_str()) && !["training", CAUSAL].contains(&name.as_str())
    };
    let named = keywords.and_then(Value::as_object).and_then(|all| all.iter().find(is_other));
    match more.or(named.map(|(name, _)| name.as_str())) {
        Some(argument) => Err(format!("it is called with {argument}, which frostline does not have")),
        None => Ok(keywords.is_some_and(|all| all[CAUSAL] == json!(true))),
    }
}
