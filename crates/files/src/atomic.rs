//! Writing a file so that it is there whole or not at all.

use crate::FileError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// How temporary names begin.
pub const TEMPORARY: &str = ".frostline-";

/// Bytes of short writes that are gathered before the system is called.
const GATHERED: usize = 1 << 16;

/// Writes to a temporary name in the same directory, syncs, and renames.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    stream_atomically(path, |file| file.write_all(bytes))
}

/// [`write_atomically`] of what `write` writes, which need not be in memory as a whole. What killed processes have left of such
/// writing in the directory is removed.
pub fn stream_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let failed = |source| FileError::new(path, source);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    remove_abandoned(directory);
    let file = temporary_file(directory).map_err(failed)?;
    let mut gathered = BufWriter::with_capacity(GATHERED, file.as_file());
    write(&mut gathered).and_then(|()| gathered.flush()).map_err(failed)?;
    drop(gathered);
    file.as_file().sync_all().map_err(failed)?;
    // a temporary file is private to its owner; a result is as readable as any other file
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644));
    }
    file.persist(path).map_err(|error| FileError::new(path, error.error))?;
    sync_directory(directory);
    Ok(())
}

/// A temporary file that is locked for as long as this process has it: the system takes the lock away when the process ends,
/// however it ends, and the next writing in the directory removes the file.
///
/// # Errors
///
/// A directory that cannot be written to.
pub fn temporary_file(directory: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
        // a file system without locks has no upkeep either: nobody takes the file away
        let is_locked = file.as_file().lock().is_ok();
        // another process may have taken it for abandoned before it was locked
        if !is_locked || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes the temporary files of processes that have ended. Returns the bytes that are free again.
pub fn remove_abandoned(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let temporary = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY));
    let regular = temporary.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let freed = |path: &Path| {
        let file = File::options().write(true).open(path).ok()?;
        // who writes it holds the lock
        file.try_lock().ok()?;
        let bytes = file.metadata().ok()?.len();
        std::fs::remove_file(path).ok().map(|()| bytes)
    };
    regular.filter_map(|entry| freed(&entry.path())).sum()
}

/// A new name is on the disk when its directory is. A system that cannot sync directories writes them by itself.
fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join(format!("{TEMPORARY}left"));
        std::fs::write(&left, [0; 100]).expect("written");
        let other = folder.path().join("other");
        std::fs::write(&other, [0; 10]).expect("written");
        stream_atomically(&folder.path().join("outer"), |file| {
            assert!(!left.exists());
            // another file appears while this one is written
            write_atomically(&folder.path().join("inner"), b"inner").expect("written");
            file.write_all(b"outer")
        })
        .expect("written");
        assert_eq!(std::fs::read(folder.path().join("outer")).expect("there"), b"outer");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 3);
        std::fs::write(&left, [0; 100]).expect("written");
        assert_eq!(remove_abandoned(folder.path()), 100);
        assert_eq!(remove_abandoned(folder.path()), 0);
    }
}
