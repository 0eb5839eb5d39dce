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
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let what = if is_saved_model && folder.join("keras_metadata.pb").exists() {
        "this is a SavedModel of TensorFlow that a Keras of version 2 has saved\nhelp: save it again in Python, with `pip install tf_keras`:\n  import tf_keras\n  model = tf_keras.models.load_model(\"FOLDER\", compile=False)\n  model.save(\"model.h5\")\nthen give `model.h5`"
    } else if is_saved_model {
        "this is a SavedModel of TensorFlow, a graph of TensorFlow's own operations without Keras's layers\nhelp: give the `.keras` file that it was exported from; or convert it, with `pip install tf2onnx`: `python -m tf2onnx.convert --saved-model FOLDER --output model.onnx`; then give `model.onnx`"
    } else if name.ends_with(".pb") || name.ends_with(".pbtxt") {
        "this is a frozen graph of TensorFlow\nhelp: convert it in Python: `python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx`; then give `model.onnx`"
    } else if name.ends_with(".tflite") {
        "this is a TensorFlow Lite model\nhelp: convert it in Python: `python -m tf2onnx.convert --tflite FILE --output model.onnx`; then give `model.onnx`"
    } else if name.ends_with(".index") || name.contains(".data-0000") || name == "checkpoint" {
        "this is a checkpoint of TensorFlow, weights without an architecture\nhelp: load it in Python onto the model that it is of, in the Keras that wrote it:\n  model = make_model()  # the code that made it\n  model.load_weights(\"PREFIX\")  # without `.index` or `.data-00000-of-00001`\n  model.save(\"model.h5\")\nthen give `model.h5`"
    } else if name.ends_with(".mlmodel") || name.ends_with(".mlpackage") {
        "this is a Core ML model\nhelp: give the file that it was made from: a Keras model, or a PyTorch model exported as ONNX"
    } else if name.ends_with(".tfjs") || (name == "model.json" && !path.is_dir()) {
        "this is a model for TensorFlow.js\nhelp: convert it, with `pip install tensorflowjs`: `tensorflowjs_converter --input_format tfjs_layers_model --output_format keras FILE model.h5`; then give `model.h5`"
    } else if name.ends_with(".gguf") || name.ends_with(".caffemodel") || name.ends_with(".prototxt") {
        "this is a model of a kind that is not read here\nhelp: give a Keras model, or one exported as ONNX"
    } else {
        return None;
    };
    Some(Error::format(path, what))
}

/// Whether a file lists the shards of weights.
pub(super) fn lists_shards(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with("weights.json")
}

/// The error for such a list that is given as a model.
pub(super) fn shards_alone(path: &Path) -> Error {
    Error::format(
        path,
        "this lists the shards of a Keras model's weights, which are no architecture\nhelp: put them onto their architecture first: `frostline convert MODEL --weights THIS.weights.json -o model.keras`, where MODEL is a model file of it",
    )
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
        assert!(says(&folder.path().join("saved_model.pb")).contains("--saved-model"));
        std::fs::write(folder.path().join("keras_metadata.pb"), b"").expect("written");
        assert!(says(folder.path()).contains("tf_keras.models.load_model"));
        for (name, what) in [
            ("frozen.pb", "tf2onnx"),
            ("ckpt.index", "checkpoint"),
            ("m.tflite", "Lite"),
            ("m.mlmodel", "Core ML"),
            ("model.json", "TensorFlow.js"),
            ("ckpt.data-00000-of-00001", "checkpoint"),
        ] {
            let said = says(Path::new(name));
            assert!(said.contains(what) && said.contains("help:"), "{name}: {said}");
        }
        let shards = Path::new("m.weights.json");
        assert!(lists_shards(shards) && shards_alone(shards).to_string().contains("--weights"));
        assert!(refusal(Path::new("model.keras")).is_none() && refusal(Path::new("run")).is_none());
    }
}
