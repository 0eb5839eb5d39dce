//! What a training says at its end: the test score with its interval, and one thing to try next, whose command works.

use crate::run::{Folder, demo_data, demo_model, frostline, works};
use serde_json::Value;

/// The command below `next`, without `frostline`.
fn suggested(stdout: &str) -> Vec<String> {
    let mut lines = stdout.lines().skip_while(|line| !line.starts_with("next   "));
    let reason = lines.next().unwrap_or_default();
    assert!(reason.len() > 30, "{stdout}");
    let command = shlex::split(lines.next().expect("a command").trim()).expect("words");
    assert_eq!(command[0], "frostline");
    assert_eq!(lines.next(), None, "one thing: {stdout}");
    command[1..].to_vec()
}

#[test]
fn a_training_ends_with_its_interval_and_a_command_that_works() {
    let folder = Folder::new();
    let run = folder.text("run");
    let ran = works(&["train", &demo_model(), &demo_data(), "-o", &run, "--epochs", "2", "--val", "0"]);
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.path("run/run.json")).expect("a record")).expect("JSON");
    let interval: Vec<f64> = serde_json::from_value(record["test"]["interval"].clone()).expect("both ends");
    let [low, high] = interval[..] else { panic!("{interval:?}") };
    let accuracy = record["test"]["accuracy"].as_f64().expect("a number");
    // Wilson 1927, with z = 1.959964 and the 900 test images
    let (n, z) = (900.0_f64, 1.959_963_985_f64);
    let centre = (accuracy + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (accuracy * (1.0 - accuracy) / n + z * z / (4.0 * n * n)).sqrt();
    assert!(
        (low - (centre - half)).abs() < 1e-6 && (high - (centre + half)).abs() < 1e-6,
        "{low} {high} {accuracy}"
    );
    let line = format!("95 % interval {:.1} to {:.1} %, by 900 images", 100.0 * low, 100.0 * high);
    assert!(ran.stdout.contains(&line), "no {line} in:\n{}", ran.stdout);
    let command = suggested(&ran.stdout);
    let ran = frostline(&command);
    assert_eq!(ran.status, Some(0), "{command:?}: {}", ran.stderr);
}

#[test]
fn the_classes_are_told_before_anything_else() {
    let folder = Folder::new();
    let ran = works(&["train", &demo_model(), &demo_data(), "-o", &folder.text("run"), "--epochs", "1"]);
    let first = ran.stderr.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("200 photos in 2 classes: Sandal ")
            || first.starts_with("200 rows in 2 classes: Sandal "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.find("validation ") < ran.stderr.find("stage `head`"), "{}", ran.stderr);
}
