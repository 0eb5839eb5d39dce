//! Features of photos, and the photos that are most like one by them.

use crate::files::{pictures, unpack};
use crate::run::{Folder, demo_model, fails, json, works};
use serde_json::Value;

/// The name of a class that would run, were it put into a page as it is.
const EVIL: &str = "<img src=x onerror=alert(1)>";

fn folder() -> (Folder, String) {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 5, 20);
    pictures(&folder.path("photos"), EVIL, 4, 180);
    let data = folder.text("photos");
    (folder, data)
}

#[test]
fn features_are_written_once_computed_and_then_read() {
    let (folder, data) = folder();
    let (out, cache) = (folder.text("features.npz"), folder.text("cache"));
    let embed = |flags: &[&str]| {
        json(&[&["embed", &demo_model(), &data, "-o", &out, "--cache", &cache], flags].concat())
    };
    let first = embed(&[]);
    assert_eq!(
        (&first["images"], &first["computed"], &first["from_cache"]),
        (&9.into(), &9.into(), &0.into())
    );
    let file = std::fs::read(&out).expect("a file");
    let again = embed(&[]);
    assert_eq!((&again["computed"], &again["from_cache"]), (&0.into(), &9.into()));
    assert_eq!(std::fs::read(&out).expect("a file"), file, "the same bytes from the cache");
    let names: Vec<String> = unpack(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["features.npy", "labels.npy", "paths.npy", "part.npy", "classes.npy", "layer.npy"]);
    assert_eq!(embed(&["--no-cache"])["computed"], 9);
    assert_eq!(std::fs::read(&out).expect("a file"), file, "the same bytes without it");
}

#[test]
fn what_cannot_be_embedded_says_why_and_leaves_no_file() {
    let (folder, data) = folder();
    let out = folder.text("features.npz");
    fails(&["embed", &demo_model(), &data, "-o", &folder.text("f.csv")], &["f.csv", ".npz", ".parquet"]);
    fails(&["embed", &demo_model(), &data, "-o", &out, "--cut", "hiden"], &["hiden"]);
    fails(&["embed", &demo_model(), &data, "-o", &out, "--views", "1,1.4"], &["--views own"]);
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    fails(&["embed", &demo_model(), &folder.text("empty"), "-o", &out], &["empty"]);
    assert!(!folder.path("features.npz").exists());
}

#[test]
fn the_photo_itself_is_the_nearest_and_the_page_runs_nothing() {
    let (folder, data) = folder();
    let (photo, page) = (folder.text("photos/dark/3.png"), folder.text("page.html"));
    let arguments = ["similar", &demo_model(), &data, &photo, "--top", "6", "-o", &page];
    let told = json(&arguments);
    let nearest = told["nearest"].as_array().expect("photos");
    assert_eq!((nearest.len(), &told["images"]), (6, &9.into()));
    assert_eq!((&nearest[0]["image"], &nearest[0]["distance"]), (&"dark/3.png".into(), &0.0.into()));
    let distances: Vec<f64> = nearest.iter().filter_map(|one| one["distance"].as_f64()).collect();
    assert!(distances.is_sorted() && distances[1] > 0.0, "{distances:?}");
    assert_eq!(nearest[5]["label"], Value::from(EVIL), "the five dark ones come before a light one");
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(!html.contains(EVIL) && html.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(!html.contains("<script") && html.contains("default-src 'none'"));
    assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 7);
    let ran = works(&arguments);
    assert!(ran.stdout.starts_with("of 9 photos these 6 are most like"), "{}", ran.stdout);
    let missing = folder.text("missing.jpg");
    fails(&["similar", &demo_model(), &data, &missing], &["missing.jpg"]);
}
