//! All copies together: how large they are, and that they are removed.

use super::copy::unwritable;
use crate::Failure;
use frostline::cache::FeatureCache;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where copies lie, beside the feature cache, which takes no folder that holds anything else.
pub(super) fn folder() -> Option<PathBuf> {
    FeatureCache::default_folder().map(|folder| folder.with_file_name("frostline-stores"))
}

/// Makes the folder of a copy, and waits while another process changes it. Nobody changes it as long as the lock is held.
pub(super) fn locked(folder: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| unwritable(folder, &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
    let lock = lock.map_err(failed)?;
    lock.lock_shared().map_err(failed)?;
    Ok(lock)
}

/// Bytes of all copies.
pub(crate) fn size() -> Result<u64, Failure> {
    Ok(all().iter().map(|copy| bytes(copy)).sum())
}

/// Removes all copies that nobody works with. Returns their bytes.
pub(crate) fn cleared() -> Result<u64, Failure> {
    let mut freed = 0;
    for copy in all() {
        let lock = File::options().write(true).open(copy.join("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        let size = bytes(&copy);
        std::fs::remove_dir_all(&copy).map_err(|error| unwritable(&copy, &error))?;
        freed += size;
    }
    Ok(freed)
}

/// The folders of copies. What waits to be uploaded is none.
fn all() -> Vec<PathBuf> {
    let Some(entries) = folder().and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let folders = entries.flatten().map(|entry| entry.path());
    folders.filter(|path| path.is_dir() && path.extension().is_none()).collect()
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
