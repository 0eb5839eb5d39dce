//! Files that are opened to be read. A pipe or a device may never end, or never begin: it is no file.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a regular file, or what a link to one leads to.
pub fn open(path: &Path) -> Result<File> {
    match what_it_is(&std::fs::metadata(path)?) {
        None => File::open(path),
        Some("a folder") => Err(Error::new(ErrorKind::IsADirectory, "it is a folder, not a file")),
        Some(kind) => Err(Error::new(ErrorKind::InvalidInput, format!("it is {kind}, not a regular file"))),
    }
}

/// The bytes of a regular file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |about| about.len() as usize));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What something is that is no regular file.
#[cfg(unix)]
pub fn what_it_is(about: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = about.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// What something is that is no regular file.
#[cfg(not(unix))]
pub fn what_it_is(about: &Metadata) -> Option<&'static str> {
    match () {
        () if about.is_file() => None,
        () if about.is_dir() => Some("a folder"),
        () => Some("a device"),
    }
}
