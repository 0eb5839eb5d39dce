//! Which folders are parts and which are classes, and what is told of them before anything is trained.

use crate::files::pictures;
use crate::run::{Folder, Ran, demo_data, demo_model, frostline, json, works};

fn train(data: &str, run: &str, more: &[&str]) -> Ran {
    works(&[&["train", &demo_model(), data, "-o", run, "--epochs", "1"], more].concat())
}

fn tells(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "no `{word}` in:\n{}", ran.stderr);
    }
}

#[test]
fn training_and_testing_are_parts_and_what_was_read_is_told_before_training() {
    let folder = Folder::new();
    for (part, count, offset) in [("Training", 6, 0), ("test_set", 3, 3)] {
        pictures(&folder.path("data").join(part), "dark", count, 20 + offset);
        pictures(&folder.path("data").join(part), "light", count, 180 + offset);
    }
    let (data, run) = (folder.text("data"), folder.text("run"));
    let ran = train(&data, &run, &[]);
    let summary = "10 photos in 2 classes: dark 5, light 5; validation 2; test 6";
    tells(&ran, &[summary]);
    let at = |words: &str| ran.stderr.find(words).expect("told");
    assert!(at(summary) < at("epoch 1"), "{}", ran.stderr);
    tells(&works(&["plan", &demo_model(), &data, "--epochs", "1"]), &[summary]);
    // a head that is solved needs no image to be held out
    tells(&works(&["plan", &demo_model(), &data]), &["12 photos in 2 classes: dark 6, light 6; test 6"]);
    tells(&works(&["depth", &demo_model(), &data]), &["12 photos in 2 classes: dark 6, light 6"]);
    let quiet = train(&data, &folder.text("quiet"), &["--quiet"]);
    assert!(!quiet.stderr.contains("photos in"), "{}", quiet.stderr);
    let found = json(&["evaluate", &run, &data]);
    assert_eq!(found["images"], 6);
}

#[test]
fn what_is_told_counts_neither_damaged_photos_nor_those_of_another_part() {
    let folder = Folder::new();
    let data = folder.path("data");
    pictures(&data, "dark", 10, 20);
    pictures(&data, "light", 10, 180);
    std::fs::write(data.join("dark/0.png"), b"not a picture").expect("written");
    let ran = train(&folder.text("data"), &folder.text("run"), &[]);
    tells(&ran, &["15 photos in 2 classes: dark 7, light 8; validation 4", "1 of 20 images are damaged"]);
    tells(&train(&demo_data(), &folder.text("rows"), &[]), &[" rows in 2 classes: ", "; validation "]);
}

#[test]
fn a_test_folder_beside_the_classes_is_no_class() {
    let folder = Folder::new();
    let data = folder.path("data");
    for (class, brightness) in [("dark", 20), ("light", 180)] {
        pictures(&data, class, 6, brightness);
        pictures(&data.join("Test"), class, 2, brightness + 5);
    }
    let ran = train(&folder.text("data"), &folder.text("run"), &[]);
    tells(&ran, &["in 2 classes: dark 5, light 5; validation 2; test 4"]);
    for class in ["dark", "light"] {
        std::fs::remove_dir_all(data.join("Test").join(class)).expect("removed");
    }
    pictures(&data, "Test", 3, 90);
    let ran = train(&folder.text("data"), &folder.text("flat"), &[]);
    tells(
        &ran,
        &["in 2 classes: dark 5, light 5; validation 2\n", "Test` holds 3 photos and no class folder"],
    );
}

#[test]
fn photos_that_are_there_more_than_once_are_named_before_training() {
    let folder = Folder::new();
    let data = folder.path("data");
    for (class, brightness) in [("dark", 20), ("light", 180)] {
        pictures(&data.join("train"), class, 10, brightness);
        pictures(&data.join("test"), class, 2, brightness + 3);
    }
    let copy = |from: &str, to: &str| std::fs::copy(data.join(from), data.join(to)).expect("copied");
    copy("train/dark/0.png", "test/dark/9.png");
    copy("train/dark/1.png", "train/light/same.png");
    copy("train/light/2.png", "train/light/copy.png");
    let words = [
        "1 example of test is in train too",
        "`test/dark/9.png` is the same as `train/dark/0.png`",
        "1 example is under two labels, of which one is wrong",
        "`train/light/same.png` (light) is the same as `train/dark/1.png` (dark)",
        "`train/light/copy.png` is the same as `train/light/2.png`",
    ];
    for (run, flags) in [("disk", ["--views", "1"]), ("none", ["--no-cache", "--views=1"])] {
        tells(&train(&folder.text("data"), &folder.text(run), &flags), &words);
    }
}

#[test]
fn a_part_to_validate_on_that_a_list_marks_is_taken() {
    let folder = Folder::new();
    for (class, brightness) in [("dark", 20), ("light", 180)] {
        pictures(&folder.path("data"), class, 6, brightness);
    }
    let rows = "path,label,split\ndata/dark/0.png,dark,Validation\ndata/light/0.png,light,valid\n";
    std::fs::write(folder.path("val.csv"), rows).expect("written");
    let val = folder.text("val.csv");
    let ran = train(&folder.text("data"), &folder.text("run"), &["--val", &val]);
    tells(
        &ran,
        &["12 photos in 2 classes: dark 6, light 6; validation 2", "2 examples of val are in train too"],
    );
    let rows = rows.replace("Validation", "test").replace("valid", "test");
    std::fs::write(folder.path("val.csv"), rows).expect("written");
    let ran = frostline(&["train", &demo_model(), &folder.text("data"), "-o", &val, "--val", &val]);
    assert_eq!(ran.status, Some(1));
}
