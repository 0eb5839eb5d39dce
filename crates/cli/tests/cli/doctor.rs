//! `doctor` and `models`: what is told of the machine and of networks.

use crate::run::{Folder, fails, frostline, json, works};

#[test]
fn a_sound_machine_is_told_and_ends_with_status_zero() {
    let folder = Folder::new();
    let cache = folder.text("cache");
    let ran = works(&["doctor", "--cache", &cache]);
    for word in [
        env!("CARGO_PKG_VERSION"),
        "kernels",
        "cores",
        "memory",
        &cache,
        "can be written",
        "terminal",
        "Nothing is broken",
    ] {
        assert!(ran.stdout.contains(word), "no {word} in:\n{}", ran.stdout);
    }
    let told = json(&["doctor", "--cache", &cache]);
    assert_eq!(told["cache"]["folder"], cache);
    assert_eq!((&told["cache"]["writable"], &told["cache"]["bytes"]), (&true.into(), &0.into()));
    assert_eq!(told["threads"], 2);
    assert!(told["memory"]["total"].as_u64() > Some(1 << 28), "{told}");
    assert!(
        ["avx512", "avx2", "neon", "portable"].contains(&told["kernels"]["f32"].as_str().unwrap_or_default()),
        "{told}"
    );
    assert_eq!(told["broken"].as_array().map(Vec::len), Some(0));
    // asking makes no folder
    assert!(!folder.path("cache").exists());
}

#[test]
fn a_cache_that_cannot_be_written_is_broken_and_comes_with_help() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), b"").expect("written");
    let cache = folder.text("file/cache");
    let ran = frostline(&["doctor", "--cache", &cache]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("CANNOT BE WRITTEN") && !ran.stdout.contains("Nothing is broken"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("cannot be written") && ran.stderr.contains("\nhelp: "), "{}", ran.stderr);
    let ran = frostline(&["doctor", "--cache", &cache, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.status, told["broken"].as_array().map(Vec::len)), (Some(1), Some(1)));
}

#[test]
fn known_models_are_listed_with_what_is_published_of_them() {
    let ran = works(&["models"]);
    for word in ["ResNet", "Swin", "keras.applications", "MobileNetV2", "timm/", "pull", "python -c"] {
        assert!(ran.stdout.contains(word), "no {word} in:\n{}", ran.stdout);
    }
    // but for the line to copy
    let mut lines = ran.stdout.lines().filter(|line| !line.starts_with("python -c"));
    assert!(lines.all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    let ran = works(&["models", "--all"]);
    assert!(ran.stdout.lines().count() > 400, "{}", ran.stdout.lines().count());
    let ran = works(&["models", "resnet50.a1_in1k"]);
    assert!(ran.stdout.contains("timm/resnet50.a1_in1k") && !ran.stdout.contains("Swin"), "{}", ran.stdout);
    fails(&["models", "no_such_network"], &["no_such_network"]);
    let told = json(&["models", "ResNet50"]);
    let architectures = told["architectures"].as_array().expect("a list");
    let resnet50 = architectures.iter().find(|one| one["arch"] == "resnet50").expect("one");
    let weights = resnet50["weights"].as_array().expect("a list");
    assert!(
        weights.iter().any(|one| one["pull"] == "timm/resnet50.a1_in1k" && one["parameters"] == 25_560_000),
        "{resnet50}"
    );
    // as torchvision counts them
    assert!(
        weights.iter().any(|one| one["tag"] == "IMAGENET1K_V1" && one["parameters"] == 25_557_032),
        "{resnet50}"
    );
}
