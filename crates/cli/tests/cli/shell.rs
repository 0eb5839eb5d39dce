//! `completions` and `man`: shells and `man` read them.

use crate::run::{Folder, fails, frostline, works};
use std::io::Write;
use std::process::{Command, Stdio};

/// Feeds text to a program; its status and both its streams. `None` where the program is not there.
fn fed(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("taken");
    let output = child.wait_with_output().expect("its end");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).expect("text")))
}

#[test]
fn each_shell_has_completions_that_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = works(&["completions", shell]).stdout;
        for word in ["train", "unfreeze", "add-class", "doctor"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(frostline(&["completions", "tcsh"]).status, Some(2));
}

#[test]
fn bash_completes_a_command_and_a_flag() {
    let script = works(&["completions", "bash"]).stdout;
    let (parses, said) = fed("bash", &["-n"], &script).expect("bash");
    assert!(parses, "{said}");
    for (line, words, expected) in [
        ("frostline ev", "(frostline ev)", "evaluate"),
        ("frostline train --unf", "(frostline train --unf)", "--unfreeze"),
        ("frostline cache l", "(frostline cache l)", "list"),
    ] {
        let count = words.split(' ').count() - 1;
        let asks = format!(
            "{script}\nCOMP_WORDS={words}; COMP_CWORD={count}; COMP_LINE='{line}'\n_frostline frostline \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let (works, said) = fed("bash", &["--norc"], &asks).expect("bash");
        assert!(works && said.lines().any(|word| word == expected), "{line}: {said}");
    }
}

#[test]
fn the_pages_of_the_manual_are_there_for_each_command_and_without_a_warning() {
    let folder = Folder::new();
    works(&["man", "-o", &folder.text("man1")]);
    let mut names: Vec<String> = std::fs::read_dir(folder.path("man1"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in ["frostline.1", "frostline-train.1", "frostline-add-class.1", "frostline-man.1"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
    for name in names {
        let page = std::fs::read_to_string(folder.path("man1").join(&name)).expect("a page");
        assert!(page.contains(".SH NAME") && page.contains("frostline"), "{name}");
        // a machine without man-db or mandoc has no one to ask
        if let Some((true, said)) = fed("groff", &["-Kutf8", "-man", "-ww", "-Tutf8", "-z"], &page) {
            assert_eq!(said, "", "{name}");
        }
        if let Some((_, said)) = fed("mandoc", &["-T", "lint", "-W", "warning"], &page) {
            assert!(!said.contains("ERROR"), "{name}: {said}");
        }
    }
    let page = works(&["man", "train"]).stdout;
    assert!(
        page.contains("frostline\\-train") && page.contains(".SH EXAMPLES\n.nf\nfrostline train "),
        "{page}"
    );
    assert!(works(&["man"]).stdout.contains(".SH SUBCOMMANDS"));
    fails(&["man", "trian"], &["`trian` is no command", "train"]);
}
