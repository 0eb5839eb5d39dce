//! Settings that not every Keras 3 has: what is written loads in all of them, so a setting goes where leaving it out means the
//! same.

use serde_json::{Map, Value, json};

/// Settings that came after Keras 3.0, and the value that means what all versions do. The class is empty where that holds for
/// all.
fn added() -> [(&'static str, &'static str, Value); 27] {
    [
        ("", "input_axes", Value::Null),
        ("", "output_axes", Value::Null),
        ("", "zero_output_for_mask", json!(false)),
        // in an `.h5` Keras takes the word for its function of the same name
        ("Attention", "score_mode", json!("dot")),
        ("DotProductAttention", "flash_attention", Value::Null),
        ("DotProductAttention", "attn_logits_soft_cap", Value::Null),
        ("MultiHeadAttention", "flash_attention", Value::Null),
        ("MultiHeadAttention", "use_gate", json!(false)),
        ("MultiHeadAttention", "sliding_window", Value::Null),
        ("MultiHeadAttention", "seed", Value::Null),
        ("BatchNormalization", "renorm", json!(false)),
        ("BatchNormalization", "renorm_clipping", Value::Null),
        ("BatchNormalization", "renorm_momentum", json!(0.99)),
        ("ZeroPadding1D", "data_format", json!("channels_last")),
        ("LayerNormalization", "rms_scaling", json!(false)),
        ("RandomContrast", "value_range", json!([0, 255])),
        ("Normalize", "epsilon", Value::Null),
        ("Prod", "dtype", Value::Null),
        ("Resize", "crop_to_aspect_ratio", json!(false)),
        ("Resize", "pad_to_aspect_ratio", json!(false)),
        ("Resize", "antialias", json!(false)),
        ("Resize", "fill_mode", json!("constant")),
        ("Resize", "fill_value", json!(0.0)),
        ("Resizing", "pad_to_aspect_ratio", json!(false)),
        ("Resizing", "antialias", json!(false)),
        ("Resizing", "fill_mode", json!("constant")),
        ("Resizing", "fill_value", json!(0.0)),
    ]
}

/// Layers that wrote a `value_range` in Keras 3.0 to 3.5, which they do nothing with and which no later version takes.
const HAD_VALUE_RANGE: &[&str] =
    &["RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomCrop"];

/// The settings of a layer of this class that every Keras 3 takes, and those that say something.
pub(super) fn for_all_versions(class_name: &str, config: Map<String, Value>) -> Map<String, Value> {
    let added = added();
    let says_nothing = |key: &str, value: &Value| {
        added.iter().any(|(class, name, default)| {
            (class.is_empty() || *class == class_name) && *name == key && is_same(value, default)
        })
            // what they say of weights is done when they are read
            || ["lora_rank", "lora_alpha", "quantization_config"].contains(&key)
            || (key == "value_range" && HAD_VALUE_RANGE.contains(&class_name))
            || (key == "data_format" && class_name.starts_with("Random") && *value == "channels_last")
            // old files say the input's shape at the first layer
            || (["batch_shape", "batch_input_shape"].contains(&key) && class_name != "InputLayer")
    };
    let kept = config.into_iter().filter(|(key, value)| !says_nothing(key, value));
    kept.map(|(key, value)| (key, nested(value))).collect()
}

/// The same for the objects in a layer's config: initializers, regularizers.
fn nested(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let class = map.get("class_name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let inner = |(key, value): (String, Value)| match (key.as_str(), value) {
                ("config", Value::Object(config)) => (key, Value::Object(for_all_versions(&class, config))),
                // Keras 3.0 knows it by this name, and later versions by both
                ("class_name", Value::String(name)) if name == "Orthogonal" => {
                    (key, Value::String("OrthogonalInitializer".to_owned()))
                }
                (_, value) => (key, value),
            };
            Value::Object(map.into_iter().map(inner).collect())
        }
        other => other,
    }
}

/// Equal, numbers by their value: `0` is `0.0`.
fn is_same(value: &Value, default: &Value) -> bool {
    match (value, default) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        _ => value == default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_something_is_kept_of_newer_settings() {
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let config = map(json!({
            "units": 3, "quantization_config": null, "lora_rank": 4, "activation": null,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": null, "input_axes": null}},
        }));
        let expected = map(json!({
            "units": 3, "activation": null,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": null}},
        }));
        assert_eq!(for_all_versions("Dense", config), expected);
        let antialiased = map(json!({"antialias": true, "fill_value": 0}));
        assert_eq!(for_all_versions("Resizing", antialiased), map(json!({"antialias": true})));
        let rotation = map(json!({"factor": 0.2, "value_range": [0, 255], "data_format": "channels_last"}));
        assert_eq!(for_all_versions("RandomRotation", rotation), map(json!({"factor": 0.2})));
        let brightness = map(json!({"value_range": [0, 255]}));
        assert_eq!(for_all_versions("RandomBrightness", brightness.clone()), brightness);
    }
}
