//! Operations on tensors as tf.keras 2.4 to 2.15 wrote them: `TFOpLambda` and `SlicingOpLambda` layers, each with the name of a
//! function of TensorFlow. They become what Keras 3 has for the same.

use super::inbound::{in_order, is_tensor};
use super::tf_functions::{ACTIVATIONS, FUNCTIONS, IGNORED};
use frostline_graph::layers::{CALL, Operation};
use serde_json::{Map, Value, json};

/// The classes of such layers.
const CLASSES: [&str; 2] = ["TFOpLambda", "SlicingOpLambda"];
/// Stands in for the tensor where a constant comes first.
const CONSTANT: &str = "_CONSTANT_VALUE";
/// TensorFlow's own bound of `l2_normalize`, of the square of the norm.
const L2_EPSILON: f64 = 1e-12;

/// Whether a layer is of such a class.
pub(super) fn is_function(class: &str) -> bool {
    CLASSES.contains(&class)
}

/// The class and the config of Keras 3 for a layer of the file. Error: why there is none.
pub(super) fn as_layer(json: &Value) -> Result<(String, Map<String, Value>), String> {
    let function = json["config"]["function"].as_str().unwrap_or_default();
    let function = function.strip_prefix("compat.v1.").unwrap_or(function);
    let mut calls = json["inbound_nodes"].as_array().into_iter().flatten().map(|node| called(function, node));
    let first = calls.next().ok_or_else(|| format!("`tf.{function}` is called on nothing"))??;
    if calls.any(|other| other.as_ref() != Ok(&first)) {
        return Err("its calls are given different constants".to_owned());
    }
    Ok(first)
}

