//! Writing a file so that it is there whole or not at all.

use crate::{Error, Result};
use std::io::Write;
use std::path::Path;

/// How temporary names begin.
pub(crate) const TEMPORARY: &str = ".frostline-";

/// Writes to a temporary name in the same directory, syncs, and renames.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::io(path, source);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    // a temporary file is private to its owner; a result is as readable as any other file
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644));
    }
    file.persist(path).map_err(|error| Error::io(path, error.error))?;
    Ok(())
}
