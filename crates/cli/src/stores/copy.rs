//! The copy of what lies at an address: what changed there is fetched, and nothing else.

use super::address::{Address, Scheme};
use super::store::Store;
use crate::Failure;
use crate::console::Console;
use frostline::Shard;
use frostline::data::{is_data_name, path_text};
use frostline::write_atomically;
use frostline_files::temporary_file;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{Error, GetOptions, GetRange, ObjectMeta, PutResult};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Objects that are fetched at a time.
pub(super) const AT_ONCE: usize = 16;
/// So often in a row nothing may come before it is told.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_millis(200);
/// After so many objects at least it is written down which are here, so that an interrupted fetch goes on.
const NOTED_AFTER: usize = 500;
/// So often at most: each time all are written down.
const NOTES: usize = 50;
const INDEX: &str = "index.json";

/// Which objects are here.
#[derive(Default, Serialize, Deserialize)]
struct Index {
    address: String,
    /// By their paths in the copy.
    objects: BTreeMap<String, Known>,
}

/// What tells one version of an object from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    size: u64,
    /// The store's own mark of the version; else the time of the last change.
    tag: String,
}

impl Known {
    pub(super) fn of(about: &ObjectMeta) -> Self {
        let tag = about.e_tag.as_deref().map(Self::bare);
        Self { size: about.size, tag: tag.unwrap_or_else(|| about.last_modified.to_rfc3339()) }
    }

    /// Nothing of an object, or an empty file in its place.
    fn nothing() -> Self {
        Self { size: 0, tag: String::new() }
    }

    /// What was uploaded, by the store's answer; none where that says nothing of the version.
    pub(super) fn uploaded(size: u64, answer: &PutResult) -> Option<Self> {
        answer.e_tag.as_deref().map(|tag| Self { size, tag: Self::bare(tag) })
    }

    /// Some lists give a mark without the quotes that answers have.
    fn bare(tag: &str) -> String {
        tag.trim_matches('\u{22}').to_owned()
    }
}

/// An object that is to be here.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) about: ObjectMeta,
    /// Where, in the copy.
    pub(super) path: String,
}

/// A folder of copies of an address; nobody changes it as long as this is held.
pub(super) struct Copy {
    folder: PathBuf,
    lock: File,
    index: Index,
}

impl Copy {
    /// The copy of an address, in the user's cache folder; that of a process that needs a part of it is its own.
    pub(super) fn of(address: &Address, shard: Option<Shard>) -> Result<Self, Failure> {
        let folder = match shard {
            None => super::folder_of(address)?,
            Some(shard) => super::folder_by(&format!("{shard} of {}", address.text()))?,
        };
        let lock = super::copies::locked(&folder)?;
        let index = std::fs::read(folder.join(INDEX)).ok();
        let index: Option<Index> = index.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let index = index.filter(|index| index.address == address.text());
        let index = index.unwrap_or_else(|| Index { address: address.text().to_owned(), ..Index::default() });
        Ok(Self { folder, lock, index })
    }

    /// Where an object lies.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// Brings the copy to what the store has: these objects, and no other below `part`.
    pub(super) fn bring(
        &mut self,
        store: &Store,
        wanted: Vec<Wanted>,
        part: &str,
        console: &Console,
    ) -> Result<(), Failure> {
        self.forget_others(&wanted, part)?;
        self.fetch(store, wanted, console)
    }

