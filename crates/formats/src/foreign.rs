//! Files and folders of TensorFlow and Keras that hold models or weights in a form that is not read here: what they are, and
//! the way on.

use frostline_graph::Error;
use std::path::Path;

/// The error for a path that is known to be of another form; none for what is to be looked at.
pub(super) fn refusal(path: &Path) -> Option<Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_saved_model = match path.is_dir() {
        true => path.join("saved_model.pb").exists() || path.join("saved_model.pbtxt").exists(),
        false => name == "saved_model.pb" || name == "keras_metadata.pb",
    };
    let what = if is_saved_model {
        "this is a SavedModel of TensorFlow, a graph of TensorFlow's own operations\nhelp: save it again in Python, where a Keras of version 2 is: `import tf_keras; tf_keras.models.load_model(\"FOLDER\").save(\"model.h5\")`; then give `model.h5`"
    } else if name.ends_with(".pb") || name.ends_with(".pbtxt") {
        "this is a frozen graph of TensorFlow\nhelp: convert it in Python: `python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx`; then give `model.onnx`"
    } else if name.ends_with(".tflite") {
        "this is a TensorFlow Lite model\nhelp: convert it in Python: `python -m tf2onnx.convert --tflite FILE --output model.onnx`; then give `model.onnx`"
    } else if name.ends_with(".index") || name.contains(".data-0000") || name == "checkpoint" {
        "this is a checkpoint of TensorFlow, weights without an architecture\nhelp: load it onto its model in Python, `model.load_weights(\"PREFIX\")`, and save that: `model.save(\"model.keras\")`"
    } else if name.ends_with(".weights.json") {
        "this lists the shards of a Keras model's weights\nhelp: load them onto their model in Python, `model.load_weights(\"FILE\")`, and save that in one file: `model.save(\"model.keras\")`"
    } else {
        return None;
    };
    Some(Error::format(path, what))
}

/// The error for a whole model that is given as weights.
pub(super) fn whole_model(path: &Path) -> Error {
    Error::format(
        path,
        "this is a whole model, not weights alone\nhelp: give it as the model; or save its weights with `frostline convert MODEL -o OUT.weights.h5` and give these",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_keras_file_is_called_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("saved_model.pb"), b"\x08\x01").expect("written");
        let says = |path: &Path| refusal(path).map(|error| error.to_string()).unwrap_or_default();
        assert!(says(folder.path()).contains("SavedModel"));
        assert!(says(&folder.path().join("saved_model.pb")).contains("tf_keras"));
        for (name, what) in [
            ("frozen.pb", "tf2onnx"),
            ("ckpt.index", "checkpoint"),
            ("m.weights.json", "shards"),
            ("m.tflite", "Lite"),
        ] {
            let said = says(Path::new(name));
            assert!(said.contains(what) && said.contains("help:"), "{name}: {said}");
        }
        assert!(refusal(Path::new("model.keras")).is_none() && refusal(Path::new("run")).is_none());
    }
}
