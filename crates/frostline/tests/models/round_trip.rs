//! Every golden model, saved in each format and loaded again, is the same to the last bit.

use crate::golden::{bits, models, outputs, weight_bits};
use frostline::formats;
use frostline::graph::{Model, ModelInfo};

fn saved(model: &Model, name: &str, ending: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("model{ending}"));
    formats::save(model, &path).unwrap_or_else(|error| panic!("{name} as {ending}: {error}"));
    (folder, path)
}

/// Operations that Keras itself does not find in a `.h5` file again: to save them there is an error that says so.
fn is_refused_as_h5(name: &str, model: &Model) -> bool {
    let has_operations = name.starts_with("operations_");
    if has_operations {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.h5");
        let error = formats::save(model, &path).expect_err(name).to_string();
        assert!(error.contains("Keras finds in no `.h5` file again") && error.contains("help:"), "{error}");
        assert!(!path.exists(), "{name}");
    }
    has_operations
}

fn is_the_same(name: &str, a: &Model, b: &Model) {
    assert!(weight_bits(a) == weight_bits(b), "{name}: the weights differ");
    assert!(bits(&outputs(a)) == bits(&outputs(b)), "{name}: the outputs differ");
    let flags = |model: &Model| -> Vec<(String, bool)> {
        model.graph.leaves().into_iter().map(|(path, layer)| (path, layer.trainable)).collect()
    };
    let sorted = |model: &Model| {
        let mut flags = flags(model);
        flags.sort();
        flags
    };
    assert_eq!(sorted(a), sorted(b), "{name}: the layers differ");
    assert_eq!(a.graph.cut_points().len(), b.graph.cut_points().len(), "{name}: the cut points differ");
}

#[test]
fn a_model_that_is_saved_and_loaded_is_the_same_to_the_last_bit() {
    for (name, model) in models() {
        for ending in [".keras", ".h5", ".safetensors"] {
            if ending == ".h5" && is_refused_as_h5(&name, &model) {
                continue;
            }
            let (_folder, path) = saved(&model, &name, ending);
            let loaded = formats::load(&path).unwrap_or_else(|error| panic!("{name} as {ending}: {error}"));
            assert_eq!(loaded.report.unused, [] as [String; 0], "{name} as {ending}");
            assert_eq!(loaded.report.tensors, loaded.report.loaded, "{name} as {ending}");
            assert_eq!(loaded.report.notes, [] as [String; 0], "{name} as {ending}");
            assert_eq!(loaded.report.loaded, model.weights.len(), "{name} as {ending}");
            is_the_same(&format!("{name} as {ending}"), &model, &loaded.model);
        }
    }
}

#[test]
fn weights_that_are_saved_alone_come_back_to_the_last_bit() {
    for (name, model) in models() {
        if model.weights.is_empty() {
            continue;
        }
        for ending in [".weights.h5", ".h5", ".safetensors"] {
            if ending == ".h5" && is_refused_as_h5(&name, &model) {
                continue;
            }
            let (_folder, path) = saved(&model, &name, ending);
            let other = model.copy();
            other
                .weights
                .iter()
                .for_each(|(_, handle)| handle.set(&vec![f32::NAN; handle.with(|t| t.len())]));
            let report =
                formats::load_weights(&path, &other).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((report.unused.len(), report.loaded), (0, model.weights.len()), "{name} as {ending}");
            assert!(weight_bits(&model) == weight_bits(&other), "{name} as {ending}: the weights differ");
        }
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    for (name, model) in
        models().into_iter().filter(|(name, _)| name.starts_with("unet") || name.starts_with("dense"))
    {
        for ending in [".keras", ".h5", ".weights.h5", ".safetensors"] {
            let bytes = || {
                let (_folder, path) = saved(&model, &name, ending);
                std::fs::read(path).expect("the file")
            };
            assert!(bytes() == bytes(), "{name} as {ending}");
        }
    }
}

#[test]
fn class_names_and_preprocessing_ride_along_in_all_whole_model_formats() {
    let mut model = crate::golden::load("keras/dense.keras");
    model.info = ModelInfo {
        classes: Some(vec!["zebra".to_owned(), "ant".to_owned()]),
        preprocess: Some(serde_json::json!("caffe")),
        image_size: Some([160, 224]),
        resize: Some("pil-bilinear".to_owned()),
        scaled_decode: Some(2),
        ..ModelInfo::default()
    };
    for ending in [".keras", ".h5", ".safetensors"] {
        let (_folder, path) = saved(&model, "dense", ending);
        assert_eq!(formats::load(&path).expect("the file").model.info, model.info, "{ending}");
    }
}

#[test]
fn the_trainable_flags_are_kept() {
    let mut model = crate::golden::load("keras/dense.keras");
    model.graph.layers[1].trainable = false;
    for ending in [".keras", ".h5", ".safetensors"] {
        let (_folder, path) = saved(&model, "dense", ending);
        is_the_same(ending, &model, &formats::load(&path).expect("the file").model);
    }
}
