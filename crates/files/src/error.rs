//! What can go wrong with a file, and what can be done.

use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {}", path.display(), io_words(source))]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// What the system said of a path.
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_path_buf(), source }
    }
}

/// What can be done about an error of the system.
pub fn io_help(error: &io::Error) -> &'static str {
    use std::io::ErrorKind;
    // errors that have no kind of their own, by their numbers
    const IO: i32 = 5;
    const TOO_MANY_IN_ALL: i32 = 23;
    const TOO_MANY: i32 = 24;
    const LOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };
    match (error.kind(), error.raw_os_error().filter(|_| cfg!(unix))) {
        (ErrorKind::NotFound, _) => "check the path; the folder of a file that is written must be there",
        (ErrorKind::PermissionDenied, _) => {
            "permission is missing: give another path, or change its permissions"
        }
        (ErrorKind::IsADirectory, _) => "that is a folder: give a file",
        (ErrorKind::NotADirectory, _) => "a part of the path is a file: check the path",
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => "the disk is full: make room on it",
        (ErrorKind::InvalidInput, _) => "only regular files are read: give one",
        (_, Some(TOO_MANY | TOO_MANY_IN_ALL)) => {
            "raise the limit of open files (`ulimit -n`), or work on fewer threads with the setting `threads`"
        }
        (_, Some(LOOP)) => "links lead in a circle: mend or remove them",
        (_, Some(IO)) => "the disk or the network does not answer: check it, and copy the data elsewhere",
        _ => "check the path and the disk",
    }
}

/// What the system said, without the name of a temporary file, and what can be done.
pub fn io_words(error: &io::Error) -> String {
    let said = error.to_string();
    let said = said.split(" at path ").next().unwrap_or_default();
    format!("{said}\nhelp: {}", io_help(error))
}
