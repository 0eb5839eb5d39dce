//! Operations of Keras (`x * 2.0`, `1.0 - x`, `keras.ops.maximum(x, y)`): nodes of the graph that are no layers. What
//! they are called on may be numbers, which stand beside the tensors.

use super::inbound::{ATTENTION, tensors};
use serde_json::{Map, Value, json};

/// Operations that are the layer of the same name where they are called on tensors alone.
const AS_LAYERS: &[&str] = &["Add", "Concatenate", "Maximum", "Minimum", "Multiply", "Softmax", "Subtract"];
/// Operations that are run on a tensor and a number.
const WITH_NUMBER: &[&str] = &["Add", "Divide", "Multiply", "Subtract", "TrueDivide"];

/// What a call is given.
#[derive(Clone, Debug, PartialEq)]
enum Argument {
    /// A tensor, or several in a list.
    Tensors,
    Number(f64),
    Other(Value),
}

/// Adds to the config what the layer or operation is called on beside its tensors. Errors are reasons why it cannot be
/// run.
pub(super) fn with_operand(class: &str, json: &Value, config: &mut Map<String, Value>) -> Result<(), String> {
    let module = json["module"].as_str().unwrap_or_default();
    let nodes = json["inbound_nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if class == "MultiHeadAttention" {
        return nodes.iter().try_for_each(attends_to_all);
    }
    // a merge layer is called on one list; `.h5` files do not say the module
    let several = |node: &Value| node["args"].as_array().is_some_and(|arguments| arguments.len() > 1);
    let is_operation = module.starts_with("keras.src.ops") || module.starts_with("keras.ops");
    let is_operation = is_operation || (WITH_NUMBER.contains(&class) && nodes.iter().any(several));
    let mut calls = nodes.iter().map(|node| arguments(node, is_operation));
    let Some(first) = calls.next() else { return Ok(()) };
    let differ = calls.any(|call| call != first && (is_constant(&call) || is_constant(&first)));
    if differ {
        return Err("its calls are given different constants".to_owned());
    }
    match first.as_slice() {
        [Argument::Tensors, Argument::Number(number)] if is_operation && WITH_NUMBER.contains(&class) => {
            config.insert("operand".to_owned(), json!(number));
        }
        [Argument::Number(number), Argument::Tensors] if is_operation && WITH_NUMBER.contains(&class) => {
            config.insert("operand".to_owned(), json!(number));
            config.insert("operand_first".to_owned(), json!(true));
        }
        all if is_constant(all) => {
            let shown = all.iter().find_map(|argument| match argument {
                Argument::Tensors => None,
                Argument::Number(number) => Some(number.to_string()),
                Argument::Other(_) => Some("a constant".to_owned()),
            });
            let shown = shown.unwrap_or_default();
            return Err(format!(
                "it is called on {shown} beside a tensor, which only + - * / with a number may be"
            ));
        }
        _ if is_operation && !AS_LAYERS.contains(&class) => {
            return Err("it is an operation of Keras that frostline does not have".to_owned());
        }
        _ => {}
    }
    Ok(())
}

/// Whether a call of `MultiHeadAttention` has no mask and gives its output alone. Before Keras 3 keywords stand behind the
/// first tensor.
fn attends_to_all(node: &Value) -> Result<(), String> {
    let positional = node["args"].as_array().map(Vec::as_slice).unwrap_or_default();
    let keywords = node.get("kwargs").or(node.get(0).and_then(|first| first.get(3)));
    let is_set = |value: &Value| !value.is_null() && *value != json!(false);
    let more = positional.iter().skip(ATTENTION.len()).find(|value| is_set(value)).map(|_| "a mask");
    let is_other = |(name, value): &(&String, &Value)| {
        is_set(value) && !ATTENTION.contains(&name.as_str()) && *name != "training"
    };
    let named = keywords.and_then(Value::as_object).and_then(|all| all.iter().find(is_other));
    match more.or(named.map(|(name, _)| name.as_str())) {
        Some(argument) => Err(format!("it is called with {argument}, which frostline does not have")),
        None => Ok(()),
    }
}

fn is_constant(call: &[Argument]) -> bool {
    call.iter().any(|argument| *argument != Argument::Tensors)
}

/// The arguments of a call of Keras 3. Flags (`training`, `mask`) are left out, and all keywords of layers.
fn arguments(node: &Value, is_operation: bool) -> Vec<Argument> {
    let positional = node["args"].as_array().into_iter().flatten();
    let keywords = node["kwargs"].as_object().into_iter().flat_map(Map::values).filter(|_| is_operation);
    let argument = |value: &Value| match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => number.as_f64().map(Argument::Number),
        value if !tensors(value).is_empty() => Some(Argument::Tensors),
        value => Some(Argument::Other(value.clone())),
    };
    positional.chain(keywords).filter_map(argument).collect()
}
