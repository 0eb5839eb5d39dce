//! `train --resume`: a run that was killed, or told to stop, ends as one that was not.

use crate::run::{Folder, Ran, command, demo_data, demo_model, fails, works};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The most that is waited for a process to do something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of the head, and then of what is unfrozen.
const EPOCHS: &str = "12";

/// The head, then two layers more, 120 steps in all; a checkpoint after each: where the machine does much else, a process gets far before it is
/// killed.
fn train(run: &str, more: &[&str]) -> Vec<String> {
    let (model, data) = (demo_model(), demo_data());
    let all = ["train", &model, &data, "-o", run, "--checkpoint-every", "1", "--epochs", EPOCHS];
    let tuned =
        ["--unfreeze", "2", "--fine-tune-epochs", EPOCHS, "--schedule", "cosine", "--head", "dropout(0.2)"];
    all.iter().chain(&tuned).chain(more).map(|word| (*word).to_owned()).collect()
}

/// The number of the newest checkpoint.
fn newest(run: &Path) -> u64 {
    let entries = std::fs::read_dir(run.join("checkpoint")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.path().file_stem()?.to_str()?.parse().ok()).max().unwrap_or(0)
}

fn spawn(arguments: &[String]) -> Child {
    let mut command = command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process")
}

/// Waits until a checkpoint of that number or a later one is there. False if the process ended before.
fn reaches(child: &mut Child, run: &Path, number: u64) -> bool {
    let start = Instant::now();
    while newest(run) < number {
        if child.try_wait().expect("a process").is_some() {
            return false;
        }
        assert!(start.elapsed() < PATIENCE, "no checkpoint {number}");
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// The files of a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Without what differs between any two runs: times, memory and the run's own name.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["seconds", "peak_bytes", "model"] {
                map.remove(key);
            }
            map.values_mut().for_each(without_times);
        }
        Value::Array(list) => list.iter_mut().for_each(without_times),
        _ => {}
    }
}

fn record(run: &Path) -> Value {
    let mut record =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("a record")).expect("JSON");
    without_times(&mut record);
    record
}

fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let line = |line: &str| {
        let mut value = serde_json::from_str(line).expect("JSON");
        without_times(&mut value);
        value
    };
    text.lines().map(line).collect()
}

/// Both runs are finished, and the same but for times.
fn are_the_same(whole: &Path, parts: &Path) {
    let model = |run: &Path| std::fs::read(run.join("model.keras")).expect("a model");
    assert!(model(whole) == model(parts), "the models differ");
    assert_eq!(metrics(whole), metrics(parts));
    assert_eq!(record(whole), record(parts));
    assert_eq!(names(whole), names(parts), "something is left behind");
}

#[test]
fn a_run_that_is_killed_at_twenty_random_steps_and_resumed_is_the_same_to_the_byte() {
    let folder = Folder::new();
    let (whole, parts) = (folder.path("whole"), folder.path("parts"));
    works(&train(&folder.text("whole"), &[]));
    let arguments = train(&folder.text("parts"), &["--resume"]);
    let (mut kills, mut random) = (0, 0x9E37_79B9_7F4A_7C15_u64);
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let goal = newest(&parts) + 1 + random % 3;
        let mut child = spawn(&arguments);
        if !reaches(&mut child, &parts, goal) {
            let output = child.wait_with_output().expect("a process");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            break;
        }
        std::thread::sleep(Duration::from_micros(random % 4000));
        child.kill().expect("killed");
        child.wait().expect("gone");
        kills += 1;
    }
    assert!(kills >= 20, "killed {kills} times alone");
    are_the_same(&whole, &parts);
}

#[cfg(unix)]
fn stopped_by(signal: &str, child: Child) -> Ran {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("a process").success());
    let output = child.wait_with_output().expect("a process");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_checkpoint_and_tells_the_command_that_goes_on() {
    for signal in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let run = folder.path("run");
        // an epoch is one checkpoint, and within it there is none: what the signal finds is not saved
        let endless =
            ["train", &demo_model(), &demo_data(), "-o", &folder.text("run"), "--epochs", "1000000"];
        let endless: Vec<String> = endless.iter().map(|word| (*word).to_owned()).collect();
        let mut child = spawn(&endless);
        assert!(reaches(&mut child, &run, 1));
        let ran = stopped_by(signal, child);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("--resume"), "{}", ran.stderr);
        assert!(!run.join("run.json").exists());
        let before = newest(&run);
        let mut child = spawn(&[endless.clone(), vec!["--resume".to_owned()]].concat());
        assert!(reaches(&mut child, &run, before + 1));
        let again = stopped_by(signal, child);
        assert!(again.stderr.contains("goes on with the training"), "{}", again.stderr);
        assert!(again.stderr.contains("goes on after epoch"), "{}", again.stderr);
        assert!(names(&run.join("checkpoint")).len() <= 2);
    }
}

/// A run that was killed after its third checkpoint.
fn killed(folder: &Folder) -> String {
    let run = folder.text("run");
    let mut child = spawn(&train(&run, &[]));
    assert!(reaches(&mut child, &folder.path("run"), 3), "it ended too soon");
    child.kill().expect("killed");
    child.wait().expect("gone");
    run
}

#[test]
fn a_run_that_was_stopped_is_not_written_over_and_another_training_does_not_go_on_with_it() {
    let folder = Folder::new();
    let run = killed(&folder);
    fails(&train(&run, &[]), &["holds the checkpoint of a training", "--resume goes on", "remove `"]);
    let at = newest(&folder.path("run"));
    fails(&train(&run, &["--resume", "--batch", "16"]), &["another training", "--batch is 16, it was 32"]);
    fails(&train(&run, &["--resume", "--seed", "4"]), &["another training", "--seed is 4, it was 0"]);
    assert_eq!(newest(&folder.path("run")), at);
    works(&train(&run, &["--resume"]));
    assert!(!folder.path("run/checkpoint").exists());
}

#[test]
fn a_finished_run_has_nothing_to_go_on_with_and_a_new_one_begins() {
    let folder = Folder::new();
    let run = folder.text("run");
    let ran = works(&train(&run, &["--resume"]));
    assert!(ran.stderr.contains("holds no checkpoint: the training begins from its start"), "{}", ran.stderr);
    fails(&train(&run, &["--resume"]), &[&run, "a finished run", "nothing to go on with"]);
    // a folder in which a training was killed before its first checkpoint
    let early = folder.path("early");
    std::fs::create_dir(&early).expect("a folder");
    std::fs::write(early.join("metrics.jsonl"), b"{\"stage\":\"head\"}\n").expect("written");
    std::fs::write(early.join(".frostline-x1"), b"half").expect("written");
    works(&train(&folder.text("early"), &["--resume"]));
    assert_eq!(names(&early), names(&folder.path("run")));
    assert_eq!(metrics(&early), metrics(&folder.path("run")));
}

#[test]
fn two_processes_do_not_train_into_one_folder() {
    let folder = Folder::new();
    let run = folder.text("run");
    let endless = ["--checkpoint-every", "1h"];
    let mut arguments = train(&run, &[]);
    arguments.retain(|word| word != "--checkpoint-every" && word != "1");
    arguments.extend(endless.map(str::to_owned));
    let epochs = arguments.iter().position(|word| word == EPOCHS).expect("epochs");
    arguments[epochs] = "1000000".to_owned();
    let mut child = spawn(&arguments);
    assert!(reaches(&mut child, &folder.path("run"), 1));
    arguments.push("--resume".to_owned());
    fails(&arguments, &["another process trains into"]);
    child.kill().expect("killed");
    child.wait().expect("gone");
}
