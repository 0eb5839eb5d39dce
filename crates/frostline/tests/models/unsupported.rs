//! A file with a Lambda layer: its code is never run, and what lies below it can be used.

use crate::golden::{bits, load, outputs, path};
use frostline::PrefixDType;
use frostline::compile::compile_inference;
use frostline::formats;
use frostline::graph::{Keep, Transfer};

const FILES: [&str; 2] = ["bad/lambda.keras", "bad/lambda.h5"];

#[test]
fn a_lambda_layer_is_loaded_as_a_layer_that_cannot_be_run() {
    for name in FILES {
        let loaded = formats::load(&path(name)).expect("a file that loads");
        assert_eq!(loaded.report.unsupported, [("code".to_owned(), "Lambda".to_owned())], "{name}");
        assert_eq!(loaded.model.graph.counted_paths(), ["conv", "pool", "code", "dense"], "{name}");
        let shapes = loaded.model.graph.leaf_shapes(&loaded.model.graph.stand_in_shapes()).expect("shapes");
        assert!(shapes["pool"].is_some() && shapes["code"].is_none() && shapes["dense"].is_none(), "{name}");
    }
}

#[test]
fn running_a_lambda_layer_is_an_error_that_says_where_to_cut() {
    for name in FILES {
        let model = load(name);
        let error = compile_inference(&PrefixDType::F32, &model, &model.graph.stand_in_shapes())
            .expect_err("an error")
            .to_string();
        assert!(error.contains("layer `code` is a `Lambda`"), "{name}: {error}");
        assert!(
            error.contains("Python code, which is never run") && error.contains("the setting `keep = pool`"),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_model_cut_below_a_lambda_layer_runs_and_is_saved() {
    let all: Vec<_> = FILES
        .iter()
        .map(|name| {
            let lower = load(name).keep_with(&Keep::Layer("pool".to_owned()), Transfer::Copy).expect("a cut");
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("lower.keras");
            formats::save(&lower, &file).expect("saved");
            let again = formats::load(&file).expect("loaded").model;
            assert!(bits(&outputs(&lower)) == bits(&outputs(&again)), "{name}");
            bits(&outputs(&lower))
        })
        .collect();
    assert!(all[0] == all[1], "both formats hold the same model");
}

#[test]
fn a_model_with_a_lambda_layer_is_not_saved_without_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in FILES {
        for ending in ["keras", "h5"] {
            let file = folder.path().join(format!("model.{ending}"));
            let error = formats::save(&load(name), &file).expect_err("an error").to_string();
            assert!(error.contains("`code`") && error.contains("help:"), "{error}");
            assert!(!file.exists());
        }
    }
}

#[test]
fn a_layer_that_refuses_its_input_is_not_taken_for_damage() {
    for (name, layer, class, word) in [
        ("axis_1", "odd", "BatchNormalization", "only the last axis"),
        ("concatenate_0", "odd", "Concatenate", "along axis 0"),
        ("over_the_batch", "flip", "Flip", "over the images of a batch"),
        ("attention_mask", "odd", "MultiHeadAttention", "called with attention_mask"),
    ] {
        let loaded = formats::load(&path(&format!("bad/{name}.keras"))).expect("a file that loads");
        assert_eq!(loaded.report.unsupported, [(layer.to_owned(), class.to_owned())], "{name}");
        let model = loaded.model;
        let error = compile_inference(&PrefixDType::F32, &model, &model.graph.stand_in_shapes())
            .expect_err("an error")
            .to_string();
        assert!(error.contains(word) && error.contains("the setting `keep = conv`"), "{name}: {error}");
        assert!(!error.contains("damaged"), "{name}: {error}");
        let lower = model.keep_with(&Keep::Layer("conv".to_owned()), Transfer::Copy).expect("a cut");
        assert_eq!(outputs(&lower).len(), 1, "{name}");
    }
}
