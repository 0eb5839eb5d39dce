//! The folder that holds all prefixes: its bound, what is in it, and its upkeep.

use super::shard::{ENDING, Form, Shard};
use super::{Origin, PrefixKey, StoredFeatures};
use frostline_files::{remove_abandoned, write_atomically};
use frostline_graph::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Describes a prefix for people. Its time of change is when the prefix was last used.
const ABOUT: &str = "about.json";

/// Bytes that are written or read at a time to see how fast that is.
const MEASURED: usize = 1 << 20;

/// A folder of features, and how many bytes may be in it.
#[derive(Clone, Debug)]
pub struct FeatureCache {
    /// The folder; it is made when it is needed.
    pub folder: PathBuf,
    /// Bytes at most.
    pub limit: u64,
    /// Where features come from that are not in the folder yet.
    pub origin: Option<Arc<dyn Origin>>,
}

impl PartialEq for FeatureCache {
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.origin, &other.origin) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        };
        is_same && (&self.folder, self.limit) == (&other.folder, other.limit)
    }
}

impl Eq for FeatureCache {}

/// What a prefix's `about.json` says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct About {
    #[serde(flatten)]
    form: Form,
    model: String,
    boundary: Vec<String>,
}

/// A prefix in a cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrefixEntry {
    /// The name of its folder.
    pub name: String,
    /// The model that it was first used for.
    pub model: String,
    /// The layers whose outputs are stored.
    pub boundary: Vec<String>,
    /// Feature vectors, by image and view.
    #[serde(rename = "rows")]
    pub vectors: usize,
    /// On disk.
    pub bytes: u64,
    /// When it was last used.
    #[serde(serialize_with = "seconds")]
    pub used: SystemTime,
}

fn seconds<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

/// What [`FeatureCache::verify`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Feature vectors that agree with their checksums.
    pub sound: usize,
    /// Feature vectors that do not.
    pub damaged: usize,
    /// Files that are no shards, or are cut off.
    pub unreadable: usize,
    /// Files that were removed: every one with something wrong in it.
    pub removed: usize,
}

impl FeatureCache {
    /// The default bound: 10 GiB.
    pub const LIMIT: u64 = 10 << 30;

    /// A folder of this machine.
    pub fn new(folder: impl Into<PathBuf>, limit: u64) -> Self {
        Self { folder: folder.into(), limit, origin: None }
    }

    /// The user's cache folder, where the system has one.
    pub fn default_folder() -> Option<PathBuf> {
        dirs::cache_dir().map(|folder| folder.join("frostline"))
    }

    /// The feature vectors of a prefix, which is marked as used now. `model` and `boundary` are for people who list the cache.
    pub fn open(
        &self,
        key: PrefixKey,
        form: Form,
        model: &str,
        boundary: &[String],
    ) -> Result<StoredFeatures> {
        self.check_own()?;
        let store = self.look(key, form, model, boundary)?;
        store.mark_used();
        Ok(store)
    }

    /// As [`FeatureCache::open`], but nothing is written until feature vectors are.
    pub fn look(
        &self,
        key: PrefixKey,
        form: Form,
        model: &str,
        boundary: &[String],
    ) -> Result<StoredFeatures> {
        let name = key.folder();
        let folder = self.folder.join(&name);
        if let Some(origin) = &self.origin {
            origin.bring(&name, self.limit);
        }
        let about = About { form, model: model.to_owned(), boundary: boundary.to_vec() };
        let about = serde_json::to_vec(&about).map_err(|error| Error::io(&folder, error.into()))?;
        Ok(StoredFeatures::open(self, folder, about, form))
    }

    /// Seconds to write so many bytes through to the disk, and to read them again.
    pub(crate) fn measure(&self, bytes: usize) -> Result<[f64; 2]> {
        let failed = |source| Error::io(&self.folder, source);
        let mut block: Vec<u8> = (0..MEASURED).map(|index| index as u8).collect();
        let mut file = tempfile::tempfile_in(&self.folder).map_err(failed)?;
        let blocks = bytes.div_ceil(MEASURED);
        let clock = Instant::now();
        let mut each = (0..blocks).map(|_| file.write_all(&block));
        each.try_for_each(|done| done).and_then(|()| file.sync_all()).map_err(failed)?;
        let written = clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        (0..blocks).try_for_each(|_| file.read_exact(&mut block)).map_err(failed)?;
        Ok([written, clock.elapsed().as_secs_f64()])
    }

    /// Whether feature vectors can be stored here. Leaves nothing behind, and does not make the folder.
    ///
    /// Errors: the folder, or the one that it would be made in, cannot be written to.
    pub fn check_writable(&self) -> Result<()> {
        let folder = std::path::absolute(&self.folder).map_err(|source| Error::io(&self.folder, source))?;
        let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
        tempfile::tempfile_in(there).map(drop).map_err(|source| Error::io(&self.folder, source))
    }

    /// Errors: the folder holds something else than a cache.
    fn check_own(&self) -> Result<()> {
        let is_foreign = |path: PathBuf| !has_key_name(&path);
        if files(&self.folder).any(is_foreign) && self.prefixes().next().is_none() {
            return Err(Error::setting(format!(
                "`{}` is no feature cache: it holds other files\nhelp: give an empty or new folder with the setting `cache`",
                self.folder.display()
            )));
        }
        Ok(())
    }

