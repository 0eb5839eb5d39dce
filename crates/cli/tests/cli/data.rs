//! Data that cannot be used, and data of which a part cannot.

use crate::files::{floats, integers, pack, pictures};
use crate::run::{Folder, demo_model, fails, is_no_run, json, works};

/// Training on the data fails with these words, and leaves nothing that looks like a run.
fn nothing_trains(folder: &Folder, data: &str, words: &[&str]) {
    let run = folder.text("run");
    fails(&["train", &demo_model(), data, "-o", &run, "--epochs", "1"], words);
    fails(&["train", &demo_model(), data, "-o", &run, "--epochs", "1", "--json"], words);
    is_no_run(&folder.path("run"));
}

#[test]
fn an_empty_class_folder_is_named_and_left_out() {
    let folder = Folder::new();
    pictures(&folder.path("data"), "dark", 4, 20);
    std::fs::create_dir(folder.path("data/empty")).expect("a folder");
    let words = [&folder.text("data/empty"), "holds no photo: it is left out"];
    nothing_trains(&folder, &folder.text("data"), &[&words[..], &["one class, `dark`"]].concat());
    pictures(&folder.path("data"), "light", 4, 180);
    std::fs::create_dir(folder.path("data/__MACOSX")).expect("a folder");
    let (data, run) = (folder.text("data"), folder.text("run"));
    let ran = works(&["train", &demo_model(), &data, "-o", &run, "--epochs", "1"]);
    assert!(ran.stderr.contains(words[0]) && ran.stderr.contains(words[1]), "{}", ran.stderr);
    assert!(ran.stderr.contains("in 2 classes") && !ran.stderr.contains("MACOSX"), "{}", ran.stderr);
}

#[test]
fn one_class_alone_cannot_be_learned() {
    let folder = Folder::new();
    pictures(&folder.path("data"), "dark", 4, 20);
    let data = folder.text("data");
    nothing_trains(&folder, &data, &[&data, "one class, `dark`", "at least two classes"]);
}

#[test]
fn an_empty_folder_and_one_without_classes_are_named() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    nothing_trains(&folder, &folder.text("empty"), &[&folder.text("empty"), "is empty"]);
    pictures(&folder.path(""), "flat", 4, 20);
    nothing_trains(&folder, &folder.text("flat"), &[&folder.text("flat"), "no class folder"]);
    nothing_trains(&folder, &folder.text("nowhere"), &[&folder.text("nowhere"), "cannot be read"]);
}

#[test]
fn values_that_are_no_numbers_are_named_by_row() {
    let folder = Folder::new();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = vec![0.5; 8 * 28 * 28];
        x[5 * 28 * 28 + 3] = bad;
        let arrays = [
            ("x_train.npy".to_owned(), floats(&[8, 28, 28], &x)),
            ("y_train.npy".to_owned(), integers(&[0, 1, 0, 1, 0, 1, 0, 1])),
        ];
        pack(&folder.path("bad.npz"), &arrays);
        let data = folder.text("bad.npz");
        nothing_trains(&folder, &data, &[&data, "`x_train[5]`", "no finite numbers"]);
        fails(&["evaluate", &demo_model(), &data], &["`x_train[5]`"]);
    }
}

#[test]
fn a_damaged_picture_is_left_out_named_and_counted() {
    let folder = Folder::new();
    let data = folder.path("data");
    pictures(&data, "dark", 6, 20);
    pictures(&data, "light", 6, 180);
    std::fs::write(data.join("dark/0.png"), b"not a picture").expect("written");
    let whole = std::fs::read(data.join("light/1.png")).expect("a picture");
    std::fs::write(data.join("light/1.png"), &whole[..whole.len() / 2]).expect("written");
    let (data, run) = (folder.text("data"), folder.text("run"));
    let ran = works(&["train", &demo_model(), &data, "-o", &run, "--epochs", "1"]);
    assert!(ran.stderr.contains("2 of 12 images are damaged and left out"), "{}", ran.stderr);
    for name in ["`dark/0.png`", "`light/1.png`"] {
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("run/run.json")).expect("a record")).expect("JSON");
    let skipped: Vec<&str> = record["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|skip| skip["name"].as_str())
        .collect();
    assert_eq!(skipped, ["dark/0.png", "light/1.png"]);
    // a prediction names the picture and goes on with the others
    let ran = crate::run::frostline(&["predict", &run, &folder.text("data/dark")]);
    assert_eq!((ran.status, ran.stdout.lines().count()), (Some(1), 5), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("dark/0.png") && ran.stderr.contains("1 images could not be read"),
        "{}",
        ran.stderr
    );
    let found = json(&["evaluate", &run, &data]);
    assert_eq!(found["classes"][0]["support"], 5);
}

