//! Writing a file so that it is there whole or not at all.

use crate::FileError;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How temporary names begin.
pub const TEMPORARY: &str = ".frostline-";

/// Bytes of short writes that are gathered before the system is called.
const GATHERED: usize = 1 << 16;

/// Writes to a temporary name in the same directory, syncs, and renames.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    stream_atomically(path, |file| file.write_all(bytes))
}

/// [`write_atomically`] of what `write` writes, which need not be in memory as a whole.
pub fn stream_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let failed = |source| FileError::new(path, source);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory).map_err(failed)?;
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
    Ok(())
}