    /// Removes the least recently used prefixes other than `own` and `kept` until `bytes` more fit. False if they do not
    /// fit even then; nothing is removed in that case.
    pub(super) fn make_room(&self, own: &Path, kept: &[PathBuf], bytes: u64) -> Result<bool> {
        let keeps = |folder: &PathBuf| folder == own || kept.contains(folder);
        for folder in self.prefixes() {
            remove_abandoned(&folder);
        }
        let mut prefixes: Vec<(SystemTime, u64, PathBuf)> = self
            .prefixes()
            .map(|folder| (used(&folder), files(&folder).map(|file| size(&file)).sum(), folder))
            .collect();
        let own: u64 = prefixes.iter().filter(|(.., folder)| keeps(folder)).map(|(_, bytes, _)| bytes).sum();
        if own + bytes > self.limit {
            return Ok(false);
        }
        let mut total: u64 = prefixes.iter().map(|(_, bytes, _)| bytes).sum();
        prefixes.sort();
        for (_, freed, folder) in prefixes.iter().filter(|(.., folder)| !keeps(folder)) {
            if total + bytes <= self.limit {
                break;
            }
            remove(folder)?;
            total -= freed;
        }
        Ok(true)
    }

    /// The folders of prefixes. Whatever else lies in the cache's folder is not touched.
    fn prefixes(&self) -> impl Iterator<Item = PathBuf> {
        files(&self.folder).filter(|path| is_prefix(path))
    }

    /// What is in the cache, the most recently used first.
    ///
    /// # Errors
    ///
    /// A description cannot be read.
    pub fn list(&self) -> Result<Vec<PrefixEntry>> {
        let entry = |folder: PathBuf| {
            let about = about(&folder)?;
            let shards = || files(&folder).filter(|file| is_shard(file));
            let vectors = shards().filter_map(|file| Some(alone(file, about.form)?.keys.len())).sum();
            Ok(PrefixEntry {
                name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                bytes: shards().map(|file| size(&file)).sum(),
                used: used(&folder),
                model: about.model,
                boundary: about.boundary,
                vectors,
            })
        };
        let mut entries = self.prefixes().map(entry).collect::<Result<Vec<PrefixEntry>>>()?;
        entries.sort_by(|a, b| b.used.cmp(&a.used).then(a.name.cmp(&b.name)));
        Ok(entries)
    }

    /// Compares every feature vector with its checksum, and removes the files with something wrong in them: their feature vectors are computed
    /// again when they are needed.
    pub fn verify(&self) -> Result<Health> {
        let mut health = Health::default();
        for folder in self.prefixes() {
            remove_abandoned(&folder);
            let form = about(&folder)?.form;
            for file in files(&folder).filter(|file| is_shard(file)) {
                let damaged = match alone(file.clone(), form) {
                    None => {
                        health.unreadable += 1;
                        true
                    }
                    Some(shard) => {
                        let vectors = shard.keys.len();
                        let mut vector = vec![0.0; form.feature_len];
                        let sound = (0..vectors).filter(|index| shard.read(*index, &mut vector)).count();
                        health.sound += sound;
                        health.damaged += vectors - sound;
                        sound < vectors
                    }
                };
                if damaged {
                    fs::remove_file(&file).map_err(|source| Error::io(&file, source))?;
                    health.removed += 1;
                }
            }
        }
        Ok(health)
    }

    /// Removes everything, but what another process is writing. Returns the bytes that are free again.
    pub fn clear(&self) -> Result<u64> {
        let mut freed = remove_abandoned(&self.folder);
        for folder in self.prefixes() {
            freed += remove_abandoned(&folder) + remove(&folder)?;
        }
        Ok(freed)
    }
}

/// What lies in a folder; nothing where there is no folder.
pub(super) fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found.into_iter()
}

/// A shard that is looked at by itself.
fn alone(path: PathBuf, form: Form) -> Option<Shard> {
    Shard::open(path, form, 0, &Arc::default())
}

/// A folder with a key's name and a description in it.
fn is_prefix(path: &Path) -> bool {
    has_key_name(path) && path.join(ABOUT).is_file()
}

fn has_key_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.len() == PrefixKey::NAME_LEN && name.chars().all(|digit| digit.is_ascii_hexdigit())
}

fn is_shard(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == ENDING)
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len())
}

fn used(folder: &Path) -> SystemTime {
    let changed = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    changed(&folder.join(ABOUT)).or_else(|| changed(folder)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The description of a prefix; one that is damaged says nothing, so that its shards are damaged too. One that cannot be read is
/// an error: its shards may be sound.
fn about(folder: &Path) -> Result<About> {
    let file = folder.join(ABOUT);
    let text = fs::read(&file).map_err(|source| Error::io(&file, source))?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Marks a prefix as used now.
pub(super) fn mark_used(folder: &Path) -> Result<()> {
    let failed = |source| Error::io(folder, source);
    let about = fs::File::options().append(true).open(folder.join(ABOUT)).map_err(failed)?;
    about.set_modified(SystemTime::now()).map_err(failed)
}

/// Makes a prefix's folder with its description, where it is not there or has been removed by another process.
pub(super) fn describe(folder: &Path, about: &[u8]) -> Result<()> {
    let file = folder.join(ABOUT);
    if file.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    Ok(write_atomically(&file, about)?)
}

/// Removes what a prefix is made of, and its folder if nothing else is in it. Another process may have been faster, which
/// is as well. Returns the bytes that are free again.
fn remove(folder: &Path) -> Result<u64> {
    let own = files(folder).filter(|file| is_shard(file));
    let mut freed = 0;
    for file in own.chain([folder.join(ABOUT)]) {
        let bytes = size(&file);
        match fs::remove_file(&file) {
            Ok(()) => freed += bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io(&file, source)),
        }
    }
    let _ = fs::remove_dir(folder); // what another has put there stays
    Ok(freed)
}
