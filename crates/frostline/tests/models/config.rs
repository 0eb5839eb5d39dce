//! Layer configs: what is read from a golden is written as it was, and read again as the same.

use crate::golden;
use frostline::graph::{Body, Graph, Layer};
use frostline::layers::{self, Config, read_kind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn each_layer(graph: &Graph, visit: &mut impl FnMut(&Layer)) {
    for layer in &graph.layers {
        match &layer.body {
            Body::Model(inner) => each_layer(inner, visit),
            _ => visit(layer),
        }
    }
}

/// Equal as JSON, numbers as f32: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().map(|a| a as f32) == b.as_f64().map(|b| b as f32),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let known = |map: &serde_json::Map<String, Value>| {
                ["class_name", "config"].map(|key| map.get(key).cloned().unwrap_or_default())
            };
            known(a) == known(b) || a == b
        }
        _ => a == b,
    }
}

#[test]
fn a_config_that_is_written_is_read_as_the_same_layer() {
    let mut classes = BTreeSet::new();
    for (name, model) in golden::models() {
        each_layer(&model.graph, &mut |layer| {
            let Body::Kind(kind) = &layer.body else { panic!("{name}: {} cannot be run", layer.name) };
            let written = kind.config();
            let config = Config::new(&layer.name, &written);
            let again =
                read_kind(kind.class_name(), &config).expect("a known class").expect("a valid config");
            assert_eq!(format!("{kind:?}"), format!("{again:?}"), "{name}: {}", layer.name);
            assert_eq!(again.config(), written, "{name}: {}", layer.name);
            assert_eq!(
                config.unread(),
                [] as [String; 0],
                "{name}: {} writes what it does not read",
                layer.name
            );
            classes.insert(kind.class_name());
        });
    }
    let mut missing = layers::classes();
    missing.retain(|class| !classes.contains(class) && !layers::Identity::CLASSES.contains(class));
    // those of keras.applications are in the gallery
    assert_eq!(missing, ["CustomScaleLayer", "LayerScale", "StochasticDepth"], "no golden has them");
}

#[test]
fn the_list_of_layers_in_the_docs_is_the_library_s() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/layers.md");
    let list: String = layers::classes().iter().map(|class| format!("- `{class}`\n")).collect();
    let mut operations: Vec<String> =
        layers::Operation::all().map(|(module, class)| format!("- `keras.ops.{module}.{class}`\n")).collect();
    operations.sort();
    let text = std::fs::read_to_string(&page).expect("docs/layers.md");
    let (head, rest) = text.split_once("- `").unwrap_or((&text, ""));
    let (_, middle) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let (middle, _) = middle.split_once("- `").unwrap_or((middle, ""));
    let wanted = format!("{head}{list}\n{middle}{}", operations.concat());
    if std::env::var_os("FROSTLINE_BLESS").is_some() {
        std::fs::write(&page, &wanted).expect("docs/layers.md is written");
    }
    assert_eq!(
        std::fs::read_to_string(&page).expect("docs/layers.md"),
        wanted,
        "run it with FROSTLINE_BLESS=1"
    );
}

#[test]
fn a_config_is_written_as_keras_wrote_it() {
    for (name, model) in golden::models() {
        each_layer(&model.graph, &mut |layer| {
            let Body::Kind(kind) = &layer.body else { return };
            for (key, value) in kind.config() {
                let keras = layer
                    .config
                    .get(&key)
                    .unwrap_or_else(|| panic!("{name}: Keras has no `{key}` in {}", layer.name));
                // an initializer's settings that it has by default are left out
                if !key.ends_with("_initializer") {
                    assert!(
                        same(&value, keras),
                        "{name}: {} `{key}` is {value}, Keras wrote {keras}",
                        layer.name
                    );
                }
            }
        });
    }
}

#[test]
fn the_number_of_an_operation_is_not_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = golden::load("keras/operations.keras");
    let before = golden::bits(&golden::outputs(&model));
    for ending in ["keras", "h5"] {
        let file = folder.path().join(format!("again.{ending}"));
        frostline::formats::save(&model, &file).expect("saved");
        let again = frostline::formats::load(&file).expect("loaded").model;
        assert!(before == golden::bits(&golden::outputs(&again)), "{ending}");
    }
}
