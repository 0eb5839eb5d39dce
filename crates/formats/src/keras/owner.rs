//! Whether a layer's class is Keras's own. A class of somebody else's may have the name of one of Keras's and compute another
//! thing.

use serde_json::Value;

/// Where Keras and tf.keras define and export what is theirs.
const MODULES: &[&str] = &["keras", "tensorflow.keras", "tensorflow.python.keras", "tf_keras"];

/// Why a layer cannot be run, where its class is not Keras's own or its weights are not plain numbers.
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
    quantised(&json["config"]["dtype"]).map(|policy| {
        format!("its weights are quantised (`{policy}`): save the model before `quantize` is called")
    })
}

/// The name of a policy that stores weights in 8 bits or fewer.
fn quantised(dtype: &Value) -> Option<String> {
    let name = match dtype {
        Value::String(name) => name.as_str(),
        dtype => {
            let class = dtype["class_name"].as_str().unwrap_or_default();
            let config = &dtype["config"];
            let name = config["name"].as_str().or(config["mode"].as_str()).unwrap_or(class);
            if class.contains("Quantized") { return Some(name.to_owned()) } else { name }
        }
    };
    ["int4", "int8", "float8", "gptq", "awq"]
        .iter()
        .any(|kind| name.starts_with(kind))
        .then(|| name.to_owned())
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
            json!({"class_name": "Dense", "module": "keras.layers", "config": {"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}}}),
            json!({"class_name": "Dense", "config": {"dtype": "int8_from_float32"}}),
        ];
        for json in others {
            assert!(foreign(&json).is_some(), "{json}");
        }
    }
}
