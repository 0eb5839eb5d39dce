//! `frostline plan`.

use crate::run::{Folder, demo_data, demo_model, json, works};
use serde_json::Value;

#[test]
fn a_plan_says_what_train_then_does() {
    let folder = Folder::new();
    let (cache, out) = (folder.text("cache"), folder.text("run"));
    let flags = ["--cache", &cache, "--unfreeze", "3", "--epochs", "2", "--fine-tune-epochs", "2"];
    let with = |first: &[&str]| json(&[first, &flags].concat());
    let (model, data) = (demo_model(), demo_data());
    let before = with(&["plan", &model, &data]);
    let run = with(&["train", &model, &data, "-o", &out]);
    let after = with(&["plan", &model, &data]);
    assert_eq!(before["images"], run["images"]);
    for index in 0..2 {
        let (planned, ran) = (&before["stages"][index], &run["stages"][index]);
        for key in ["name", "boundary", "trained_parameters", "frozen_layers", "feature_bytes"] {
            assert_eq!(planned[key], ran[key], "{key}");
        }
        assert_eq!(planned["cached_rows"], 0);
        assert_eq!(after["stages"][index]["cached_rows"], 200, "160 to train on and 40 to validate");
        assert_eq!(after["stages"][index]["feature_seconds"], 0.0);
    }
    // one pass makes the rows of both boundaries
    let boundaries = |plan: &serde_json::Value| plan["boundaries"].as_array().expect("a list").clone();
    for (found, made) in [(boundaries(&before), serde_json::json!("head")), (boundaries(&after), Value::Null)]
    {
        assert_eq!(found.len(), 2);
        for boundary in found {
            assert_eq!((&boundary["stored"], &boundary["made_in"]), (&serde_json::json!(true), &made));
            assert_eq!(boundary["rows"], 200);
        }
    }
    assert_eq!(before["stages"][0]["trained"], serde_json::json!(["dense"]));
    let text = works(&[["plan", &model, &data].as_slice(), &flags].concat()).stdout;
    for word in ["stage `fine-tune`", "boundary", "200 of them cached", "yes, already", "total time"] {
        assert!(text.contains(word), "no {word} in:\n{text}");
    }
}

#[test]
fn a_plan_needs_no_validation_images() {
    let (model, data) = (demo_model(), demo_data());
    let plan = json(&["plan", &model, &data, "--val", "0", "--epochs", "2", "--no-cache"]);
    assert_eq!(plan["images"], serde_json::json!([200, 0, 900]));
    assert!(plan["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
}
