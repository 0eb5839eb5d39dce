//! Running the binary.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run has left on its streams.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frostline"));
    command.args(arguments).args(["--threads", "2"]).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs to the end. No panic ever reaches a user.
pub(crate) fn frostline<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    let output = command(arguments).output().expect("a process");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ran = Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    for word in ["panicked", "RUST_BACKTRACE", "unwrap()"] {
        assert!(!ran.stderr.contains(word) && !ran.stdout.contains(word), "a panic: {}", ran.stderr);
    }
    ran
}

/// Runs what must work.
pub(crate) fn works<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    let ran = frostline(arguments);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// Runs what must fail: status 1, nothing on standard output, an error that holds these words and says what helps.
pub(crate) fn fails<S: AsRef<OsStr>>(arguments: &[S], words: &[&str]) -> Ran {
    let ran = frostline(arguments);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("error: ") && ran.stderr.contains("\nhelp: "), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in:\n{}", ran.stderr);
    }
    ran
}

/// Runs with `--json`: exactly one document, and nothing else, on standard output.
pub(crate) fn json<S: AsRef<OsStr>>(arguments: &[S]) -> Value {
    let arguments: Vec<&OsStr> =
        arguments.iter().map(AsRef::as_ref).chain([OsStr::new("--json"), OsStr::new("--quiet")]).collect();
    let ran = works(&arguments);
    let mut documents = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    let document = documents.next().expect("a document").expect("valid JSON");
    assert!(documents.next().is_none(), "more than one document: {}", ran.stdout);
    document
}

pub(crate) fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).display().to_string()
}

/// The textbook's model A and task B.
pub(crate) fn demo_model() -> String {
    repository("crates/cli/assets/demo/my_model_A.h5")
}

pub(crate) fn demo_data() -> String {
    repository("crates/cli/assets/demo/fashion_subset.npz")
}

pub(crate) fn golden(name: &str) -> String {
    repository("tests/golden").to_owned() + "/" + name
}

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Nothing there that looks like a run that is done.
pub(crate) fn is_no_run(path: &Path) {
    assert!(!path.join("run.json").exists() && !path.join("model.keras").exists(), "`{}`", path.display());
}
