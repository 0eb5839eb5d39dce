//! A run knows which images it has seen: scores of these are told apart from scores of new ones.

use crate::files::{pack, pictures, unpack};
use crate::run::{Folder, demo_data, demo_model, fails, json, works};
use serde_json::Value;

/// A run on 20 photos, of which 4 were validated on.
fn trained(folder: &Folder) -> (String, String, Value) {
    pictures(&folder.path("photos"), "dark", 10, 20);
    pictures(&folder.path("photos"), "light", 10, 180);
    let (data, run) = (folder.text("photos"), folder.text("run"));
    let record = json(&["train", &demo_model(), &data, "-o", &run, "--epochs", "3"]);
    (data, run, record)
}

#[test]
fn images_that_were_trained_on_are_scored_apart_from_new_ones() {
    let folder = Folder::new();
    let (data, run, _) = trained(&folder);
    let ran = works(&["evaluate", &run, &data]);
    let overlap =
        "of 20 images of `photos` 16 were trained on and 4 were validated on: a score on them says nothing";
    assert!(ran.stderr.contains(overlap), "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("20 images of `photos`, all of which the run has seen: loss"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("`train`"), "{}", ran.stdout);
    // wherever they lie and whatever they are called
    std::fs::rename(folder.path("photos"), folder.path("moved")).expect("renamed");
    std::fs::rename(folder.path("moved/dark/0.png"), folder.path("moved/dark/other.png")).expect("renamed");
    for (class, brightness) in [("dark", 30), ("light", 170)] {
        pictures(&folder.path("new"), class, 3, brightness);
        for index in 0..3 {
            let to = folder.path("moved").join(class).join(format!("new{index}.png"));
            std::fs::rename(folder.path("new").join(class).join(format!("{index}.png")), to)
                .expect("renamed");
        }
    }
    for model in [run.clone(), folder.text("run/model.keras")] {
        let ran = works(&["evaluate", &model, &folder.text("moved")]);
        assert!(ran.stderr.contains("they are scored apart from the 6 others"), "{}", ran.stderr);
        for words in ["6 images of `moved` that are new to the run: ", "16 images that were trained on: "] {
            assert!(ran.stdout.contains(words), "no {words} in {}", ran.stdout);
        }
    }
    let found = json(&["evaluate", &run, &folder.text("moved")]);
    let support = |class: usize| found["classes"][class]["support"].as_u64();
    assert_eq!((support(0), support(1), &found["images"]), (Some(3), Some(3), &6.into()));
    assert_eq!(found["seen"]["trained"]["images"], 16);
    assert_eq!(found["seen"]["validated"]["images"], 4);
    assert!(found["seen"]["trained"]["accuracy"].is_number() && found["loss"].is_number(), "{found}");
}

#[test]
fn the_runs_own_parts_are_scored_again_as_they_were() {
    let folder = Folder::new();
    let (data, run, record) = trained(&folder);
    let found = json(&["evaluate", &run, &data, "--split", "val"]);
    assert_eq!(found["images"], 4);
    assert_eq!((&found["loss"], &found["accuracy"]), (&record["val"]["loss"], &record["val"]["accuracy"]));
    assert_eq!(json(&["evaluate", &run, &data, "--split", "train"])["images"], 16);
    fails(&["evaluate", &run, &data, "--split", "test"], &["no `test` part", "had none"]);
    std::fs::remove_dir_all(folder.path("photos/light")).expect("removed");
    let ran = works(&["evaluate", &run, &data, "--split", "val"]);
    assert!(ran.stderr.contains("had 4 images, of which"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("2 images of the run's own `val`: "), "{}", ran.stdout);
}

#[test]
fn a_test_part_is_new_to_the_run_and_rows_are_known_by_their_values() {
    let folder = Folder::new();
    let run = folder.text("run");
    let record = json(&["train", &demo_model(), &demo_data(), "-o", &run, "--epochs", "1"]);
    let found = json(&["evaluate", &run, &demo_data()]);
    assert_eq!((&found["seen"], &found["loss"]), (&serde_json::json!({}), &record["test"]["loss"]));
    let train = json(&["evaluate", &run, &demo_data(), "--split", "train"]);
    assert_eq!(train["seen"]["trained"]["images"], record["images"][0]);
    assert_eq!(train["seen"]["validated"]["images"], record["images"][1]);
    assert_eq!(train["seen"]["validated"]["loss"], record["val"]["loss"]);
}

#[test]
fn a_run_without_a_record_of_its_images_says_so() {
    let folder = Folder::new();
    let (data, run, _) = trained(&folder);
    std::fs::write(folder.path("run/images.csv"), "part,label,hash,name\ntrain,dark,zz,a.png\n")
        .expect("written");
    fails(&["evaluate", &run, &data], &["images.csv", "line 2", "damaged"]);
    std::fs::remove_file(folder.path("run/images.csv")).expect("removed");
    let ran = works(&["evaluate", &run, &data]);
    assert!(ran.stderr.contains("has no `images.csv`"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("20 images of `photos`: "), "{}", ran.stdout);
}

#[test]
fn a_model_that_has_lost_its_class_names_says_why() {
    let folder = Folder::new();
    let (data, run, _) = trained(&folder);
    // as Keras does when it saves the model again
    let mut entries = unpack(&folder.text("run/model.keras"));
    entries.retain(|(name, _)| name != "frostline.json");
    pack(&folder.path("again.keras"), &entries);
    let again = folder.text("again.keras");
    let (photo, out) = (folder.text("photos/dark/1.png"), folder.text("head"));
    for arguments in [
        vec!["predict", &again, &photo, &photo],
        vec!["evaluate", &again, &data],
        vec!["train", &again, &data, "-o", &out, "--head", "keep", "--epochs", "1"],
    ] {
        let ran = works(&arguments);
        let told = ran.stderr.matches("Keras has saved again").count();
        assert_eq!(told, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("help: give the run's own folder"), "{}", ran.stderr);
    }
    let ran = works(&["predict", &run, &photo]);
    assert!(!ran.stderr.contains("class names"), "{}", ran.stderr);
}
