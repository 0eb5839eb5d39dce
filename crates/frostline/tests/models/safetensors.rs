//! frostline's own `.safetensors` files.

use crate::golden::{load, path};
use frostline::formats;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::HashMap;

fn saved(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    formats::save(&load(name), &path).expect("saved");
    std::fs::read(path).expect("the file")
}

/// Loads the file with tensors and metadata changed.
fn error_of(
    bytes: &[u8],
    change: impl FnOnce(&mut Vec<(String, TensorView<'_>)>, &mut HashMap<String, String>),
) -> String {
    let mut tensors = SafeTensors::deserialize(bytes).expect("a file").tensors();
    let (_, header) = SafeTensors::read_metadata(bytes).expect("a header");
    let mut metadata = header.metadata().clone().expect("metadata");
    change(&mut tensors, &mut metadata);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, Some(metadata)).expect("a file")).expect("written");
    let error = formats::load(&path).expect_err("an error").to_string();
    assert!(error.contains("changed.safetensors") && error.contains("help:"), "{error}");
    error
}

#[test]
fn the_tensors_have_the_paths_of_the_weights() {
    let bytes = saved("keras/nested_in_sequential.keras");
    let file = SafeTensors::deserialize(&bytes).expect("a file");
    let mut names = file.names();
    names.sort_unstable();
    let model = load("keras/nested_in_sequential.keras");
    assert_eq!(names, model.weights.iter().map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn a_file_that_lacks_a_weight_or_its_shape_is_refused_by_name() {
    let bytes = saved("keras/dense.keras");
    let mut gone = String::new();
    let error = error_of(&bytes, |tensors, _| gone = tensors.remove(0).0);
    assert!(error.contains(&format!("no weight for `{gone}`")), "{error}");
    let error = error_of(&bytes, |tensors, _| {
        let (name, view) = tensors.iter_mut().find(|(_, view)| view.shape().len() == 2).expect("a kernel");
        let shape = view.shape().iter().rev().copied().collect();
        (gone, *view) = (name.clone(), TensorView::new(view.dtype(), shape, view.data()).expect("a tensor"));
    });
    assert!(error.contains(&format!("`{gone}` wants shape")), "{error}");
    let error =
        error_of(&bytes, |_, metadata| drop(metadata.insert("frostline".to_owned(), "{}".to_owned())));
    assert!(error.contains("damaged"), "{error}");
    let error = error_of(&bytes, |_, metadata| metadata.clear());
    assert!(error.contains("the setting `arch`"), "{error}");
}

#[test]
fn a_file_that_says_its_architecture_wants_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.safetensors");
    std::fs::write(&file, saved("keras/dense.keras")).expect("written");
    let error = formats::load_as(&file, Some("resnet18".parse().expect("known")))
        .expect_err("it says it")
        .to_string();
    assert!(error.contains("leave the setting `arch = resnet18` out"), "{error}");
    assert!(formats::load_weights(&file, &load("keras/dense.keras")).is_ok());
    assert!(formats::load(&path("keras/dense.keras")).is_ok());
}
