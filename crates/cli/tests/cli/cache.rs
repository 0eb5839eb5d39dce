//! `frostline cache`.

use crate::files::unpack;
use crate::run::{Folder, demo_data, demo_model, json, works};
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

/// Trains the demo's task for an epoch. Returns the weights, and what was said.
fn trained(folder: &Folder, run: &str, flags: &[&str]) -> (Vec<(String, Vec<u8>)>, String) {
    let out = folder.text(run);
    let (model, data) = (demo_model(), demo_data());
    let arguments = ["train", &model, &data, "-o", &out, "--epochs", "1", "--quiet"];
    let said = works(&[&arguments, flags].concat()).stderr;
    (unpack(&format!("{out}/model.keras")), said)
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "no folder").expect("a file");
    let (plain, _) = trained(&folder, "plain", &["--no-cache"]);
    let (without, said) = trained(&folder, "without", &["--cache", &folder.text("file")]);
    assert!(said.contains(&folder.text("file")) && said.contains("kept in memory"), "{said}");
    assert!(plain == without, "the results differ");
}

#[test]
fn a_cache_that_fails_in_the_middle_is_done_without() {
    let folder = Folder::new();
    let cache = folder.text("cache");
    let (plain, _) = trained(&folder, "plain", &["--cache", &cache]);
    for prefix in std::fs::read_dir(folder.path("cache")).expect("the cache").flatten() {
        std::fs::remove_dir_all(prefix.path()).expect("removed");
        // where the folder should be, there is a file
        std::fs::write(prefix.path(), "in the way").expect("written");
    }
    let (without, said) = trained(&folder, "without", &["--cache", &cache]);
    assert!(said.contains("cannot be written to") && said.contains("computed again"), "{said}");
    assert!(plain == without, "the results differ");
}

#[test]
fn what_killed_processes_left_in_the_cache_is_removed_and_not_counted() {
    let folder = Folder::new();
    let cache = folder.text("cache");
    trained(&folder, "one", &["--cache", &cache]);
    let prefix =
        std::fs::read_dir(folder.path("cache")).expect("the cache").flatten().next().expect("a prefix");
    let left = prefix.path().join(".frostline-left");
    std::fs::write(&left, vec![0; 1 << 20]).expect("written");
    let freed = |folder: &str| json(&["cache", "clear", "--cache", folder])["freed"].as_u64().expect("bytes");
    let held: u64 = json(&["cache", "list", "--cache", &cache])[0]["bytes"].as_u64().expect("bytes");
    assert!(freed(&cache) >= held + (1 << 20));
    assert!(!left.exists() && !prefix.path().exists());
}
