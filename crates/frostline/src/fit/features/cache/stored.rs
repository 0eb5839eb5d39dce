//! The feature vectors of one prefix.

use super::open_files::OpenFiles;
use super::shard::{self, ENDING, Form, Shard};
use super::{FeatureCache, FeatureKey};
use frostline_graph::Result;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The feature vectors of one prefix, open for reading and for more.
#[derive(Debug)]
pub struct StoredFeatures {
    cache: FeatureCache,
    folder: PathBuf,
    about: Vec<u8>,
    form: Form,
    files: Arc<OpenFiles>,
    shards: Vec<Arc<Shard>>,
    vectors: HashMap<FeatureKey, Places>,
    /// Why nothing more is stored, once something was not.
    refusal: Option<String>,
    /// The folders that are not removed to make room: those of the job's other boundaries.
    kept: Vec<PathBuf>,
}

const TOO_SMALL: &str = "the feature cache is too small for these features, which are computed again when they are needed; raise the setting `cache-limit`";

/// Where a feature vector is; in several places where two processes computed it, or where one was found to be damaged.
type Places = SmallVec<[(u32, u32); 1]>;

impl StoredFeatures {
    /// Opens what there is of a prefix.
    pub(super) fn open(cache: &FeatureCache, folder: PathBuf, about: Vec<u8>, form: Form) -> Self {
        let (cache, files) = (cache.clone(), Arc::default());
        let (shards, vectors, kept) = (Vec::new(), HashMap::new(), Vec::new());
        let mut store = Self { cache, folder, about, form, files, shards, vectors, refusal: None, kept };
        for path in super::folder::files(&store.folder) {
            if path.extension().is_some_and(|ending| ending == ENDING) {
                store.add(path);
            }
        }
        store
    }

    /// Adds what is in a shard, if it is one.
    fn add(&mut self, path: PathBuf) {
        let number = self.shards.len() as u32;
        let Some(shard) = Shard::open(path, self.form, number, &self.files) else { return };
        for (index, key) in shard.keys.iter().enumerate() {
            self.vectors.entry(*key).or_default().push((number, index as u32));
        }
        self.shards.push(Arc::new(shard));
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Why no more feature vectors are stored: the cache is too small for them, or could not be written to.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// These folders are not removed to make room for more feature vectors here.
    pub(crate) fn keep(&mut self, folders: &[PathBuf]) {
        self.kept = folders.to_vec();
    }

    /// Marks the prefix as used now. Where that cannot be written, it goes earlier when the cache is full.
    pub(crate) fn mark_used(&self) {
        let described = super::folder::describe(&self.folder, &self.about);
        let _ = described.and_then(|()| super::folder::mark_used(&self.folder));
    }

    /// How many feature vectors there are.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// True for a prefix of which nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// Whether there is such a feature vector. It may still turn out to be damaged.
    pub fn contains(&self, key: &FeatureKey) -> bool {
        self.vectors.contains_key(key)
    }

    /// Reads a feature vector of `feature_len` values. False if it is missing or damaged: it has to be computed, and `vector` may hold
    /// anything.
    pub fn read(&self, key: &FeatureKey, vector: &mut [f32]) -> bool {
        self.places(key).any(|(shard, index)| shard.read(index, vector))
    }

    fn places(&self, key: &FeatureKey) -> impl Iterator<Item = (&Arc<Shard>, usize)> {
        let places = self.vectors.get(key).into_iter().flatten();
        places.map(|(shard, index)| (&self.shards[*shard as usize], *index as usize))
    }

    /// Where these feature vectors are, one after the other, to be read on another thread while more feature vectors are stored here.
    pub(crate) fn located(&self, keys: &[FeatureKey]) -> Located {
        let last = |key| self.places(key).last().map(|(shard, index)| (shard.clone(), index));
        Located(keys.iter().map(last).collect())
    }

    /// Stores a feature vector of `feature_len` values for each key, of numbers that the form of the feature vectors can hold. They are not stored
    /// where the cache is too small for them, even when all other prefixes have gone, nor where it cannot be written to; returns
    /// whether they are. A cache is a help, and no reason to stop.
    pub fn append<'a>(
        &mut self,
        keys: &[FeatureKey],
        vectors: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> bool {
        if keys.is_empty() || self.refusal.is_some() {
            return self.refusal.is_none();
        }
        match self.write(keys, vectors) {
            Ok(Some(path)) => self.add(path),
            Ok(None) => self.refusal = Some(TOO_SMALL.to_owned()),
            Err(error) => {
                let what = error.what();
                self.refusal = Some(format!(
                    "the feature cache `{}` cannot be written to ({what}): these features are computed again when they are needed; {}",
                    self.cache.folder.display(),
                    error.help().unwrap_or("give another folder with the setting `cache`")
                ));
            }
        }
        self.refusal.is_none()
    }

    /// Writes a shard, where there is room for it.
    fn write<'a>(
        &self,
        keys: &[FeatureKey],
        vectors: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Option<PathBuf>> {
        if !self.cache.make_room(&self.folder, &self.kept, (keys.len() * self.form.bytes()) as u64)? {
            return Ok(None);
        }
        super::folder::describe(&self.folder, &self.about)?;
        shard::write(&self.folder, keys, vectors, self.form).map(Some)
    }
}

/// Feature vectors of a [`StoredFeatures`], by position.
pub(crate) struct Located(Vec<Option<(Arc<Shard>, usize)>>);

impl Located {
    /// A feature vector will be read soon.
    pub(crate) fn prefetch(&self, position: usize) {
        if let Some((shard, index)) = &self.0[position] {
            shard.prefetch(*index);
        }
    }

    /// Reads a feature vector. False if it is missing or damaged.
    pub(crate) fn read(&self, position: usize, vector: &mut [f32]) -> bool {
        self.0[position].as_ref().is_some_and(|(shard, index)| shard.read(*index, vector))
    }
}
