//! Layers that are named by numbers, as PyTorch's `Sequential` names its own.

use crate::run::{Folder, demo_data, demo_model, fails, json, works};
use frostline::formats;
use frostline::graph::Weights;

/// The demo's model with its layers named 0, 1, 2, …: `conv_1` is `1`, `pool_1` is `2`.
fn numbered(folder: &Folder) -> String {
    let mut model = formats::load(demo_model().as_ref()).expect("the demo's model").model;
    let mut weights = Weights::default();
    let layers = model.graph.layers.iter_mut().filter(|layer| layer.name != "input_layer");
    for (number, layer) in layers.enumerate() {
        let own = format!("{}/", layer.name);
        for (path, handle) in model.weights.iter() {
            if let Some(variable) = path.strip_prefix(&own) {
                weights.insert(format!("{number}/{variable}"), handle.clone());
            }
        }
        layer.name = number.to_string();
        layer.config.insert("name".to_owned(), layer.name.clone().into());
    }
    model.weights = weights;
    let path = folder.path("numbered.keras");
    formats::save(&model, &path).expect("written");
    path.display().to_string()
}

/// Trains for no time, and says what was warned of and which layers of the model were kept.
fn trained(folder: &Folder, flags: &[&str]) -> (String, Vec<String>) {
    let (model, data, run) = (numbered(folder), demo_data(), folder.text("run"));
    drop(std::fs::remove_dir_all(folder.path("run")));
    let common =
        ["train", &model, &data, "-o", &run, "--epochs", "1", "--fine-tune-epochs", "1", "--no-cache"];
    let ran = works(&[&common[..], flags].concat());
    let document = json(&["inspect", &run]);
    let layers = document["layers"].as_array().expect("layers").iter();
    let names = layers.map(|layer| layer["path"].as_str().expect("a path").to_owned());
    (ran.stderr, names.filter(|name| name.parse::<usize>().is_ok()).collect())
}

#[test]
fn a_layer_that_is_named_by_a_number_can_be_kept_up_to() {
    let folder = Folder::new();
    let (said, kept) = trained(&folder, &["--keep", "./2"]);
    assert_eq!(kept, ["0", "1", "2"]);
    assert!(!said.contains("is named"), "{said}");
    let (said, kept) = trained(&folder, &["--keep", "2"]);
    assert_eq!(kept, ["0", "1"]);
    let words =
        "--keep 2 keeps the 2 lowest layers, up to `1`; for the layer that is named `2` write --keep ./2";
    assert!(said.contains(&format!("warning: {words}")), "{said}");
    // none is named so
    let (said, kept) = trained(&folder, &["--keep", "-2"]);
    assert_eq!(kept.len(), 8);
    assert!(!said.contains("is named"), "{said}");
}

#[test]
fn a_layer_that_is_named_by_a_number_can_be_trained_from_and_frozen() {
    let folder = Folder::new();
    let recipe = |folder: &Folder| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.path("run/run.json")).expect("a run");
        serde_json::from_str(&text).expect("JSON")
    };
    let (said, _) = trained(&folder, &["--unfreeze", "./6"]);
    assert!(!said.contains("is named"), "{said}");
    assert!(recipe(&folder).to_string().contains(r#""unfreeze":"./6""#), "{}", recipe(&folder));
    let (said, _) = trained(&folder, &["--unfreeze", "3"]);
    assert!(said.contains("for the layer that is named `3` write --unfreeze ./3"), "{said}");
    trained(&folder, &["--freeze", "./0,./1"]);
    let (model, data) = (numbered(&folder), demo_data());
    let found = json(&["depth", &model, &data, "--cuts", "./3,./7"]);
    let cuts: Vec<&str> = found["scores"]
        .as_array()
        .expect("scores")
        .iter()
        .map(|cut| cut["cut"].as_str().expect("a path"))
        .collect();
    assert_eq!(cuts, ["3", "7"]);
}

#[test]
fn what_advises_a_cut_writes_it_so_that_it_can_be_given() {
    let folder = Folder::new();
    let (model, data) = (numbered(&folder), demo_data());
    let listed = works(&["inspect", &model]).stdout;
    assert!(listed.lines().any(|line| line.starts_with("./2 ") && line.contains("cut")), "{listed}");
    let table = works(&["depth", &model, &data, "--cuts", "./3"]).stdout;
    assert!(table.lines().any(|line| line.starts_with("./3 ")), "{table}");
    fails(&["train", &model, &data, "-o", &folder.text("x"), "--unfreeze", "./77"], &["no layer", "inspect"]);
}
