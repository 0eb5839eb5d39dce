//! The dialects of Keras 1, 2, tf.keras and 3: brings a layer's class and config to the form of Keras 3.

use serde_json::{Map, Value, json};

/// Classes whose name has changed.
const CLASSES: &[(&str, &str)] = &[
    ("AtrousConvolution2D", "Conv2D"),
    ("BatchNormalizationV1", "BatchNormalization"),
    ("BatchNormalizationV2", "BatchNormalization"),
    ("Convolution2D", "Conv2D"),
    ("DropoutV1", "Dropout"),
    ("GlobalAvgPool2D", "GlobalAveragePooling2D"),
    ("GlobalMaxPool2D", "GlobalMaxPooling2D"),
    ("AvgPool2D", "AveragePooling2D"),
    ("MaxPool2D", "MaxPooling2D"),
    ("Model", "Functional"),
    // augmentation that Keras 3 has no layer for, and that does nothing at inference
    ("RandomHeight", "Identity"),
    ("RandomWidth", "Identity"),
    ("SeparableConvolution2D", "SeparableConv2D"),
    ("SyncBatchNormalization", "BatchNormalization"),
    // the same but at the threshold itself
    ("ThresholdedReLU", "ReLU"),
];

/// Keys whose name has changed; the class is empty where the change holds for all.
const KEYS: &[(&str, &str, &str)] = &[
    ("", "batch_input_shape", "batch_shape"),
    ("Embedding", "init", "embeddings_initializer"),
    ("", "init", "kernel_initializer"),
    ("", "nb_filter", "filters"),
    ("", "subsample", "strides"),
    ("", "border_mode", "padding"),
    ("", "atrous_rate", "dilation_rate"),
    ("", "bias", "use_bias"),
    ("", "W_regularizer", "kernel_regularizer"),
    ("", "b_regularizer", "bias_regularizer"),
    ("", "W_constraint", "kernel_constraint"),
    ("", "b_constraint", "bias_constraint"),
    ("Dense", "output_dim", "units"),
    ("LSTM", "output_dim", "units"),
    ("GRU", "output_dim", "units"),
    ("SimpleRNN", "output_dim", "units"),
    ("", "inner_activation", "recurrent_activation"),
    ("", "inner_init", "recurrent_initializer"),
    ("", "dropout_W", "dropout"),
    ("", "dropout_U", "recurrent_dropout"),
    ("Dropout", "p", "rate"),
    ("SpatialDropout2D", "p", "rate"),
    ("LeakyReLU", "alpha", "negative_slope"),
    ("ReLU", "theta", "threshold"),
    ("GlobalAveragePooling2D", "keep_dims", "keepdims"),
    ("GlobalMaxPooling2D", "keep_dims", "keepdims"),
];

/// Keys under which a layer holds another.
pub(super) const INNER: &[&str] = &["layer", "backward_layer"];

/// Keys of old files that say nothing about what a layer computes.
const DROPPED: &[&str] =
    &["input_dim", "input_dtype", "input_length", "mode_args", "sparse_input", "arguments_old"];

/// A layer's class and config in the form of Keras 3. `major` is the version of the Keras that wrote the file.
pub(super) fn normalise(
    class_name: &str,
    config: &Map<String, Value>,
    major: u32,
) -> (String, Map<String, Value>) {
    // `keras.layers>Conv2D`: a registration prefix
    let bare = class_name.rsplit('>').next().unwrap_or(class_name);
    let mut class = CLASSES.iter().find(|(old, _)| *old == bare).map_or(bare, |(_, new)| new).to_owned();
    let mut map: Map<String, Value> = Map::new();
    for (key, value) in config {
        // there it is the number of vectors
        let is_size = class == "Embedding" && key == "input_dim";
        if DROPPED.contains(&key.as_str()) && !is_size {
            continue;
        }
        let renamed = KEYS.iter().find(|(of, old, _)| (of.is_empty() || *of == class) && old == key);
        let key = renamed.map_or(key.as_str(), |(_, _, new)| new);
        if !map.contains_key(key) || renamed.is_none() {
            let value = plain(value);
            let is_layer = key == "activation" || key.ends_with("_activation") || INNER.contains(&key);
            map.insert(key.to_owned(), if is_layer { inner(value, major) } else { value });
        }
    }
    if major < 2 {
        keras_1(&mut class, &mut map);
    }
    if class == "Identity" {
        map.retain(|key, _| ["name", "trainable", "dtype"].contains(&key.as_str()));
    }
    for key in ["activation", "recurrent_activation"] {
        if major < 3 && map.get(key) == Some(&json!("hard_sigmoid")) {
            map.insert(key.to_owned(), json!(frostline_graph::layers::HARD_SIGMOID_KERAS_2));
        }
    }
    (class, map)
}

