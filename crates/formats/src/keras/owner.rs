//! Whether a layer's class is Keras's own. A class of somebody else's may have the name of one of Keras's and compute another
//! thing.

use super::dtype::{INT8, Policy, policy};
use serde_json::Value;

/// Where Keras and tf.keras define and export what is theirs.
const MODULES: &[&str] = &["keras", "tensorflow.keras", "tensorflow.python.keras", "tf_keras"];

/// Why a layer cannot be run, where its class is not Keras's own or its weights are numbers that cannot be read.
pub(super) fn foreign(json: &Value) -> Option<String> {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    let class = text("class_name").unwrap_or_default();
    let is_kerass = |name: &str| {
        MODULES
            .iter()
            .any(|own| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    // `my>Conv2D`: registered by the package `my`
    let package = |name: &str| name.rsplit_once('>').map(|(package, _)| package.to_owned());
    let registered = text("registered_name").filter(|name| !name.is_empty());
    let by_package = [Some(class), registered]
        .into_iter()
        .flatten()
        .find_map(|name| package(name).filter(|package| !is_kerass(package)).map(|_| name.to_owned()));
    let by_module =
        text("module").filter(|module| !is_kerass(module)).map(|module| format!("{module}.{class}"));
    // what is registered and of no module is found by its registered name alone
    let without_module = (json.get("module").is_some_and(Value::is_null) && registered.is_some())
        .then(|| registered.unwrap_or(class).to_owned());
    if let Some(name) = by_package.or(by_module).or(without_module) {
        return Some(format!(
            "`{name}` is not a layer of Keras's own, and its code is not in the file; where it does what an operation of keras.ops does, or nothing, say so with the setting `custom = {class}=identity`"
        ));
    }
    match policy(&json["config"]["dtype"]) {
        Policy::Quantised(mode) if mode != INT8 => {
            Some(format!("its weights are quantised (`{mode}`): save the model before `quantize` is called"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes_of_other_packages_are_not_taken_for_kerass_own() {
        let own = [
            json!({"class_name": "Conv2D"}),
            json!({"class_name": "Conv2D", "module": "keras.layers", "registered_name": null}),
            json!({"class_name": "Conv2D", "module": "tensorflow.keras.layers", "registered_name": null}),
            json!({"class_name": "LayerScale", "module": "keras.src.applications.convnext", "registered_name": "LayerScale"}),
            json!({"class_name": "keras.layers>Conv2D"}),
            json!({"class_name": "Dense", "config": {"dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}}}),
            json!({"class_name": "Dense", "config": {"dtype": "int8_from_float32"}}),
        ];
        for json in own {
            assert_eq!(foreign(&json), None, "{json}");
        }
        let others = [
            json!({"class_name": "my>Conv2D"}),
            json!({"class_name": "Custom>LayerScale", "config": {}}),
            json!({"class_name": "Conv2D", "module": null, "registered_name": "my>Conv2D"}),
            json!({"class_name": "Conv2D", "module": null, "registered_name": "Conv2D"}),
            json!({"class_name": "Conv2D", "module": "__main__", "registered_name": "Conv2D"}),
            json!({"class_name": "Conv2D", "module": "keras_own.layers", "registered_name": null}),
            json!({"class_name": "Dense", "module": "keras.layers", "config": {"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "gptq/4/128"}}}}),
            json!({"class_name": "Dense", "config": {"dtype": "int4_from_float32"}}),
        ];
        for json in others {
            assert!(foreign(&json).is_some(), "{json}");
        }
    }
}