/// The class and the config for one call.
fn called(function: &str, node: &Value) -> Result<(String, Map<String, Value>), String> {
    let call = Call::of(node)?;
    if function == "__operators__.getitem" {
        let key = call.keywords.and_then(|all| all.get("slice_spec")).ok_or("its slices cannot be read")?;
        let key = match key {
            Value::Array(keys) => keys.iter().map(slice).collect(),
            one => slice(one),
        };
        return Ok(operation("GetItem", Map::new(), vec![call.first, key], Map::new()));
    }
    if let Some((_, activation)) = ACTIVATIONS.iter().find(|(name, _)| *name == function) {
        let config = Map::from_iter([("activation".to_owned(), json!(activation))]);
        return Ok(("Activation".to_owned(), config));
    }
    let known = FUNCTIONS.iter().find(|(names, ..)| names.contains(&function));
    let Some((_, class, first, renamed)) = known else {
        return Err(format!("`tf.{function}` is none of the functions of TensorFlow that are run here"));
    };
    let parameters = Operation::parameters(class).unwrap_or_default();
    let (mut settings, mut named) = (Map::new(), Map::new());
    let mut count = call.tensors;
    for (name, value) in call.keywords.into_iter().flat_map(in_order) {
        let own = renamed.iter().find(|(tf, _)| tf == name).map(|(_, keras)| *keras);
        match own {
            Some(own) if parameters.contains(&own) => {
                named.insert(own.to_owned(), argument(value, &mut count));
            }
            Some(_) if is_tensor(value) => {
                return Err(format!("its `{name}` is computed, where a setting is run"));
            }
            Some(own) if !value.is_null() => {
                settings.insert(own.to_owned(), value.clone());
            }
            Some(_) => {}
            None if value.is_null() || IGNORED.contains(&name.as_str()) || is_usual(name, value) => {}
            None => return Err(format!("`tf.{function}` is given `{name}`, which is not run")),
        }
    }
    let is_set = |name: &str| call.keywords.and_then(|all| all.get(name)) == Some(&json!(true));
    let class = match (function, is_set("transpose_a"), is_set("transpose_b")) {
        ("linalg.matmul", true, _) => return Err("its first matrix is turned, which is not run".to_owned()),
        ("linalg.matmul", false, true) => {
            settings.insert("subscripts".to_owned(), json!("...ij,...kj->...ik"));
            let second = named.remove("x2").ok_or("it has one matrix alone")?;
            return Ok(operation("Einsum", settings, vec![call.first, second], Map::new()));
        }
        _ => *class,
    };
    adapted(function, &mut settings)?;
    // Keras takes it for margins of a number alone
    if settings.get("mode").is_some_and(|mode| mode != "constant") {
        named.remove("constant_values");
    }
    let has_constants = call.is_constant || named.values().any(|value| value.get("tensor").is_none());
    // of tensors alone they are layers, which `.h5` files hold too
    let is_layer = ["Add", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"].contains(&class);
    if is_layer && !has_constants {
        return Ok((class.to_owned(), settings));
    }
    named.insert((*first).to_owned(), call.first);
    let positional = parameters.iter().map_while(|name| named.remove(*name)).collect();
    Ok(operation(class, settings, positional, named))
}

fn operation(
    class: &str,
    mut settings: Map<String, Value>,
    positional: Vec<Value>,
    named: Map<String, Value>,
) -> (String, Map<String, Value>) {
    settings.insert(CALL.to_owned(), json!({"args": positional, "kwargs": named}));
    (class.to_owned(), settings)
}

/// Settings that TensorFlow says otherwise than Keras, or has other defaults for.
fn adapted(function: &str, settings: &mut Map<String, Value>) -> Result<(), String> {
    let lower = |settings: &mut Map<String, Value>, name: &str| {
        if let Some(Value::String(text)) = settings.get_mut(name) {
            *text = text.to_lowercase();
        }
    };
    match function {
        "nn.gelu" => drop(settings.entry("approximate").or_insert(json!(false))),
        "nn.leaky_relu" => drop(settings.entry("negative_slope").or_insert(json!(0.2))),
        "math.l2_normalize" | "nn.l2_normalize" => {
            let square = settings.get("epsilon").and_then(Value::as_f64).unwrap_or(L2_EPSILON);
            settings.insert("epsilon".to_owned(), json!(square.sqrt()));
        }
        "norm" if settings.get("ord") == Some(&json!("euclidean")) => drop(settings.remove("ord")),
        "pad" | "nn.max_pool2d" | "nn.avg_pool2d" => {
            ["mode", "padding"].iter().for_each(|name| lower(settings, name))
        }
        "math.argmax" | "argmax" | "math.argmin" | "argmin" => {
            settings.insert("keepdims".to_owned(), json!(false));
        }
        // sizes of the parts, where Keras says where they begin
        "split" => {
            if let Some(Value::Array(sizes)) = settings.get("indices_or_sections") {
                let mut start = 0;
                let mut starts = Vec::new();
                for size in sizes.iter().take(sizes.len().saturating_sub(1)) {
                    start += size
                        .as_i64()
                        .filter(|size| *size >= 0)
                        .ok_or("the sizes of its parts are not all known")?;
                    starts.push(start);
                }
                settings.insert("indices_or_sections".to_owned(), json!(starts));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a setting is what it always is.
fn is_usual(name: &str, value: &Value) -> bool {
    match name {
        "data_format" => value == "NHWC",
        "preserve_aspect_ratio" => *value == json!(false),
        _ => false,
    }
}

/// What a function is called on.
struct Call<'a> {
    /// The first argument in the graph's form.
    first: Value,
    /// The tensors in it.
    tensors: usize,
    is_constant: bool,
    keywords: Option<&'a Map<String, Value>>,
}

impl<'a> Call<'a> {
    /// `[tensor, node, output, {"y": …}]`, or a list of such, of which each has the keywords; a constant stands in the output's
    /// place.
    fn of(node: &'a Value) -> Result<Self, String> {
        let parts = node.as_array().map(Vec::as_slice).unwrap_or_default();
        let keywords = |call: &'a [Value]| call.get(3).and_then(Value::as_object);
        if parts.first().and_then(Value::as_str) == Some(CONSTANT) {
            let constant = parts.get(2).ok_or("its constant is missing")?;
            return Ok(Self {
                first: constant_of(constant),
                tensors: 0,
                is_constant: true,
                keywords: keywords(parts),
            });
        }
        match parts.first() {
            Some(Value::Array(first)) => {
                if parts.iter().any(|part| part.get(0).and_then(Value::as_str) == Some(CONSTANT)) {
                    return Err("it is called on a list with a constant in it".to_owned());
                }
                let all: Vec<Value> = (0..parts.len()).map(|place| json!({"tensor": place})).collect();
                let first_alone = all.len() == 1 && first.len() > 3;
                let value = if first_alone { all[0].clone() } else { Value::Array(all) };
                Ok(Self { first: value, tensors: parts.len(), is_constant: false, keywords: keywords(first) })
            }
            Some(_) => Ok(Self {
                first: json!({"tensor": 0}),
                tensors: 1,
                is_constant: false,
                keywords: keywords(parts),
            }),
            None => Err("it is called on nothing".to_owned()),
        }
    }
}

/// A keyword argument in the graph's form; tensors are counted on.
fn argument(value: &Value, count: &mut usize) -> Value {
    if is_tensor(value) {
        *count += 1;
        return json!({"tensor": *count - 1});
    }
    constant_of(value)
}

/// A list of numbers is an array, whatever else it may be to TensorFlow.
fn constant_of(value: &Value) -> Value {
    match value {
        Value::Array(_) => {
            let whole = is_whole(value);
            json!({"array": value, "dtype": if whole { "int32" } else { "float32" }})
        }
        other => other.clone(),
    }
}

fn is_whole(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_whole),
        other => other.is_i64() || other.is_u64(),
    }
}

/// A part of a key in Keras 3's form.
fn slice(part: &Value) -> Value {
    match part {
        Value::Object(map) if map.contains_key("step") => json!({"class_name": "__slice__", "config": part}),
        Value::Object(map) if map.get("class_name") == Some(&json!("__ellipsis__")) => {
            json!({"class_name": "__ellipsis__", "config": {}})
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(function: &str, nodes: Value) -> Result<(String, Value), String> {
        let json =
            json!({"class_name": "TFOpLambda", "config": {"function": function}, "inbound_nodes": nodes});
        as_layer(&json).map(|(class, config)| (class, Value::Object(config)))
    }

    #[test]
    fn functions_of_tensorflow_are_those_of_keras_3() {
        let scaled = read("math.truediv", json!([["input", 0, 0, {"y": 127.5, "name": null}]]));
        let call = json!({"args": [{"tensor": 0}, 127.5], "kwargs": {}});
        assert_eq!(scaled, Ok(("TrueDivide".into(), json!({ CALL: call }))));
        let turned = read("math.subtract", json!([["_CONSTANT_VALUE", -1, 255.0, {"y": ["input", 0, 0]}]]));
        let call = json!({"args": [255.0, {"tensor": 0}], "kwargs": {}});
        assert_eq!(turned, Ok(("Subtract".into(), json!({ CALL: call }))));
        let sum = read("__operators__.add", json!([["a", 0, 0, {"y": ["b", 0, 0], "name": null}]]));
        assert_eq!(sum, Ok(("Add".into(), json!({}))));
        assert_eq!(
            read("nn.relu", json!([["a", 0, 0, {}]])),
            Ok(("Activation".into(), json!({"activation": "relu"})))
        );
        let mean =
            read("math.subtract", json!([["a", 0, 0, {"y": [103.9, 116.8, 123.7]}]])).expect("an array");
        assert_eq!(mean.1[CALL]["args"][1]["array"], json!([103.9, 116.8, 123.7]));
        let why = read("image.rgb_to_hsv", json!([["a", 0, 0, {}]]));
        assert!(why.is_err_and(|why| why.contains("`tf.image.rgb_to_hsv`")));
    }

    #[test]
    fn lists_slices_and_sizes_are_brought_into_keras_s_form() {
        let joined =
            read("stack", json!([[["a", 0, 0, {"axis": 1}], ["b", 0, 0, {"axis": 1}]]])).expect("valid");
        assert_eq!(
            joined.1,
            json!({"axis": 1, CALL: {"args": [[{"tensor": 0}, {"tensor": 1}]], "kwargs": {}}})
        );
        let parts = read("split", json!([["a", 0, 0, {"num_or_size_splits": [3, 4, 1], "axis": -1}]]))
            .expect("valid");
        assert_eq!(parts.1["indices_or_sections"], json!([3, 7]));
        let spec = json!([{"class_name": "__ellipsis__"}, {"start": null, "stop": null, "step": -1}, null]);
        let item = read("__operators__.getitem", json!([["a", 0, 0, {"slice_spec": spec}]])).expect("valid");
        assert_eq!(item.1[CALL]["args"][1][1]["class_name"], "__slice__");
        let chosen = read("where", json!([["a", 0, 0, {"x": ["b", 0, 0], "y": 0.0}]])).expect("valid");
        assert_eq!(chosen.1[CALL]["args"], json!([{"tensor": 0}, {"tensor": 1}, 0.0]));
        let gelu = read("nn.gelu", json!([["a", 0, 0, {}]])).expect("valid");
        assert_eq!(gelu.1["approximate"], json!(false));
        assert!(read("math.reduce_mean", json!([["a", 0, 0, {"axis": 1, "unheard_of": 2}]])).is_err());
    }
}