/// A layer in a layer, or in the place of an activation, has a class and a config like any other.
fn inner(value: Value, major: u32) -> Value {
    match (value.get("class_name").and_then(Value::as_str), value.get("config").and_then(Value::as_object)) {
        (Some(class), Some(config)) => {
            let (class, config) = normalise(class, config, major);
            json!({"module": "keras.layers", "class_name": class, "config": config, "registered_name": null})
        }
        _ => value,
    }
}

/// What Keras 1 wrote in more than another name.
fn keras_1(class: &mut String, map: &mut Map<String, Value>) {
    if let (Some(rows), Some(columns)) = (map.remove("nb_row"), map.remove("nb_col")) {
        map.insert("kernel_size".to_owned(), json!([rows, columns]));
    }
    if let Some(ordering) = map.remove("dim_ordering") {
        let format = if ordering == "th" { "channels_first" } else { "channels_last" };
        map.insert("data_format".to_owned(), json!(format));
    }
    if class == "BatchNormalization" {
        map.remove("mode");
    }
    if class == "Merge" {
        let mode = map.remove("mode");
        if let Some(axis) = map.remove("concat_axis").filter(|_| mode == Some(json!("concat"))) {
            map.insert("axis".to_owned(), axis);
        }
        let merge_class = |mode: &str| match mode {
            "sum" => "Add",
            "mul" => "Multiply",
            "ave" => "Average",
            "max" => "Maximum",
            "concat" => "Concatenate",
            _ => "Merge",
        };
        *class = merge_class(mode.as_ref().and_then(Value::as_str).unwrap_or_default()).to_owned();
        [
            "dot_axes",
            "output_shape",
            "output_shape_type",
            "mode_type",
            "output_mask",
            "output_mask_type",
            "arguments",
        ]
        .iter()
        .for_each(|key| drop(map.remove(*key)));
    }
}

/// Numbers that Keras wrapped up (`__numpy__`, `__tensor__`, `__ndarray__`, tuples) as plain JSON.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => match map.get("class_name").and_then(Value::as_str) {
            Some("__numpy__" | "__tensor__" | "__ndarray__") => map["config"]["value"].clone(),
            Some("__tuple__") => map.get("items").map_or(Value::Null, plain),
            _ if map.get("type").and_then(Value::as_str) == Some("ndarray") => {
                map.get("value").cloned().unwrap_or(Value::Null)
            }
            _ => Value::Object(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        },
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_as_an_activation_is_brought_up_to_date_with_its_layer() {
        let leaky = json!({"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.1}});
        let config = json!({"filters": 8, "activation": leaky});
        let (_, config) = normalise("Conv2D", config.as_object().expect("an object"), 2);
        assert_eq!(config["activation"]["config"], json!({"name": "leaky", "negative_slope": 0.1}));
        let plain = json!({"activation": "relu"});
        assert_eq!(normalise("Conv2D", plain.as_object().expect("an object"), 2).1["activation"], "relu");
    }

    #[test]
    fn a_thresholded_relu_is_a_relu_with_a_threshold() {
        let config = json!({"theta": 0.3});
        let (class, config) = normalise("ThresholdedReLU", config.as_object().expect("an object"), 2);
        assert_eq!((class.as_str(), &config["threshold"]), ("ReLU", &json!(0.3)));
    }
}
