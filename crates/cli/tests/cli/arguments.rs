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
        vec!["demo", "--seeds", "1"],
        with(&["--lr", "fast"]),
        with(&["--epochs", "-1"]),
        with(&["--keep", "0"]),
        with(&["--head", "dens(3)"]),
        with(&["--optimizer", "adan"]),
        with(&["--optimizer", "adam(amsgrad=true)"]),
        with(&["--optimizer", "sgd(momentum=2)"]),
        with(&["--loss", "hinge_2"]),
        with(&["--schedule", "linear"]),
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
fn settings_that_contradict_each_other_or_make_no_sense_are_said() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    for (flags, words) in [
        (&["--epochs", "0"][..], &["trains for no epoch"][..]),
        (&["--batch", "0"], &["batch of 0"]),
        (&["--lr=-1"], &["learning rate of -1"]),
        (&["--lr=nan"], &["learning rate of NaN"]),
        (&["--label-smoothing", "1"], &["label smoothing 1"]),
        (&["--clip-norm", "0"], &["clip norm"]),
        (&["--views", "0"], &["0 views"]),
        (&["--class-weights", "9=3"], &["`9` is no class", "`Sandal`"]),
        (&["--val", "1.5"], &["`1.5`", "--val 0.2"]),
        (&["--val", "0", "--gradual"], &["--val 0.2"]),
        (&["--head", "keep", "--keep", "3"], &["--head keep"]),
        (&["--keep", "99"], &["has 10 layers"]),
        (&["--keep", "-10"], &["has 10 layers"]),
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
