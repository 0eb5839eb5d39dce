//! The run directory is whole or is no run; one that is finished is never lost.

use crate::run::{Folder, command, demo_data, demo_model, fails, is_no_run, works};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        (path.display().to_string(), std::fs::read(path).expect("a file"))
    };
    std::fs::read_dir(folder).expect("a folder").map(entry).collect()
}

fn train(run: &str, epochs: &str) -> Vec<String> {
    ["train", &demo_model(), &demo_data(), "-o", run, "--epochs", epochs].map(str::to_owned).to_vec()
}

#[test]
fn a_finished_run_is_never_written_over() {
    let folder = Folder::new();
    let run = folder.text("run");
    works(&train(&run, "1"));
    let before = content(&folder.path("run"));
    let mut names: Vec<&str> = before.keys().filter_map(|path| path.rsplit('/').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["images.csv", "metrics.jsonl", "model.keras", "report.html", "run.json"]);
    fails(&train(&run, "2"), &[&run, "holds a finished run already", "give another folder with --output"]);
    assert_eq!(before, content(&folder.path("run")));
}

#[test]
fn a_run_that_was_killed_is_no_run_and_its_folder_can_be_used_again_without_its_checkpoint() {
    let folder = Folder::new();
    let run = folder.text("run");
    let quiet = |command: &mut std::process::Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process")
    };
    let mut child = quiet(&mut command(&train(&run, "1000000")));
    let start = Instant::now();
    let metrics = folder.path("run/metrics.jsonl");
    // well into the training: some epochs are written down
    while std::fs::metadata(&metrics).map_or(0, |file| file.len()) < 1000 {
        assert!(start.elapsed() < Duration::from_secs(60), "the training does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    is_no_run(&folder.path("run"));
    for command in ["evaluate", "predict"] {
        fails(&[command, &run, &demo_data()], &[&run, "no finished run", "`run.json`"]);
    }
    fails(&["inspect", &run], &["no finished run"]);
    std::fs::remove_dir_all(folder.path("run/checkpoint")).expect("checkpoints");
    works(&train(&run, "1"));
    works(&["evaluate", &run, &demo_data()]);
    let lines = std::fs::read_to_string(metrics).expect("metrics");
    assert_eq!(lines.lines().count(), 1, "lines of the run that was killed are left: {lines}");
}

#[test]
fn a_folder_that_holds_other_files_or_the_data_is_no_place_for_a_run() {
    let folder = Folder::new();
    std::fs::copy(demo_model(), folder.path("model.keras")).expect("copied");
    let before = content(&folder.path(""));
    let fails = |arguments: &[String], word: &str| fails(arguments, &[word, "give a"]);
    fails(&train(&folder.text(""), "1"), "`model.keras`");
    assert_eq!(before, content(&folder.path("")));
    for class in ["a", "b"] {
        crate::files::pictures(&folder.path("photos"), class, 4, 90);
    }
    let (data, run) = (folder.text("photos"), folder.text("photos/run"));
    let inside = ["train", &demo_model(), &data, "-o", &run].map(str::to_owned);
    fails(&inside, "lies in the data");
    is_no_run(&folder.path("photos/run"));
}

#[test]
fn what_is_wrong_with_a_later_stage_is_said_before_anything_is_trained() {
    let folder = Folder::new();
    let run = folder.text("run");
    for flags in [["--unfreeze", "hiden"].as_slice(), &["--freeze", "hiden"], &["--val", "0", "--gradual"]] {
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        fails(&[train(&run, "2"), flags.collect()].concat(), &["help: "]);
        assert!(!folder.path("run").exists(), "something was written");
    }
}

#[test]
fn a_run_needs_a_folder_that_can_be_made() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), b"mine").expect("written");
    for run in [folder.text("file"), folder.text("file/run")] {
        let ran = crate::run::frostline(&train(&run, "1"));
        assert_eq!(ran.status, Some(1));
        assert!(ran.stderr.contains(&run), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read(folder.path("file")).expect("a file"), b"mine");
}

#[test]
fn a_training_that_fails_leaves_no_run() {
    let folder = Folder::new();
    let run = folder.text("run");
    let wild = ["--lr", "1e30", "--optimizer", "sgd", "--freeze", "none"].map(str::to_owned);
    let arguments = [train(&run, "3"), wild.to_vec()].concat();
    fails(&arguments, &["no finite number", "--lr", "--clip-norm 1"]);
    is_no_run(&folder.path("run"));
    fails(&["evaluate", &run, &demo_data()], &["no finished run"]);
    assert!(!folder.path("run/checkpoint").exists(), "what fails again is nothing to go on with");
}

#[test]
fn what_is_written_is_written_whole() {
    let folder = Folder::new();
    let out = folder.text("model.keras");
    works(&["convert", &demo_model(), "-o", &out]);
    // no temporary file is left beside it
    assert_eq!(content(&folder.path("")).len(), 1);
    fails(&["convert", &crate::run::golden("bad/lambda.keras"), "-o", &out], &["`code`"]);
    works(&["inspect", &out]);
}
