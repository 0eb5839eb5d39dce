//! Model files that cannot be used: the file, the layer and the remedy are named, and nothing is left behind.

use crate::files::{floats, integers, pack, unpack, with_config};
use crate::run::{Folder, demo_data, demo_model, fails, golden, is_no_run, json, works};

/// Every command that reads a model fails with these words.
fn nothing_reads(model: &str, words: &[&str]) {
    let folder = Folder::new();
    let (run, converted, data) = (folder.text("run"), folder.text("converted.keras"), demo_data());
    let words = [words, &[model]].concat();
    fails(&["inspect", model], &words);
    fails(&["inspect", model, "--json"], &words);
    fails(&["train", model, &data, "-o", &run], &words);
    fails(&["evaluate", model, &data], &words);
    fails(&["predict", model, &data], &words);
    fails(&["convert", model, "-o", &converted], &words);
    fails(&["verify", model, "--against", &golden("keras/dense.npz")], &words);
    is_no_run(&folder.path("run"));
    assert!(!folder.path("converted.keras").exists());
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = Folder::new();
    let bytes = std::fs::read(demo_model()).expect("the model");
    for (cut, ending) in [(bytes.len() / 2, "h5"), (1000, "h5"), (3, "h5"), (0, "h5")] {
        let path = folder.text(&format!("{cut}.{ending}"));
        std::fs::write(&path, &bytes[..cut]).expect("written");
        nothing_reads(&path, &["damaged"]);
    }
}

#[test]
fn an_archive_with_a_path_out_of_it_is_refused() {
    let folder = Folder::new();
    let mut entries = unpack(&golden("keras/dense.keras"));
    entries.push(("../../evil.py".to_owned(), b"evil".to_vec()));
    pack(&folder.path("evil.keras"), &entries);
    nothing_reads(&folder.text("evil.keras"), &["`../../evil.py`", "do not trust this file"]);
    assert!(!folder.path("../../evil.py").exists());
}

#[test]
fn a_pickle_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path("model.pth"), b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").expect("written");
    nothing_reads(&folder.text("model.pth"), &["runs the code in it", "save_file(model.state_dict()"]);
    let (model, weights) = (demo_model(), folder.text("model.pth"));
    let out = folder.text("out.keras");
    fails(&["convert", &model, "--weights", &weights, "-o", &out], &["runs the code in it", &weights]);
}

#[test]
fn a_safetensors_file_is_a_model_like_any_other() {
    let folder = Folder::new();
    let (model, data, file) = (demo_model(), demo_data(), folder.text("model.safetensors"));
    works(&["convert", &model, "-o", &file]);
    assert_eq!(json(&["inspect", &file])["layers"], json(&["inspect", &model])["layers"]);
    assert_eq!(json(&["evaluate", &file, &data]), json(&["evaluate", &model, &data]));
    let words = ["says its architecture itself", "leave --arch resnet18 out", &file];
    fails(&["inspect", &file, "--arch", "resnet18"], &words);
    let bytes = std::fs::read(&file).expect("the file");
    std::fs::write(folder.path("cut.safetensors"), &bytes[..bytes.len() / 2]).expect("written");
    nothing_reads(&folder.text("cut.safetensors"), &["damaged"]);
}

#[test]
fn a_missing_weight_is_named() {
    let folder = Folder::new();
    let (from, to) = (golden("keras/batch_norm_bare.keras"), folder.path("missing.keras"));
    with_config(&from, &to, r#""center": false"#, r#""center": true"#);
    nothing_reads(&folder.text("missing.keras"), &["no weight for `batch_normalization/"]);
}

#[test]
fn a_shape_that_does_not_fit_is_named_with_both_shapes() {
    let folder = Folder::new();
    with_config(&golden("keras/dense.keras"), &folder.path("shape.keras"), r#""units": 7"#, r#""units": 8"#);
    nothing_reads(&folder.text("shape.keras"), &["`dense/kernel` wants shape [11, 8]", "[11, 7]"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let path = folder.text("nowhere.keras");
    let ran = crate::run::frostline(&["inspect", &path]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains(&path) && ran.stderr.contains("No such file"), "{}", ran.stderr);
}

#[test]
fn a_lambda_layer_is_shown_and_its_code_never_run() {
    for ending in ["keras", "h5"] {
        let model = golden(&format!("bad/lambda.{ending}"));
        let found = json(&["inspect", &model]);
        assert_eq!(found["load"]["unsupported"], serde_json::json!([{"path": "code", "kind": "Lambda"}]));
        assert_eq!(found["layers"][3]["shape"], serde_json::Value::Null);
        let text = works(&["inspect", &model]).stdout;
        assert!(text.contains("cannot be run here: `code` (Lambda); cut below it with --keep"), "{text}");
    }
}

#[test]
fn running_a_lambda_layer_fails_with_the_place_to_cut_at_and_cutting_there_works() {
    let folder = Folder::new();
    // rows of the shape that the model takes
    let values: Vec<f32> = (0..12 * 9 * 7 * 5).map(|index| (index % 13) as f32 / 13.0).collect();
    let arrays = [
        ("x_train.npy".to_owned(), floats(&[12, 9, 7, 5], &values)),
        ("y_train.npy".to_owned(), integers(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
    ];
    pack(&folder.path("data.npz"), &arrays);
    let data = folder.text("data.npz");
    for ending in ["keras", "h5"] {
        let model = golden(&format!("bad/lambda.{ending}"));
        let run = folder.text(ending);
        let words = ["layer `code` is a `Lambda`", "never run", "--keep pool", &model];
        fails(&["train", &model, &data, "-o", &run, "--keep", "code"], &words);
        fails(&["train", &model, &data, "-o", &run], &words);
        fails(&["evaluate", &model, &data], &words);
        is_no_run(&folder.path(ending));
        let record = json(&["train", &model, &data, "-o", &run, "--keep", "pool", "--epochs", "1"]);
        assert_eq!(record["boundary"], serde_json::json!(["pool"]));
        works(&["evaluate", &run, &data]);
    }
}

#[test]
fn a_layer_that_is_not_there_is_answered_with_one_that_is() {
    let folder = Folder::new();
    let run = folder.text("run");
    let with = |flag: &str, layer: &str| {
        [&*demo_model(), &demo_data(), "-o", &run, flag, layer].map(str::to_owned).to_vec()
    };
    for (flag, layer, near) in [
        ("--keep", "conv_9", "`conv_3`"),
        ("--keep", "hiden", "`hidden`"),
        ("--unfreeze", "conv_9", "`conv_3`"),
        ("--freeze", "conv_9", "`conv_3`"),
    ] {
        let arguments = [vec!["train".to_owned()], with(flag, layer)].concat();
        fails(&arguments, &[&format!("`{layer}`"), &format!("did you mean {near}")]);
        is_no_run(&folder.path("run"));
    }
}
