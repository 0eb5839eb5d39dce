//! The rows of one prefix.

use super::shard::{self, ENDING, Form, Shard};
use super::{FeatureCache, RowKey};
use crate::Result;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The rows of one prefix, open for reading and for more.
#[derive(Debug)]
pub struct Store {
    cache: FeatureCache,
    folder: PathBuf,
    about: Vec<u8>,
    form: Form,
    shards: Vec<Shard>,
    rows: HashMap<RowKey, Row>,
    is_full: bool,
    /// The folders that are not removed to make room: those of the job's other boundaries.
    kept: Vec<PathBuf>,
}

/// Where a row is; several places where two processes computed it, or where one was found to be damaged.
#[derive(Debug, Default)]
struct Row {
    places: SmallVec<[(u32, u32); 1]>,
    /// Whether the first place has been compared with its checksum.
    is_checked: AtomicBool,
}

impl Store {
    /// Opens what there is of a prefix.
    pub(super) fn open(cache: &FeatureCache, folder: PathBuf, about: Vec<u8>, form: Form) -> Self {
        let (cache, shards, rows) = (cache.clone(), Vec::new(), HashMap::new());
        let mut store = Self { cache, folder, about, form, shards, rows, is_full: false, kept: Vec::new() };
        for path in super::folder::files(&store.folder) {
            if path.extension().is_some_and(|ending| ending == ENDING)
                && let Some(shard) = Shard::open(&path, form)
            {
                store.add(shard);
            }
        }
        store
    }

    fn add(&mut self, shard: Shard) {
        let number = self.shards.len() as u32;
        for (index, key) in shard.keys.iter().enumerate() {
            self.rows.entry(*key).or_default().places.push((number, index as u32));
        }
        self.shards.push(shard);
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the cache has turned out to be too small for more rows.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// These folders are not removed to make room for more rows here.
    pub(crate) fn keep(&mut self, folders: &[PathBuf]) {
        self.kept = folders.to_vec();
    }

    /// Marks the prefix as used now.
    pub(crate) fn mark_used(&self) -> Result<()> {
        super::folder::describe(&self.folder, &self.about)?;
        super::folder::mark_used(&self.folder)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True for a prefix of which nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether there is such a row. It may still turn out to be damaged.
    pub fn contains(&self, key: &RowKey) -> bool {
        self.rows.contains_key(key)
    }

    /// Reads a row of `row_len` values. False if it is missing or damaged: it has to be computed.
    pub fn read(&self, key: &RowKey, row: &mut [f32]) -> bool {
        let Some(found) = self.rows.get(key) else { return false };
        let place = |(shard, index): (u32, u32)| (&self.shards[shard as usize], index as usize);
        if found.is_checked.load(Ordering::Relaxed) {
            let (shard, index) = place(found.places[0]);
            return shard.read(index, row);
        }
        for (position, at) in found.places.iter().enumerate() {
            let (shard, index) = place(*at);
            if shard.read_checked(index, row) {
                found.is_checked.store(position == 0, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Stores a row of `row_len` values for each key, of numbers that the form of the rows can hold. They are not stored
    /// where the cache is too small for them, even when all other prefixes have gone; returns whether they are.
    pub fn append<'a>(
        &mut self,
        keys: &[RowKey],
        rows: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<bool> {
        if keys.is_empty() {
            return Ok(true);
        }
        self.is_full = self.is_full
            || !self.cache.make_room(&self.folder, &self.kept, (keys.len() * self.form.bytes()) as u64)?;
        if self.is_full {
            return Ok(false);
        }
        super::folder::describe(&self.folder, &self.about)?;
        let path = shard::write(&self.folder, keys, rows, self.form)?;
        if let Some(shard) = Shard::open(&path, self.form) {
            self.add(shard);
        }
        Ok(true)
    }
}
