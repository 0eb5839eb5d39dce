//! What `predict` takes and what it leaves: patterns, lists, thresholds, tables.

use crate::files::{floats, pictures};
use crate::run::{Folder, command, demo_model, fails, works};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path(name)).expect("a file")
}

/// Runs `predict` of the demo's model with these lines on standard input.
fn with_list(list: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(&[&["predict", &demo_model()], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    child.stdin.take().expect("its input").write_all(list.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_pattern_a_folder_and_a_list_name_the_same_pictures() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 3, 20);
    std::fs::write(folder.path("photos/dark/notes.txt"), "no picture").expect("written");
    let (photos, pattern) = (folder.text("photos/dark"), folder.text("photos/d*/*"));
    let of_folder = works(&["predict", &demo_model(), &photos, "--json"]);
    assert_eq!(lines(&of_folder.stdout).len(), 3);
    assert!(of_folder.stderr.contains("1 files in `"), "{}", of_folder.stderr);
    let of_pattern = works(&["predict", &demo_model(), &pattern, "--json"]);
    assert_eq!(of_pattern.stdout, of_folder.stdout);
    assert!(of_pattern.stderr.contains("1 files that `"), "{}", of_pattern.stderr);
    let list = (0..3)
        .map(|index| folder.text(&format!("photos/dark/{index}.png")))
        .collect::<Vec<_>>()
        .join("\r\n\n");
    let (status, found, said) = with_list(&list, &["-", "--json"]);
    assert_eq!((status, found.as_str()), (Some(0), of_folder.stdout.as_str()), "{said}");
    let said =
        works(&["predict", &demo_model(), &folder.text("photos/dark/*.png"), "--exclude", "0.png"]).stderr;
    assert!(said.contains("no folder is given: nothing is left out"), "{said}");
    fails(&["predict", &demo_model(), &folder.text("photos/*.jpg")], &["matches no picture"]);
    fails(&["predict", &demo_model(), &folder.text("photos/dark/*.txt")], &["only 1 files"]);
    let (status, found, said) = with_list("\n", &["-"]);
    assert_eq!((status, found.as_str()), (Some(1), ""));
    assert!(said.contains("no image is given") && said.contains("help: "), "{said}");
}

#[test]
fn top_and_threshold_say_what_is_told() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 1, 20);
    let photo = folder.text("photos/dark/0.png");
    let told = |flags: &[&str]| works(&[&["predict", &demo_model(), &photo], flags].concat()).stdout;
    assert_eq!(told(&[]).matches(", ").count(), 2);
    assert_eq!(told(&["--top", "5"]).matches(", ").count(), 4);
    assert_eq!(told(&["--top", "1"]).matches(", ").count(), 0);
    let whole = lines(&told(&["--json"])).remove(0);
    assert!(whole["class"].is_string() && whole.get("top").is_none());
    let score = whole["score"].as_f64().expect("a score");
    let top = lines(&told(&["--json", "--top", "2"])).remove(0);
    assert_eq!(top["top"][0]["class"], whole["class"]);
    assert_eq!(top["top"][0]["score"], whole["score"]);
    assert_eq!(top["top"].as_array().map(Vec::len), Some(2));
    // just below and just above what it scores
    let (below, above) = ((score - 1e-3).max(0.0).to_string(), (score + 1e-3).min(1.0).to_string());
    assert_eq!(lines(&told(&["--json", "--threshold", &below])).remove(0), whole);
    let none = lines(&told(&["--json", "--threshold", &above])).remove(0);
    assert_eq!((&none["class"], &none["index"]), (&Value::Null, &Value::Null));
    assert_eq!(none["scores"], whole["scores"]);
    assert!(told(&["--threshold", &above]).contains(": none (likeliest: "));
}

#[test]
fn a_table_and_lines_hold_what_is_printed() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 2, 20);
    std::fs::rename(folder.path("photos/dark/0.png"), folder.path("photos/dark/=1+1.png")).expect("renamed");
    let (table, raw) = (folder.text("t.csv"), folder.text("t.jsonl"));
    let run = |out: &str, inputs: &[&str]| {
        let mut command = command(&[&["predict", &demo_model()], inputs, &["--json", "-o", out]].concat());
        let output = command.current_dir(folder.path("photos/dark")).output().expect("a process");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let printed = run(&table, &["=1+1.png", "1.png"]);
    let printed = lines(&printed);
    assert_eq!(run(&raw, &["=1+1.png", "1.png"]), text(&folder, "t.jsonl"));
    assert_eq!(lines(&text(&folder, "t.jsonl")), printed);
    let rows: Vec<Vec<String>> =
        text(&folder, "t.csv").lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
    assert_eq!(rows[0][..3], ["image", "class", "score"]);
    assert_eq!(rows[0].len(), 3 + printed[0]["scores"].as_array().expect("scores").len());
    assert_eq!(rows[1][0], "'=1+1.png");
    for (row, line) in rows[1..].iter().zip(&printed) {
        assert_eq!(row[1], line["class"].as_str().expect("a class"));
        let number = |text: &String| text.parse::<f32>().expect("a number");
        let printed = |value: &Value| value.as_f64().expect("a number") as f32;
        assert_eq!(number(&row[2]), printed(&line["score"]));
        let scores: Vec<f32> = row[3..].iter().map(number).collect();
        assert_eq!(
            scores,
            line["scores"].as_array().expect("scores").iter().map(printed).collect::<Vec<_>>()
        );
    }
    let named = folder.text("t.txt");
    fails(&["predict", &demo_model(), &folder.text("photos"), "-o", &named], &[".csv, .jsonl or .npz"]);
    fails(
        &["predict", &demo_model(), &folder.text("photos"), "-o", &folder.text("no/t.csv")],
        &["is no folder"],
    );
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_written() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 2, 20);
    std::fs::write(folder.path("photos/dark/0.png"), b"\x89PNG\r\n\x1a\n cut off").expect("written");
    let out = folder.text("t.csv");
    let ran = crate::run::frostline(&["predict", &demo_model(), &folder.text("photos"), "-o", &out]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 images could not be read (1 are damaged)"), "{}", ran.stderr);
    assert_eq!(text(&folder, "t.csv").lines().count(), 2);
}

#[test]
fn rows_of_arrays_are_tabled_too() {
    let folder = Folder::new();
    std::fs::write(folder.path("batch.npy"), floats(&[2, 28, 28, 1], &[0.5; 2 * 28 * 28])).expect("written");
    works(&["predict", &demo_model(), &folder.text("batch.npy"), "-o", &folder.text("t.csv")]);
    let table = text(&folder, "t.csv");
    assert_eq!(table.lines().count(), 3);
    assert!(table.lines().nth(2).expect("a row").contains("batch.npy[1],"), "{table}");
}
