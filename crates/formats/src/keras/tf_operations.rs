//! Arithmetic on tensors as tf.keras 2.4 to 2.15 wrote it: `TFOpLambda` layers, each with the name of a function of TensorFlow.
//! They become what Keras 3 has for the same.

use serde_json::{Map, Value, json};

/// The class of such a layer.
pub(super) const CLASS: &str = "TFOpLambda";
/// Stands in for the tensor where a constant comes first.
const CONSTANT: &str = "_CONSTANT_VALUE";

/// Functions of two values, and the class for it.
const ARITHMETIC: &[(&str, &[&str])] = &[
    ("Add", &["__operators__.add", "math.add", "add", "nn.bias_add"]),
    ("Subtract", &["__operators__.sub", "math.subtract", "subtract"]),
    ("Multiply", &["__operators__.mul", "math.multiply", "multiply"]),
    ("TrueDivide", &["__operators__.truediv", "math.truediv", "math.divide", "truediv", "divide"]),
    ("Maximum", &["math.maximum", "maximum"]),
    ("Minimum", &["math.minimum", "minimum"]),
];
/// Functions of one value that are activations.
const ACTIVATIONS: &[(&str, &str)] = &[
    ("nn.relu", "relu"),
    ("nn.relu6", "relu6"),
    ("math.sigmoid", "sigmoid"),
    ("nn.sigmoid", "sigmoid"),
    ("math.tanh", "tanh"),
    ("nn.tanh", "tanh"),
    ("nn.softmax", "softmax"),
    ("nn.silu", "silu"),
    ("nn.swish", "silu"),
    ("nn.elu", "elu"),
    ("nn.selu", "selu"),
    ("math.softplus", "softplus"),
];

/// The class and the config of Keras 3 for a layer of the file. Error: why there is none.
pub(super) fn as_layer(json: &Value) -> Result<(String, Map<String, Value>), String> {
    let function = json["config"]["function"].as_str().unwrap_or_default();
    let mut config = Map::new();
    if let Some((_, activation)) = ACTIVATIONS.iter().find(|(name, _)| *name == function) {
        config.insert("activation".to_owned(), json!(activation));
        return Ok(("Activation".to_owned(), config));
    }
    let class = ARITHMETIC.iter().find(|(_, names)| names.contains(&function)).map(|(class, _)| *class);
    let Some(class) = class else {
        return Err(format!("`tf.{function}` is none of the functions of TensorFlow that are run here"));
    };
    let operands = json["inbound_nodes"].as_array().into_iter().flatten().map(operand);
    let mut operands = operands.collect::<Result<Vec<_>, String>>()?.into_iter();
    let first = operands.next().flatten();
    if operands.any(|other| other != first) {
        return Err("its calls are given different constants".to_owned());
    }
    match first {
        Some(_) if ["Maximum", "Minimum"].contains(&class) => {
            return Err(format!("it is called on a constant, which `tf.{function}` may not be here"));
        }
        Some((operand, is_first)) => {
            config.insert("operand".to_owned(), json!(operand));
            if is_first {
                config.insert("operand_first".to_owned(), json!(true));
            }
        }
        None if class == "TrueDivide" => return Err("it divides a tensor by a tensor".to_owned()),
        None => {}
    }
    Ok((class.to_owned(), config))
}

/// The number that a call is given beside its tensor, and whether it comes first; none where it is given two tensors.
fn operand(node: &Value) -> Result<Option<(f64, bool)>, String> {
    // [tensor, node, output, {"y": …}], or a list of one such
    let call = match node.get(0) {
        Some(Value::Array(inner)) => inner.as_slice(),
        _ => node.as_array().map(Vec::as_slice).unwrap_or_default(),
    };
    if call.first().and_then(Value::as_str) == Some(CONSTANT) {
        let number = call.get(2).and_then(Value::as_f64);
        return number.map(|number| Some((number, true))).ok_or_else(not_a_number);
    }
    let keywords = call.get(3).and_then(Value::as_object);
    let other = ["y", "value", "bias"].iter().find_map(|name| keywords?.get(*name));
    match other {
        Some(Value::Number(number)) => Ok(number.as_f64().map(|number| (number, false))),
        // another tensor: [layer, node, output]
        Some(Value::Array(tensor)) if tensor.first().is_some_and(Value::is_string) => Ok(None),
        _ => Err(not_a_number()),
    }
}

fn not_a_number() -> String {
    "it is called on a constant that is no number".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(function: &str, nodes: Value) -> Result<(String, Value), String> {
        let json = json!({"class_name": CLASS, "config": {"function": function}, "inbound_nodes": nodes});
        as_layer(&json).map(|(class, config)| (class, Value::Object(config)))
    }

    #[test]
    fn functions_of_tensorflow_are_those_of_keras_3() {
        let scaled = read("math.truediv", json!([["input", 0, 0, {"y": 127.5, "name": null}]]));
        assert_eq!(scaled, Ok(("TrueDivide".into(), json!({"operand": 127.5}))));
        let turned = read("math.subtract", json!([["_CONSTANT_VALUE", -1, 255.0, {"y": ["input", 0, 0]}]]));
        assert_eq!(turned, Ok(("Subtract".into(), json!({"operand": 255.0, "operand_first": true}))));
        let sum = read("__operators__.add", json!([["a", 0, 0, {"y": ["b", 0, 0], "name": null}]]));
        assert_eq!(sum, Ok(("Add".into(), json!({}))));
        assert_eq!(
            read("nn.relu", json!([["a", 0, 0, {}]])),
            Ok(("Activation".into(), json!({"activation": "relu"})))
        );
        assert!(read("math.subtract", json!([["a", 0, 0, {"y": [103.9, 116.8, 123.7]}]])).is_err());
        assert!(
            read("image.resize", json!([["a", 0, 0, {}]]))
                .is_err_and(|why| why.contains("`tf.image.resize`"))
        );
    }
}
