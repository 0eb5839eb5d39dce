//! The tensors that a layer is called on, as the dialects write them.

use serde_json::{Map, Value};

/// A tensor of the file: layer name, which of its calls, which of the call's outputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorName {
    pub(super) layer: String,
    pub(super) node: usize,
    pub(super) output: usize,
}

/// What `MultiHeadAttention` is called on, in the order in which it takes it: keywords may be in any.
pub(super) const ATTENTION: [&str; 3] = ["query", "value", "key"];

/// The tensors in a value, in order: Keras 3 wraps each in an object with its history; Keras 1, 2 and tf.keras write
/// `[layer, node, output]` or `[layer, node, output, {keyword arguments}]`.
pub(super) fn tensors(value: &Value) -> Vec<TensorName> {
    let mut found = Vec::new();
    collect(value, 0, &mut found);
    found
}

fn collect(value: &Value, depth: usize, found: &mut Vec<TensorName>) {
    if depth > 32 {
        return;
    }
    match value {
        Value::Array(items) => match history(items) {
            Some(name) => {
                found.push(name);
                items.iter().skip(3).for_each(|keywords| collect(keywords, depth + 1, found));
            }
            None => items.iter().for_each(|item| collect(item, depth + 1, found)),
        },
        Value::Object(map) => {
            let keras_history = (map.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__"))
                .then(|| value["config"]["keras_history"].as_array())
                .flatten();
            match keras_history.and_then(|items| history(items)) {
                Some(name) => found.push(name),
                None => in_order(map).into_iter().for_each(|(_, value)| collect(value, depth + 1, found)),
            }
        }
        _ => {}
    }
}

/// Keyword arguments in the order in which their tensors are counted.
pub(super) fn in_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut arguments: Vec<(&String, &Value)> = map.iter().collect();
    arguments
        .sort_by_key(|(name, _)| ATTENTION.iter().position(|own| own == name).unwrap_or(ATTENTION.len()));
    arguments
}

/// Whether a keyword argument of files before Keras 3 is a tensor: `[layer, node, output]`.
pub(super) fn is_tensor(value: &Value) -> bool {
    value.as_array().is_some_and(|items| history(items).is_some())
}

fn history(items: &[Value]) -> Option<TensorName> {
    let [Value::String(layer), node, output, ..] = items else { return None };
    let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
    Some(TensorName { layer: layer.clone(), node: index(node)?, output: index(output)? })
}