#[test]
fn a_class_of_damaged_pictures_alone_is_fatal() {
    let folder = Folder::new();
    let data = folder.path("data");
    pictures(&data, "dark", 3, 20);
    pictures(&data, "light", 6, 180);
    for index in 0..3 {
        std::fs::write(data.join(format!("dark/{index}.png")), b"not a picture").expect("written");
    }
    let data = folder.text("data");
    nothing_trains(&folder, &data, &[&data, "all images of class `dark`", "`dark/0.png`"]);
}

#[test]
fn images_of_another_size_are_resized_and_the_kernel_is_saved() {
    let folder = Folder::new();
    let data = folder.path("data");
    for (class, brightness) in [("dark", 20), ("light", 180)] {
        std::fs::create_dir_all(data.join(class)).expect("a folder");
        for index in 0..5u32 {
            let picture = image::RgbImage::from_pixel(40 + index, 33, image::Rgb([brightness; 3]));
            picture.save(data.join(format!("{class}/{index}.png"))).expect("a picture");
        }
    }
    let (data, run) = (folder.text("data"), folder.text("run"));
    works(&["train", &demo_model(), &data, "-o", &run, "--epochs", "1", "--resize", "pil-bilinear"]);
    let entries = crate::files::unpack(&folder.text("run/model.keras"));
    let info = &entries.iter().find(|(name, _)| name == "frostline.json").expect("the entry").1;
    let info: serde_json::Value = serde_json::from_slice(info).expect("JSON");
    assert_eq!(
        (&info["resize"], &info["classes"]),
        (&"pil-bilinear".into(), &serde_json::json!(["dark", "light"]))
    );
}

#[test]
fn a_list_of_numbers_is_no_test_of_a_classifier_and_a_slip_in_it_is_named() {
    let folder = Folder::new();
    pictures(&folder.path("data"), "dark", 4, 20);
    let list = |name: &str, last: &str| {
        let rows = format!(
            "path,label\ndata/dark/0.png,0.5\ndata/dark/1.png,1.5\ndata/dark/2.png,2\ndata/dark/3.png,{last}\n"
        );
        std::fs::write(folder.path(name), rows).expect("written");
        folder.text(name)
    };
    let numbers = list("numbers.csv", "2.5");
    fails(&["evaluate", &demo_model(), &numbers], &["[8]", &numbers, "numbers, one an image"]);
    for slip in ["nan", "many"] {
        let list = list("slip.csv", slip);
        nothing_trains(&folder, &list, &[&list, "line 5", &format!("`{slip}`")]);
    }
    let run = folder.text("run");
    let record = json(&["train", &demo_model(), &numbers, "-o", &run, "--epochs", "1", "--val", "0"]);
    assert!(record["train"]["mse"].is_number() && record["train"].get("accuracy").is_none(), "{record}");
}

#[test]
fn an_array_that_is_missing_is_told_with_those_that_are_there() {
    let folder = Folder::new();
    let arrays = [("x_train.npy".to_owned(), floats(&[2, 11], &[0.5; 22]))];
    pack(&folder.path("data.npz"), &arrays);
    nothing_trains(&folder, &folder.text("data.npz"), &["`y_train`", "(it has: x_train)"]);
}

#[test]
fn a_file_that_a_list_names_in_vain_is_not_called_damaged() {
    let folder = Folder::new();
    pictures(&folder.path("data"), "dark", 5, 20);
    pictures(&folder.path("data"), "light", 5, 180);
    let mut rows = "path,label\n".to_owned();
    for index in 0..5 {
        rows += &format!("data/dark/{index}.png,dark\ndata/light/{index}.png,light\n");
    }
    std::fs::write(folder.path("list.csv"), rows + "data/dark/gone.png,dark\n").expect("written");
    let (list, run) = (folder.text("list.csv"), folder.text("run"));
    let flags = ["--epochs", "1", "--val", "0", "--patience", "2", "--views", "3"];
    let ran = works(&[&["train", &demo_model(), &list, "-o", &run], &flags[..]].concat());
    for words in [
        "1 of 11 images are not found and left out: `data/dark/gone.png` is not found",
        "--patience is ignored",
        "--views is ignored",
    ] {
        assert!(ran.stderr.contains(words), "no `{words}` in:\n{}", ran.stderr);
    }
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("run/run.json")).expect("a record")).expect("JSON");
    assert_eq!(record["validation"], serde_json::json!({"fraction": 0.0}));
}