    /// Has a file for each of these objects and for no other, an empty one for what is not here.
    pub(super) fn place(&mut self, wanted: &[Wanted]) -> Result<(), Failure> {
        self.forget_others(wanted, "")?;
        let is_there = |wanted: &&Wanted| self.is_here(wanted) || self.holds(&wanted.path, &Known::nothing());
        let missing: Vec<&Wanted> = wanted.iter().filter(|wanted| !is_there(wanted)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.change_alone()?;
        self.expect(missing.iter().copied())?;
        for wanted in missing {
            let path = self.path(&wanted.path);
            let made = std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))
                .and_then(|()| File::create(&path));
            made.map_err(|error| unwritable(&path, &error))?;
        }
        self.share()
    }

    /// Whether an object is here as it is there.
    fn is_here(&self, wanted: &Wanted) -> bool {
        self.holds(&wanted.path, &Known::of(&wanted.about))
    }

    fn holds(&self, path: &str, known: &Known) -> bool {
        let file = || std::fs::metadata(self.path(path)).ok().filter(std::fs::Metadata::is_file);
        self.index.objects.get(path) == Some(known) && file().is_some_and(|about| about.len() == known.size)
    }

    /// Removes what is below `part` and not among these.
    fn forget_others(&mut self, wanted: &[Wanted], part: &str) -> Result<(), Failure> {
        let names: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.path.as_str()).collect();
        let is_below = |path: &str| part.is_empty() || path == part || path.starts_with(&format!("{part}/"));
        let paths = self.index.objects.keys();
        let gone: Vec<String> =
            paths.filter(|path| is_below(path) && !names.contains(path.as_str())).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.change_alone()?;
        for path in gone {
            self.index.objects.remove(&path);
            let file = self.path(&path);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unwritable(&file, &error));
                }
                _ => {}
            }
        }
        self.changed()
    }

    /// Fetches those of these objects that are not here as they are there.
    pub(super) fn fetch(
        &mut self,
        store: &Store,
        wanted: Vec<Wanted>,
        console: &Console,
    ) -> Result<(), Failure> {
        let count = wanted.len();
        let missing: Vec<Wanted> = wanted.into_iter().filter(|wanted| !self.is_here(wanted)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.change_alone()?;
        self.expect(&missing)?;
        let bytes: u64 = missing.iter().map(|wanted| wanted.about.size).sum();
        console.progress(format_args!(
            "fetches {} of {count} objects, {}, from `{}`",
            missing.len(),
            crate::cache::bytes(bytes),
            self.index.address
        ));
        let total = missing.len();
        let noted_after = NOTED_AFTER.max(total / NOTES);
        let fetched = store.wait(async {
            let folder = self.folder.clone();
            let fetches = stream::iter(missing).map(|wanted| fetched(store, wanted, &folder));
            let mut fetches = fetches.buffer_unordered(AT_ONCE);
            let mut done = 0;
            while let Some((path, known)) = fetches.try_next().await? {
                self.index.objects.insert(path, known);
                done += 1;
                console.count("fetching objects", done, total);
                if done % noted_after == 0 {
                    self.note()?;
                }
            }
            Ok(())
        });
        console.clear();
        let noted = self.changed();
        fetched?;
        noted
    }

    /// Notes that nothing whole is here of these: what a killed process leaves of them is known, and goes when it is gone there.
    fn expect<'w>(&mut self, wanted: impl IntoIterator<Item = &'w Wanted>) -> Result<(), Failure> {
        let paths = wanted.into_iter().map(|wanted| wanted.path.clone());
        self.index.objects.extend(paths.map(|path| (path, Known::nothing())));
        self.note()
    }

    /// Notes what is here; others may read it now.
    fn changed(&self) -> Result<(), Failure> {
        self.note()?;
        self.share()
    }

    fn share(&self) -> Result<(), Failure> {
        self.lock
            .unlock()
            .and_then(|()| self.lock.lock_shared())
            .map_err(|error| unwritable(&self.folder, &error))
    }

    /// Waits for nobody: who works with the copy works with what it was.
    fn change_alone(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| unwritable(&self.folder, &error);
        self.lock.unlock().map_err(failed)?;
        match self.lock.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(format!(
                "`{}` has changed, and another frostline works with what was fetched before\nhelp: wait for it, and try again",
                self.index.address
            )
            .into()),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn note(&self) -> Result<(), Failure> {
        Ok(write_atomically(&self.folder.join(INDEX), &serde_json::to_vec(&self.index)?)?)
    }
}

/// What lies below a key, with the path of each below it.
pub(super) fn listed(store: &Store, key: &str) -> Result<Vec<(ObjectMeta, String)>, Failure> {
    store.wait(async {
        let prefix = if key.is_empty() { None } else { Some(store.key(key)?) };
        let told = |error: Error| match (store.address.scheme, &error) {
            (Scheme::Web, _) => format!(
                "`{}` is listed by no server of that kind: {}\nhelp: give the address of a file: a tar, a Parquet file, an npz or a CSV; folders are read from s3://, gs:// and az://",
                store.named(key),
                error.to_string().lines().next().unwrap_or_default()
            )
            .into(),
            _ => store.told(&error, key),
        };
        let objects: Vec<ObjectMeta> = store.objects.list(prefix.as_ref()).try_collect().await.map_err(told)?;
        let above = prefix.as_ref().map_or("", |prefix| prefix.as_ref());
        let below = |about: ObjectMeta| {
            let whole = about.location.as_ref();
            let below = whole.strip_prefix(above).unwrap_or(whole).trim_start_matches('/').to_owned();
            (about, below)
        };
        let mut found: Vec<_> = objects.into_iter().map(below).filter(|(_, path)| !path.is_empty()).collect();
        found.sort_by(|(_, one), (_, other)| one.cmp(other));
        found.iter().try_for_each(|(_, path)| check_name(store, key, path))?;
        Ok(found)
    })
}

