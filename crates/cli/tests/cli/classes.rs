//! Runs with one class more or less.

use crate::files::pictures;
use crate::run::{Folder, demo_model, fails, is_no_run, json, works};
use serde_json::Value;

/// A run on 24 photos of two classes, and a folder of a third.
fn trained(flags: &[&str]) -> (Folder, String) {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 12, 10);
    pictures(&folder.path("photos"), "light", 12, 200);
    pictures(&folder.path("more"), "medium", 12, 100);
    let run = folder.text("run");
    json(&[&["train", &demo_model(), &folder.text("photos"), "-o", &run], flags].concat());
    (folder, run)
}

fn names(classes: &Value) -> Vec<&str> {
    classes.as_array().expect("classes").iter().filter_map(|class| class["name"].as_str()).collect()
}

#[test]
fn a_class_is_added_and_removed_and_nothing_else_changes() {
    let (folder, run) = trained(&["--head-only"]);
    let (more, with, without) = (folder.text("more/medium"), folder.text("with"), folder.text("without"));
    let told = json(&["add-class", &run, &more, "-o", &with]);
    assert_eq!(names(&told["before"]), ["dark", "light"]);
    assert_eq!(names(&told["after"]), ["dark", "light", "medium"]);
    assert_eq!((&told["after"][2]["images"], &told["class"]), (&12.into(), &"medium".into()));
    assert_eq!(told["notes"], serde_json::json!([]), "nothing else has changed");
    assert!(told["accuracy_after"].as_f64().expect("a share") > 0.9, "{told}");
    let changed: Vec<&String> = told["changed"].as_object().expect("tensors").keys().collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(changed.iter().all(|path| path.starts_with("dense")), "{changed:?}");
    let tensors = json(&["inspect", &run])["load"]["tensors"].as_u64().expect("a number");
    assert_eq!(told["unchanged"].as_u64(), Some(tensors - 2));
    let line = json(&["predict", &with, &folder.text("more/medium/3.png")]);
    assert_eq!(line["class"], "medium");
    // a run like any other
    assert_eq!(json(&["evaluate", &with, &folder.text("photos")])["seen"]["trained"]["images"], 24);

    let told = json(&["remove-class", &with, "medium", "-o", &without]);
    assert_eq!(names(&told["after"]), ["dark", "light"]);
    let model = |run: &str| std::fs::read(folder.path(run).join("model.keras")).expect("a model");
    assert_eq!(model("without"), model("run"), "the same photos give the same bits");
    // one of the first classes goes, and the added one stays
    let ran = works(&["remove-class", &with, "dark"]);
    assert!(ran.stdout.contains("tensors hash the same in both models"), "{}", ran.stdout);
    let classes = json(&["inspect", &folder.text("with-without-dark")])["classes"].clone();
    assert_eq!(classes, serde_json::json!(["light", "medium"]));
}

#[test]
fn what_cannot_be_changed_says_why_and_leaves_no_run() {
    let (folder, run) = trained(&["--head-only"]);
    let (more, new) = (folder.text("more/medium"), folder.text("new"));
    fails(&["remove-class", &run, "light", "-o", &new], &["one class"]);
    fails(&["remove-class", &run, "zebra", "-o", &new], &["no class `zebra`", "dark, light"]);
    fails(&["add-class", &run, &folder.text("photos/dark"), "-o", &new], &["dark", "there already"]);
    fails(&["add-class", &folder.text("photos"), &more, "-o", &new], &["is no finished run"]);
    fails(&["add-class", &run, &more, "-o", &run], &["holds a finished run already"]);
    std::fs::rename(folder.path("photos"), folder.path("moved")).expect("renamed");
    fails(&["add-class", &run, &more, "-o", &new], &["is not there", "--data"]);
    is_no_run(&folder.path("new"));
    // what the run has not seen is told
    pictures(&folder.path("moved"), "light", 14, 190);
    let told = json(&["add-class", &run, &more, "-o", &new, "--data", &folder.text("moved")]);
    assert_eq!(names(&told["after"]), ["dark", "light", "medium"]);
    let notes = told["notes"].as_array().expect("notes");
    let is_told = |note: &Value| note.as_str().is_some_and(|note| note.contains("14 photos are new since"));
    assert!(notes.iter().any(is_told), "{notes:?}");
}

#[test]
fn a_head_that_was_trained_by_steps_is_refused() {
    let (folder, run) = trained(&["--epochs", "1"]);
    let new = folder.text("new");
    let words = ["trained by steps", "frostline train"];
    fails(&["add-class", &run, &folder.text("more/medium"), "-o", &new], &words);
    fails(&["remove-class", &run, "dark", "-o", &new], &words);
    is_no_run(&folder.path("new"));
}
