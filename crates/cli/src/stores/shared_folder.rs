//! A folder of this machine and one of a store, each of which gets what is new in the other.

use super::address::Address;
use super::copy::{AT_ONCE, Known, NotFetched, Wanted, fetched, listed, unwritable};
use super::store::Store;
use crate::Failure;
use frostline_files::{TEMPORARY, remove_abandoned};
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The two folders.
pub(super) struct SharedFolder {
    store: Store,
    address: Address,
    folder: PathBuf,
    /// By their paths below both.
    same: Mutex<BTreeMap<String, Same>>,
}

/// A file that is the same on both sides.
struct Same {
    there: Known,
    here: Stamp,
}

/// What tells one version of a file here from another: its bytes, and when it was changed.
#[derive(PartialEq, Eq)]
struct Stamp(u64, SystemTime);

impl Stamp {
    /// None where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self(about.len(), about.modified().ok()?))
    }
}

/// What is to be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Have {
    /// It is not needed.
    Not,
    /// It is fetched, unless there is a file of that length: one name never means two things.
    Once,
    /// It is fetched whenever it has changed.
    Newest,
}

impl SharedFolder {
    /// Errors: an address that cannot be read.
    pub(super) fn open(address: &Address, folder: PathBuf) -> Result<Self, Failure> {
        std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        // what killed processes were fetching
        remove_abandoned(&folder);
        let store = Store::open(address)?;
        Ok(Self { store, address: address.clone(), folder, same: Mutex::default() })
    }

    /// The folder of this machine.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// That of the store.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Fetches what is needed of that which lies there below `part`. `have` says what, by path and bytes. Returns the versions of all
    /// that lie there.
    pub(super) fn fetch(
        &self,
        part: &str,
        mut have: impl FnMut(&str, u64) -> Have,
    ) -> Result<BTreeMap<String, Known>, Failure> {
        let mut there = BTreeMap::new();
        let mut missing = Vec::new();
        for (about, below) in listed(&self.store, &joined(self.address.key(), part))? {
            let path = joined(part, &below);
            let known = Known::of(&about);
            let stamp = Stamp::of(&self.folder.join(&path));
            match (have(&path, about.size), stamp) {
                (Have::Not, _) => {}
                (Have::Once, Some(here)) if here.0 == about.size => {
                    self.same().entry(path.clone()).or_insert(Same { there: known.clone(), here });
                }
                (Have::Newest, Some(_)) if self.uploaded(&path).as_ref() == Some(&known) => {}
                _ => missing.push(Wanted { about, path: path.clone() }),
            }
            there.insert(path, known);
        }
        self.store.wait(async {
            let each = stream::iter(missing).map(|wanted| fetched(&self.store, wanted, &self.folder));
            let mut each = each.buffer_unordered(AT_ONCE);
            while let Some(found) = each.next().await {
                match found {
                    Ok((path, known)) => {
                        if let Some(here) = Stamp::of(&self.folder.join(&path)) {
                            self.same().insert(path, Same { there: known, here });
                        }
                    }
                    // another process works with it: it is as it is then the next time
                    Err(NotFetched::Changed(_)) => {}
                    Err(NotFetched::Failed(failure)) => return Err(failure),
                }
            }
            Ok(())
        })?;
        Ok(there)
    }

    /// Uploads a file, unless that version of it is there.
    pub(super) fn upload(&self, path: &str) -> Result<(), Failure> {
        let file = self.folder.join(path);
        let Some(here) = Stamp::of(&file) else { return Ok(()) };
        if self.same().get(path).is_some_and(|same| same.here == here) {
            return Ok(());
        }
        match self.store.put(&file, &joined(self.address.key(), path)) {
            Ok(there) => drop(self.same().insert(path.to_owned(), Same { there, here })),
            // another process may have removed it meanwhile
            Err(_) if !file.exists() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The files that are here, in the order of their paths.
    pub(super) fn files(&self) -> Result<Vec<String>, Failure> {
        let mut files = Vec::new();
        walk(&self.folder, "", &mut files).map_err(|error| unwritable(&self.folder, &error))?;
        files.sort();
        Ok(files)
    }

    /// Whether an object lies there.
    pub(super) fn has(&self, path: &str) -> Result<bool, Failure> {
        let key = joined(self.address.key(), path);
        Ok(self.store.wait(self.store.about(&key))?.is_some())
    }

    /// What a small object holds; nothing where there is none.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.store.get(&joined(self.address.key(), path))
    }

    /// Removes on both sides.
    pub(super) fn remove(&self, path: &str) -> Result<(), Failure> {
        self.forget(path)?;
        self.store.remove(&joined(self.address.key(), path))
    }

    /// Removes here what lies there no longer.
    pub(super) fn forget(&self, path: &str) -> Result<(), Failure> {
        self.same().remove(path);
        let file = self.folder.join(path);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(&file, &error)),
            _ => Ok(()),
        }
    }

    /// Which version of a file lies there, as far as it came from here or was fetched.
    pub(super) fn uploaded(&self, path: &str) -> Option<Known> {
        self.same().get(path).map(|same| same.there.clone())
    }

    /// All that is the same on both sides, as far as is known.
    pub(super) fn in_common(&self) -> Vec<String> {
        self.same().keys().cloned().collect()
    }

    fn same(&self) -> MutexGuard<'_, BTreeMap<String, Same>> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a folder and below it, with `/` between names, without those that are being written.
fn walk(folder: &Path, above: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), &format!("{above}{name}/"), found)?,
            false if name.starts_with(TEMPORARY) => {}
            false => found.push(format!("{above}{name}")),
        }
    }
    Ok(())
}

/// A path below another, which may be empty.
fn joined(above: &str, below: &str) -> String {
    format!("{above}/{below}").trim_matches('/').to_owned()
}
