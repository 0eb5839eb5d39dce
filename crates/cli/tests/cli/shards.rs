//! `--shard` and `merge`: what several processes do together is what one does alone.

use crate::depth::table;
use crate::files::pictures;
use crate::run::{Folder, command, demo_data, demo_model, fails, json};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The most that is waited for a process to do something.
const PATIENCE: Duration = Duration::from_secs(120);

fn spawn(arguments: &[&str]) -> Child {
    let mut command = command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process")
}

/// Waits until it is done, which must be well. Returns what it has said.
fn done(child: Child) -> String {
    let output = child.wait_with_output().expect("a process");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The outcomes in a file of lines, without how long each took.
fn outcomes(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let mut outcome: Value = serde_json::from_str(line).ok()?;
        outcome.as_object_mut()?.remove("seconds")?;
        Some(outcome)
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn features_of_shards_are_those_of_one_process_to_the_byte() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 7, 20);
    pictures(&folder.path("photos"), "light", 6, 180);
    std::fs::write(folder.path("photos/dark/broken.png"), b"no picture").expect("written");
    let (model, data, cache) = (demo_model(), folder.text("photos"), folder.text("cache"));
    let embed = |out: &str, more: &[&str]| {
        let out = folder.text(out);
        json(&[&["embed", &model, &data, "-o", &out, "--cache", &cache], more].concat())
    };
    for ending in ["npz", "parquet"] {
        let [one, shared] = ["one", "shared"].map(|name| format!("{name}.{ending}"));
        let merge = ["merge".to_owned(), folder.text(&shared)];
        fails(&merge, &["holds no parts", "--shard I/N"]);
        embed(&one, &[]);
        for shard in ["2/3", "0/3"] {
            embed(&shared, &["--shard", shard]);
        }
        fails(&merge, &["the shards 1/3 are missing"]);
        // a process that is killed leaves no part that looks whole
        let parts = folder.path(&format!("{shared}.shards"));
        let part = parts.join("1-of-3.part");
        assert!(!part.exists());
        embed(&shared, &["--shard", "1/3", "--no-cache"]);
        let whole = std::fs::read(&part).expect("a part");
        std::fs::write(&part, &whole[..whole.len() - 5]).expect("cut off");
        fails(&merge, &["1-of-3.part", "start its shard again"]);
        embed(&shared, &["--shard", "1/3", "--cut", "pool_1"]);
        fails(&merge, &["1-of-3.part", "another model or other settings"]);
        embed(&shared, &["--shard", "1/3"]);
        let merged = json(&merge);
        assert_eq!((&merged["images"], &merged["shards"]), (&13.into(), &3.into()));
        let [one, shared] = [one, shared].map(|name| std::fs::read(folder.path(&name)).expect("a file"));
        assert!(one == shared, "the merged .{ending} has other bytes");
    }
}

#[test]
fn shards_that_run_at_once_find_what_one_process_finds_though_one_is_killed() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let cache = folder.text("cache");
    let flags = ["--repeats", "2", "--cuts", "pool_2,hidden", "--cache", &cache];
    let depth = |out: &str, more: &[&str]| -> Vec<String> {
        let words = [&["depth", &model, &data, "-o", out], &flags[..], more].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let start = |words: Vec<String>| spawn(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let (alone, shared) = (folder.text("alone"), folder.text("shared"));
    let found = table(json(&depth(&alone, &[])));

    let shard = |index: &str| start(depth(&shared, &["--shard", index, "--lost-after", "1s"]));
    let shards = folder.path("shared").join("shards");
    let [mut killed, other] = ["0/3", "1/3"].map(shard);
    // in the middle of a training
    let claims = || std::fs::read_to_string(shards.join("0.json")).is_ok_and(|sign| sign.contains("arm"));
    until("a shard trains nothing", || {
        claims()
            && !outcomes(&shards.join("0.jsonl")).is_empty()
            && !outcomes(&shards.join("1.jsonl")).is_empty()
    });
    killed.kill().expect("killed");
    killed.wait().expect("a process");
    let kept = outcomes(&shards.join("0.jsonl")).len();
    assert!(shards.join("0.json").exists(), "it was not killed, it ended");
    fails(&["merge", &shared], &["trainings of the search are missing", "--shard"]);
    // what it was training is trained by another, which waits for no one else
    done(other);
    let trained = |index: usize| outcomes(&shards.join(format!("{index}.jsonl")));
    assert_eq!(trained(0).len(), kept);
    // and where it is started again it finds nothing left to do, as one that comes late
    for late in ["0/3", "2/3"] {
        assert!(done(shard(late)).contains("has trained 0 times"), "{late}");
    }
    assert!(!trained(1).is_empty() && trained(2).is_empty());

    let merged = table(json(&["merge", &shared]));
    assert_eq!(merged, found, "the search that was shared has found something else");
    let sorted = |path: &Path| {
        let mut all: Vec<String> = outcomes(path).iter().map(Value::to_string).collect();
        all.sort();
        all
    };
    let [alone, together] = ["alone", "shared"].map(|run| sorted(&folder.path(run).join("search.jsonl")));
    assert_eq!(alone, together, "lines differ, or a trial was trained twice");
    let model_of = |run: &str| std::fs::read(folder.path(run).join("model.keras")).expect("a model");
    assert!(model_of("alone") == model_of("shared"), "the models that were written differ");
    fails(&["merge", &shared], &["holds a finished run"]);
}

#[test]
fn shards_of_different_searches_do_not_mix() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let (out, cache) = (folder.text("run"), folder.text("cache"));
    let mut first =
        spawn(&["depth", &model, &data, "-o", &out, "--cuts", "hidden", "--cache", &cache, "--shard", "0/2"]);
    let lines = folder.path("run").join("shards").join("0.jsonl");
    until("no line", || std::fs::read_to_string(&lines).is_ok_and(|text| text.contains('\n')));
    let other = |more: &[&str], words: &[&str]| {
        let all = ["depth", &model, &data, "-o", &out, "--cuts", "hidden", "--cache", &cache];
        fails(&[&all[..], more].concat(), words);
    };
    other(&["--shard", "0/2"], &["another process is the shard 0/2"]);
    other(&["--shard", "1/2", "--seed", "1"], &["0.jsonl", "another seed"]);
    other(&["--shard", "1/2", "--repeats", "3"], &["0.jsonl", "another number of repeats"]);
    other(&["--shard", "1/2", "--exhaustive"], &["0.jsonl", "another number of repeats"]);
    first.kill().expect("killed");
    first.wait().expect("a process");
    // another kind of processor adds in another order
    let text = std::fs::read_to_string(&lines).expect("lines");
    let key = text.lines().next().expect("a line").replace(r#""processor":""#, r#""processor":"other "#);
    std::fs::write(&lines, key + "\n").expect("written");
    other(&["--shard", "0/2"], &["0.jsonl", "another processor", "machines of one kind"]);
    for wrong in ["2/2", "1", "0/0"] {
        let ran = crate::run::frostline(&["depth", &model, &data, "-o", &out, "--shard", wrong]);
        assert_eq!(ran.status, Some(2), "{wrong}: {}", ran.stderr);
    }
}