/// Errors where the name of an object is no path of a file below a folder.
fn check_name(store: &Store, key: &str, path: &str) -> Result<(), Failure> {
    let is_plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
    match path.split('/').all(is_plain) {
        true => Ok(()),
        false => Err(format!(
            "`{}` is no name that a file can have\nhelp: rename the object, or give a folder without it",
            store.named(&format!("{key}/{path}"))
        )
        .into()),
    }
}

/// Whether an object of a folder of data is of any use: a photo, or a file that holds many.
pub(super) fn is_data(path: &str) -> bool {
    let path = Path::new(path);
    let is_hidden = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    !is_hidden && is_data_name(path)
}

/// Fetches an object; what was broken off goes on where it was.
///
/// Errors: also where it was changed or removed since it was listed.
pub(super) async fn fetched(
    store: &Store,
    wanted: Wanted,
    folder: &Path,
) -> Result<(String, Known), NotFetched> {
    let path = folder.join(&wanted.path);
    let failed = |error: std::io::Error| NotFetched::Failed(unwritable(&path, &error));
    std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
    // what a killed process leaves of it is removed when the next one writes in the folder
    let mut file = temporary_file(folder).map_err(failed)?;
    let known = Known::of(&wanted.about);
    let (mut done, mut tries) = (0, 0);
    while done < known.size {
        let before = done;
        let error = match piece(store, &wanted.about, &mut file, &mut done).await {
            Ok(()) if done == known.size => break,
            Ok(()) => None,
            Err(Broken::Here(error)) => return Err(failed(error)),
            Err(Broken::There(error)) => Some(error),
        };
        tries = if done > before { 1 } else { tries + 1 };
        // what is refused or gone will be so the next time
        let is_final = matches!(
            &error,
            Some(
                Error::NotFound { .. }
                    | Error::Unauthenticated { .. }
                    | Error::PermissionDenied { .. }
                    | Error::Precondition { .. }
            )
        );
        if let Some(Error::NotSupported { .. }) = &error {
            // no server of pieces: from the beginning
            done = 0;
        }
        if is_final || tries >= TRIES {
            let key = wanted.about.location.as_ref();
            return Err(match error {
                Some(Error::Precondition { .. }) => NotFetched::Changed(
                    format!("`{}` was changed while it was fetched\nhelp: try again", store.named(key)).into(),
                ),
                Some(error @ Error::NotFound { .. }) => NotFetched::Changed(store.told(&error, key)),
                Some(error) => NotFetched::Failed(store.told(&error, key)),
                None => NotFetched::Failed(
                    format!(
                        "`{}` ends after {done} of {} bytes\nhelp: try again; if it is the same, the store or what is between is broken",
                        store.named(key),
                        known.size
                    )
                    .into(),
                ),
            });
        }
        tokio::time::sleep(WAIT * 2_u32.pow(tries)).await;
    }
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok((wanted.path, known))
}

/// Why an object was not fetched.
pub(super) enum NotFetched {
    /// It was changed or removed since it was listed.
    Changed(Failure),
    Failed(Failure),
}

impl From<NotFetched> for Failure {
    fn from(why: NotFetched) -> Self {
        match why {
            NotFetched::Changed(failure) | NotFetched::Failed(failure) => failure,
        }
    }
}

/// Why a piece did not come to its end.
enum Broken {
    Here(std::io::Error),
    There(Error),
}

/// Fetches what is missing of an object, as far as it comes.
async fn piece(
    store: &Store,
    about: &ObjectMeta,
    file: &mut tempfile::NamedTempFile,
    done: &mut u64,
) -> Result<(), Broken> {
    let options = GetOptions {
        if_match: about.e_tag.clone().filter(|_| store.address.scheme != Scheme::Web),
        range: (*done > 0).then_some(GetRange::Offset(*done)),
        ..GetOptions::default()
    };
    let answer = store.objects.get_opts(&about.location, options).await.map_err(Broken::There)?;
    file.seek(SeekFrom::Start(*done)).map_err(Broken::Here)?;
    let mut blocks = answer.into_stream();
    while let Some(block) = blocks.try_next().await.map_err(Broken::There)? {
        file.write_all(&block).map_err(Broken::Here)?;
        *done += block.len() as u64;
    }
    Ok(())
}

pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    format!(
        "`{}`: {error}\nhelp: check the folder and the room on its disk; XDG_CACHE_HOME says where copies lie",
        path_text(path)
    )
    .into()
}
