//! `frostline cache`.

use crate::run::{Folder, demo_data, demo_model, fails, json, works};
use serde_json::Value;

#[test]
fn the_cache_is_filled_by_train_and_listed_verified_and_cleared() {
    let folder = Folder::new();
    let cache = folder.text("cache");
    for run in ["one", "two"] {
        let out = folder.text(run);
        works(&["train", &demo_model(), &demo_data(), "-o", &out, "--cache", &cache, "--epochs", "1"]);
    }
    let ask = |action: &str| json(&["cache", action, "--cache", &cache]);
    let listed = ask("list");
    let entries = listed.as_array().expect("entries");
    assert_eq!(entries.len(), 1, "one boundary");
    assert_eq!(entries[0]["model"], "my_model_A");
    assert_eq!(entries[0]["rows"], 1100, "200 images that train and validate, 900 of the test");
    assert_eq!(ask("verify")["sound"], 1100);
    assert!(ask("clear")["freed"].as_u64() >= entries[0]["bytes"].as_u64());
    assert_eq!(ask("list"), Value::Array(Vec::new()));
    assert!(works(&["cache", "list", "--cache", &cache]).stdout.contains("0 B in"));
}

#[test]
fn a_cache_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "no folder").expect("a file");
    let (out, file) = (folder.text("run"), folder.text("file"));
    fails(
        &["train", &demo_model(), &demo_data(), "-o", &out, "--cache", &file, "--epochs", "1", "--quiet"],
        &[&file, "--no-cache"],
    );
}
