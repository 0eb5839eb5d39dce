//! Layers of well-known packages that do nothing at inference, by the names and settings that only they have. Their code is not in
//! the file and is not needed.

use serde_json::{Map, Value, json};

/// The classes, and their setting of the share that is dropped: `efficientnet` and `segmentation_models` of qubvel;
/// `keras_efficientnets`; `keras_cv`.
const DROPPING: &[(&str, &str)] =
    &[("FixedDropout", "rate"), ("DropConnect", "drop_connect_rate"), ("DropPath", "rate")];

/// The class of Keras's own that does the same, with its config; none for a class that is not known.
pub(super) fn as_keras(
    class_name: &str,
    config: &Map<String, Value>,
) -> Option<(&'static str, Map<String, Value>)> {
    let bare = class_name.rsplit('>').next().unwrap_or(class_name);
    let (_, key) = DROPPING.iter().find(|(name, _)| *name == bare)?;
    let rate = config.get(*key).filter(|rate| rate.is_number())?;
    let (class, key, more) = match bare {
        "FixedDropout" => ("Dropout", "rate", &["name", "trainable", "noise_shape"][..]),
        _ => ("StochasticDepth", "drop_path_rate", &["name", "trainable"][..]),
    };
    let mut own: Map<String, Value> = Map::from_iter([(key.to_owned(), json!(rate))]);
    for key in more {
        own.extend(config.get(*key).map(|value| ((*key).to_owned(), value.clone())));
    }
    Some((class, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_known_by_name_and_settings() {
        let found = |class: &str, config: Value| as_keras(class, config.as_object().expect("an object"));
        let images = json!({"rate": 0.2, "noise_shape": [null, 1, 1, 1], "name": "drop", "seed": null});
        let (class, config) = found("Custom>FixedDropout", images).expect("known");
        let expected = json!({"rate": 0.2, "name": "drop", "noise_shape": [null, 1, 1, 1]});
        assert_eq!((class, Value::Object(config)), ("Dropout", expected));
        assert!(found("DropConnect", json!({"drop_connect_rate": 0.2})).is_some());
        assert!(found("DropConnect", json!({"p": 0.2})).is_none());
        assert!(found("Swish", json!({"rate": 0.2})).is_none());
    }
}
