//! Large JPEGs decoded small: a choice of the training that prediction follows.

use crate::run::{Folder, demo_model, fails, json, works};
use serde_json::Value;

/// Noisy photos of two classes, three times the input's size and more, to train, validate and test on.
fn photos(folder: &Folder) -> String {
    for part in ["train", "val", "test"] {
        for (class, brightness) in [("dark", 0), ("light", 90)] {
            let class = folder.path("photos").join(part).join(class);
            std::fs::create_dir_all(&class).expect("a folder");
            for index in 0..6u32 {
                let picture = image::RgbImage::from_fn(130 + index, 120, |x, y| {
                    let noise = (x * 73 + y * 151 + index * 31) * (x ^ y) % 160;
                    image::Rgb([brightness + noise as u8; 3])
                });
                picture.save(class.join(format!("{index}.jpg"))).expect("a picture");
            }
        }
    }
    folder.text("photos")
}

fn train(folder: &Folder, data: &str, run: &str, flags: &[&str]) -> Value {
    let (out, cache) = (folder.text(run), folder.text("cache"));
    json(&[&["train", &demo_model(), data, "-o", &out, "--epochs", "1", "--cache", &cache], flags].concat())
}

#[test]
fn what_is_predicted_with_was_decoded_as_in_training() {
    let folder = Folder::new();
    let data = photos(&folder);
    let record = train(&folder, &data, "run", &["--scaled-decode"]);
    assert_eq!(record["recipe"]["scaled-decode"], 2);
    let run = folder.text("run");
    assert_eq!(json(&["inspect", &run])["scaled_decode"], 2);
    assert!(works(&["inspect", &run]).stdout.contains("JPEGs decoded at 2 times"));

    let photo = folder.text("photos/test/light/3.jpg");
    let predicted = |flags: &[&str]| works(&[&["predict", &run, &photo, "--json"], flags].concat()).stdout;
    assert_eq!(predicted(&[]), predicted(&["--scaled-decode=2"]));
    assert_ne!(predicted(&[]), predicted(&["--scaled-decode=0"]));
    let loss = |flags: &[&str]| json(&[&["evaluate", &run, &data][..], flags].concat())["loss"].clone();
    assert_eq!(loss(&[]), record["test"]["loss"]);
    assert_ne!(loss(&["--scaled-decode=0"]), record["test"]["loss"]);

    // a training that goes on from the run, and one that repeats it
    let recipe = folder.text("run/run.json");
    for (name, model, flags) in
        [("more", &run, ["--epochs", "1"]), ("again", &demo_model(), ["--recipe", &recipe])]
    {
        works(&[&["train", model, &data, "-o", &folder.text(name)], &flags[..]].concat());
        assert_eq!(json(&["inspect", &folder.text(name)])["scaled_decode"], 2, "{name}");
    }
    works(&["train", &run, &data, "-o", &folder.text("whole"), "--epochs", "1", "--scaled-decode=0"]);
    assert_eq!(json(&["inspect", &folder.text("whole")])["scaled_decode"], Value::Null);
}

#[test]
fn features_of_photos_decoded_otherwise_are_others() {
    let folder = Folder::new();
    let data = photos(&folder);
    let listed = || json(&["cache", "list", "--cache", &folder.text("cache")]).as_array().map_or(0, Vec::len);
    let score = |run: &str, flags: &[&str]| train(&folder, &data, run, flags)["test"]["loss"].clone();
    let whole = score("whole", &[]);
    assert_eq!(listed(), 1);
    let half = score("half", &["--scaled-decode"]);
    assert_eq!(listed(), 2);
    let quarter = score("quarter", &["--scaled-decode=1"]);
    assert_eq!(listed(), 3);
    assert!(whole != half && half != quarter);
    // the cache changes no bit, and 0 is as if nothing was said
    assert_eq!(score("half again", &["--scaled-decode"]), half);
    assert_eq!(score("off", &["--scaled-decode=0"]), whole);
    assert_eq!(listed(), 3);
    let entry = |run: &str| {
        let entries = crate::files::unpack(&folder.text(&format!("{run}/model.keras")));
        entries.into_iter().find(|(name, _)| name == "frostline.json").expect("the entry").1
    };
    assert_eq!(entry("off"), entry("whole"));
    assert!(!String::from_utf8_lossy(&entry("whole")).contains("scaled"));
}

#[test]
fn a_damaged_photo_is_found_as_before() {
    let folder = Folder::new();
    let data = photos(&folder);
    let path = folder.path("photos/train/dark/2.jpg");
    let mut bytes = std::fs::read(&path).expect("a picture");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0xFF);
    std::fs::write(&path, bytes).expect("written");
    let whole = train(&folder, &data, "whole", &[]);
    let scaled = train(&folder, &data, "scaled", &["--scaled-decode"]);
    assert_eq!(whole["skipped"].as_array().map(Vec::len), Some(1));
    assert_eq!(scaled["skipped"], whole["skipped"]);
}

#[test]
fn a_multiple_that_makes_no_sense_is_refused_and_one_that_decides_nothing_is_said() {
    let folder = Folder::new();
    let (data, run) = (photos(&folder), folder.text("run"));
    for bad in ["9", "half"] {
        let ran = crate::run::frostline(&[
            "train",
            &demo_model(),
            &data,
            "-o",
            &run,
            &format!("--scaled-decode={bad}"),
        ]);
        assert_eq!(ran.status, Some(2));
        assert!(
            ran.stderr.contains(&format!("`{bad}`")) && ran.stderr.contains("usually 2"),
            "{}",
            ran.stderr
        );
    }
    std::fs::write(folder.path("recipe.toml"), "scaled-decode = 12\n[[stage]]\n").expect("written");
    let recipe = folder.text("recipe.toml");
    fails(&["train", &demo_model(), &data, "-o", &run, "--recipe", &recipe], &[&recipe, "`12`", "help:"]);
    let arrays = crate::run::demo_data();
    let ran = works(&["train", &demo_model(), &arrays, "-o", &run, "--epochs", "1", "--scaled-decode"]);
    assert!(ran.stderr.contains("--scaled-decode is ignored"), "{}", ran.stderr);
}
