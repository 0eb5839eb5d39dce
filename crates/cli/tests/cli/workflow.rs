//! From a pretrained model to predictions: each command takes what the one before it made.

use crate::files::{floats, pack, pictures, unpack};
use crate::run::{Folder, demo_data, demo_model, fails, golden, json, works};
use serde_json::{Value, json as value};

#[test]
fn train_evaluate_predict_convert_and_verify_work_on_each_others_files() {
    let folder = Folder::new();
    let run = folder.text("run");
    let record = json(&["train", &demo_model(), &demo_data(), "-o", &run, "--epochs", "20"]);

    let found = json(&["evaluate", &run, &demo_data()]);
    assert_eq!(found["accuracy"], record["test"]["accuracy"]);
    assert!(found["accuracy"].as_f64().expect("a share") > 0.8, "{found}");
    assert_eq!(found["classes"][1]["name"], value!("Shirt"));
    let confusion: u64 = found["confusion"]
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(confusion, 900);

    // a batch in the model's own layout
    let pixels: Vec<f32> = (0..4 * 784).map(|index| ((index * 37) % 256) as f32).collect();
    let batch = ("input_0.npy".to_owned(), floats(&[4, 28, 28, 1], &pixels));
    pack(&folder.path("batch.npz"), std::slice::from_ref(&batch));
    let (batch_file, out) = (folder.text("batch.npz"), folder.text("out.npz"));
    let ran = works(&["predict", &run, &batch_file, "--json", "-o", &out, "--quiet"]);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let scores: f64 = line["scores"].as_array().expect("scores").iter().filter_map(Value::as_f64).sum();
        assert!(
            (scores - 1.0).abs() < 1e-6
                && ["Sandal", "Shirt"].contains(&line["class"].as_str().expect("a class")),
            "{line}"
        );
    }

    // what was predicted is what every format gives
    let mut reference = unpack(&out);
    assert_eq!(reference[0].0, "output_0.npy");
    reference.push(batch);
    pack(&folder.path("reference.npz"), &reference);
    let against = folder.text("reference.npz");
    for ending in ["keras", "h5"] {
        let converted = folder.text(&format!("converted.{ending}"));
        let report = json(&["convert", &run, "-o", &converted]);
        assert_eq!(report["tensors"], value!(10));
        let found = json(&["verify", &converted, "--against", &against]);
        assert_eq!(found["differences"][0]["difference"], value!(0.0), "{ending}");
        // class names and preprocessing came along
        assert_eq!(
            json(&["evaluate", &converted, &demo_data()])["accuracy"],
            record["test"]["accuracy"],
            "{ending}"
        );
        assert_eq!(json(&["inspect", &converted])["classes"], value!(["Sandal", "Shirt"]), "{ending}");
    }
    let weights = folder.text("only.weights.h5");
    works(&["convert", &run, "-o", &weights]);
    works(&[
        "convert",
        &folder.text("converted.keras"),
        "--weights",
        &weights,
        "-o",
        &folder.text("again.keras"),
    ]);
    assert_eq!(
        std::fs::read(folder.path("again.keras")).expect("a model"),
        std::fs::read(folder.path("converted.keras")).expect("a model")
    );
    fails(&["inspect", &weights], &[&weights, "weights alone"]);
}

#[test]
fn a_difference_is_beyond_the_tolerance_and_said() {
    let folder = Folder::new();
    let mut reference = unpack(&golden("keras/dense.npz"));
    let output = reference.iter_mut().find(|(name, _)| name == "output_0.npy").expect("outputs");
    let last = output.1.len() - 1;
    output.1[last] ^= 0x40;
    pack(&folder.path("changed.npz"), &reference);
    let (model, changed) = (golden("keras/dense.keras"), folder.text("changed.npz"));
    let ran = crate::run::frostline(&["verify", &model, "--against", &changed]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stdout.contains("beyond") && ran.stderr.contains("differs from") && ran.stderr.contains("help:"),
        "{}",
        ran.stderr
    );
    works(&["verify", &model, "--against", &golden("keras/dense.npz")]);
    let found = json(&["verify", &model, "--against", &golden("keras/dense.npz")]);
    assert_eq!(found["equal"], value!(true));
}

#[test]
fn photos_are_predicted_by_the_names_of_their_classes() {
    let folder = Folder::new();
    let data = folder.path("data");
    // against the order of the alphabet nothing is lost: names decide
    pictures(&data, "zebra", 8, 20);
    pictures(&data, "ant", 8, 200);
    let (data, run) = (folder.text("data"), folder.text("run"));
    let record = json(&["train", &demo_model(), &data, "-o", &run, "--epochs", "30", "--lr", "0.01"]);
    assert_eq!(record["classes"], value!(["ant", "zebra"]));
    let ran = works(&[
        "predict",
        &run,
        &folder.text("data/zebra"),
        &folder.text("data/ant/3.png"),
        "--json",
        "--quiet",
    ]);
    let classes: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["class"].clone())
        .collect();
    assert_eq!(classes, [vec![value!("zebra"); 8], vec![value!("ant")]].concat());
    // the classes of the data are matched by name, not by order
    std::fs::rename(folder.path("data/ant"), folder.path("data/zzz")).expect("renamed");
    fails(&["evaluate", &run, &data], &["class `zzz`", "`ant`"]);
}

#[test]
fn every_command_prints_one_document_of_json() {
    let folder = Folder::new();
    let (run, out) = (folder.text("run"), folder.text("out.keras"));
    json(&["train", &demo_model(), &demo_data(), "-o", &run, "--epochs", "1"]);
    json(&["inspect", &run]);
    json(&["evaluate", &run, &demo_data(), "--split", "train"]);
    json(&["convert", &run, "-o", &out]);
    json(&["verify", &golden("keras/unet.keras"), "--against", &golden("keras/unet.npz")]);
    json(&["demo", "--seeds", "2"]);
}
