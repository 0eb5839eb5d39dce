//! Arguments: what is wrong ends with status 2 and a word about it, what is asked of them is answered.

use crate::run::{Folder, demo_data, demo_model, fails, frostline, golden, is_no_run};

#[test]
fn wrong_arguments_end_with_status_two() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    let train = ["train", &model, &data, "-o", &run];
    let with = |more: &[&'static str]| [&train[..], more].concat();
    let cases: Vec<Vec<&str>> = vec![
        vec![],
        vec!["trian"],
        vec!["inspect"],
        vec!["train", &model, &data],
        vec!["evaluate", &model],
        vec!["predict", &model],
        vec!["convert", &model],
        vec!["verify", &model],
        vec!["inspect", &model, "--jsn"],
        vec!["inspect", &model, "--threads", "many"],
        vec!["inspect", &model, "--arch", "resnet19"],
        vec!["demo", "--seeds", "1"],
        with(&["--lr", "fast"]),
        with(&["--epochs", "-1"]),
        with(&["--keep", "0"]),
        with(&["--head", "dens(3)"]),
        with(&["--optimizer", "adan"]),
        with(&["--optimizer", "adam(amsgrad=true)"]),
        with(&["--optimizer", "sgd(momentum=2)"]),
        with(&["--loss", "hinge_2"]),
        with(&["--schedule", "quadratic"]),
        with(&["--augment", "shear(1)"]),
        with(&["--class-weights", "1:2"]),
        with(&["--weights", "share"]),
        with(&["--preprocess", "imagenet"]),
        with(&["--resize", "pil-sharp"]),
        with(&["--image-size", "0"]),
        with(&["--cache-limit", "2 loaves"]),
        with(&["--freeze", "conv_1", "--unfreeze", "2"]),
        with(&["--gradual", "--unfreeze", "2"]),
        with(&["--recipe", "a.toml", "--lr", "0.1"]),
        with(&["--recipe", "a.toml", "--epochs", "3"]),
    ];
    for arguments in cases {
        let ran = frostline(&arguments);
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.to_lowercase().contains("usage") || ran.stderr.contains("--help"),
            "{}",
            ran.stderr
        );
    }
    assert!(!folder.path("run").exists());
}

#[test]
fn a_value_out_of_range_is_an_argument_that_is_wrong() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    for (flag, words) in [
        ("--lr=0", "a number above 0"),
        ("--lr=-1", "a number above 0"),
        ("--lr=nan", "a number above 0"),
        ("--label-smoothing=1", "from 0 to below 1"),
        ("--weight-decay=-1", "a number from 0"),
        ("--batch=0", "a whole number from 1"),
        ("--views=0", "a whole number from 1"),
        ("--clip-norm=0", "a number above 0"),
        ("--epochs=0", "a whole number from 1"),
        ("--val=1.5", "--val 0.2"),
    ] {
        let ran = frostline(&["train", &model, &data, "-o", &run, flag]);
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""), "{flag}: {}", ran.stderr);
        assert!(ran.stderr.lines().next().is_some_and(|line| line.contains(words)), "{flag}: {}", ran.stderr);
    }
    assert!(!folder.path("run").exists());
}

#[test]
fn a_file_that_is_not_there_or_cannot_be_written_comes_with_help() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    let missing = folder.text("nope.h5");
    fails(&["inspect", &missing], &["nope.h5", "check the path"]);
    fails(&["train", &model, &data, "-o", &run, "--recipe", &missing], &["nope.h5", "check the path"]);
    let out = folder.text("out.keras");
    fails(&["convert", &model, "--weights", &missing, "-o", &out], &["nope.h5", "check the path"]);
    let ran = fails(&["convert", &model, "-o", &folder.text("nope/a.keras")], &["a.keras", "folder"]);
    assert!(!ran.stderr.contains(".frostline-"), "{}", ran.stderr);
}

#[test]
fn predictions_are_not_written_under_another_ending() {
    let folder = Folder::new();
    let out = folder.text("out.txt");
    fails(&["predict", &demo_model(), &demo_data(), "-o", &out], &["out.txt", ".csv, .jsonl or .npz"]);
    assert!(!folder.path("out.txt").exists());
}

#[test]
fn the_data_of_a_training_is_told_from_a_batch() {
    fails(&["predict", &demo_model(), &demo_data()], &["`x_test`", "frostline evaluate"]);
}

#[test]
fn settings_that_contradict_each_other_or_make_no_sense_are_said() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    for (flags, words) in [
        (&["--val", "0", "--gradual"][..], &["--val 0.2"][..]),
        (&["--class-weights", "9=3"], &["`9` is no class", "`Sandal`"]),
        (&["--head", "keep", "--keep", "3"], &["--head keep"]),
        (&["--keep", "99"], &["cannot keep 99:", "has 10 layers"]),
        (&["--keep", "-10"], &["cannot keep -10:", "has 10 layers"]),
        (&["--image-size", "64"], &["28"]),
        (&["--recipe", "nowhere.toml"], &["nowhere.toml"]),
    ] {
        let arguments = [&["train", &model, &data, "-o", &run], flags].concat();
        let ran = frostline(&arguments);
        assert_eq!((ran.status, &*ran.stdout), (Some(1), ""), "{flags:?}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{flags:?}: no {word} in {}", ran.stderr);
        }
        is_no_run(&folder.path("run"));
    }
    fails(&["convert", &model, "-o", &folder.text("model.pb")], &["model.pb", "`.keras`"]);
    fails(&["predict", &model, &golden("keras/dense.npz")], &["28 x 28 x 1", "[[11]]"]);
}

#[test]
fn help_and_version_are_results() {
    for flags in [&["--help"][..], &["--version"], &["train", "--help"], &["predict", "-h"]] {
        let ran = frostline(flags);
        assert_eq!((ran.status, &*ran.stderr), (Some(0), ""), "{flags:?}");
        assert!(ran.stdout.contains("frostline"), "{}", ran.stdout);
    }
}

#[test]
fn quiet_leaves_standard_error_empty() {
    let folder = Folder::new();
    let ran = crate::run::works(&[
        "train",
        &demo_model(),
        &demo_data(),
        "-o",
        &folder.text("run"),
        "--epochs",
        "1",
        "--quiet",
    ]);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.contains("wrote"), "{}", ran.stdout);
}
