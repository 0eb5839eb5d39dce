//! The feature vectors of one boundary, in memory or on disk.

use crate::fit::features::cache::{self, FeatureKey, Form, PrefixKey, StoredFeatures};
use frostline_engine::compile::Frozen;
use frostline_graph::DType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name, image count and keys of one part: training, validation or test images.
#[derive(Clone, Debug)]
pub(in crate::fit) struct Part<'a> {
    pub(in crate::fit) name: &'a str,
    pub(in crate::fit) images: usize,
    pub(in crate::fit) views: usize,
    /// Keys of the first view; empty if nothing is on disk.
    pub(in crate::fit) keys: Vec<FeatureKey>,
}

impl Part<'_> {
    pub(in crate::fit) fn vectors(&self) -> usize {
        self.images * self.views
    }
}

/// Where feature vectors of a part in a view are found.
pub(in crate::fit) struct At<'a> {
    pub(in crate::fit) part: &'a str,
    pub(in crate::fit) view: usize,
    /// By image; empty where nothing is on disk.
    pub(in crate::fit) keys: &'a [FeatureKey],
}

/// The feature vectors of one boundary.
pub(in crate::fit) struct FeatureTable {
    pub(in crate::fit) frozen: Arc<Frozen>,
    pub(in crate::fit) key: PrefixKey,
    pub(in crate::fit) form: Form,
    /// Whether feature vectors are stored.
    pub(in crate::fit) wanted: bool,
    /// Bytes of memory that its parts may use.
    pub(in crate::fit) reserved: u64,
    pub(in crate::fit) vectors: Vectors,
}

pub(in crate::fit) enum Vectors {
    /// By part and view; only parts for which there is room are in it.
    Memory(BTreeMap<String, BTreeMap<usize, Arc<Block>>>),
    Disk(Box<StoredFeatures>),
    /// As if every feature vector were there, and zero: for a probe of what comes after.
    Blank,
}

impl FeatureTable {
    pub(in crate::fit) fn store(&self) -> Option<&StoredFeatures> {
        match &self.vectors {
            Vectors::Disk(store) => Some(store),
            Vectors::Memory(_) | Vectors::Blank => None,
        }
    }

    /// Whether there is room for a part.
    pub(in crate::fit) fn takes(&self, part: &str) -> bool {
        self.wanted
            && match &self.vectors {
                Vectors::Memory(parts) => parts.contains_key(part),
                Vectors::Disk(store) => store.refusal().is_none(),
                Vectors::Blank => true,
            }
    }

    /// Whether a feature vector is there. One on disk may turn out to be damaged.
    pub(in crate::fit) fn has(&self, at: &At<'_>, index: usize) -> bool {
        match &self.vectors {
            Vectors::Memory(parts) => parts.get(at.part).is_some_and(|views| views.contains_key(&at.view)),
            Vectors::Disk(store) => at.keys.get(index).is_some_and(|key| store.contains(key)),
            Vectors::Blank => true,
        }
    }

    /// Reads a feature vector. False if it is missing or damaged.
    pub(in crate::fit) fn read(&self, at: &At<'_>, index: usize, vector: &mut [f32]) -> bool {
        match &self.vectors {
            Vectors::Memory(parts) => {
                let found = parts.get(at.part).and_then(|views| views.get(&at.view));
                found.is_some_and(|vectors| {
                    vectors.read(index * vector.len(), vector);
                    true
                })
            }
            Vectors::Disk(store) => at.keys.get(index).is_some_and(|key| store.read(key, vector)),
            Vectors::Blank => {
                vector.fill(0.0);
                true
            }
        }
    }

    /// Where the feature vectors of a part in a view are, to be read on another thread.
    pub(in crate::fit) fn located(&self, at: &At<'_>) -> Located {
        match &self.vectors {
            Vectors::Memory(parts) => {
                Located::Memory(parts.get(at.part).and_then(|views| views.get(&at.view)).cloned())
            }
            Vectors::Disk(store) => Located::Disk(store.located(at.keys)),
            Vectors::Blank => Located::Blank,
        }
    }

    /// Keeps all feature vectors of a part in a view in memory.
    pub(in crate::fit) fn put(&mut self, at: &At<'_>, all: Vec<f32>) {
        if let Vectors::Memory(parts) = &mut self.vectors
            && let Some(views) = parts.get_mut(at.part)
        {
            views.insert(at.view, Arc::new(Block::new(all, self.form.dtype)));
        }
    }

    /// Stores feature vectors on disk. Returns whether they are stored.
    pub(in crate::fit) fn append<'a>(
        &mut self,
        keys: &[FeatureKey],
        vectors: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> bool {
        match &mut self.vectors {
            Vectors::Disk(store) => store.append(keys, vectors),
            Vectors::Memory(_) | Vectors::Blank => true,
        }
    }
}

/// Feature vectors of a part in a view, by image.
pub(in crate::fit) enum Located {
    /// None of them, or all.
    Memory(Option<Arc<Block>>),
    Disk(cache::Located),
    /// See [`Vectors::Blank`].
    Blank,
}

impl Located {
    /// Prefetches a feature vector.
    pub(in crate::fit) fn prefetch(&self, index: usize) {
        if let Self::Disk(vectors) = self {
            vectors.prefetch(index);
        }
    }

    /// Reads a feature vector. False if it is missing or damaged.
    pub(in crate::fit) fn read(&self, index: usize, vector: &mut [f32]) -> bool {
        match self {
            Self::Memory(None) => false,
            Self::Memory(Some(vectors)) => {
                vectors.read(index * vector.len(), vector);
                true
            }
            Self::Disk(vectors) => vectors.read(index, vector),
            Self::Blank => {
                vector.fill(0.0);
                true
            }
        }
    }
}

/// Feature vectors in memory.
pub(in crate::fit) enum Block {
    F32(Vec<f32>),
    /// The upper 16 bits of each f32.
    Bf16(Vec<u16>),
}

impl Block {
    fn new(vectors: Vec<f32>, element: DType) -> Self {
        match element {
            DType::F32 | DType::Int8 => Self::F32(vectors),
            DType::Bf16 => Self::Bf16(vectors.iter().map(|value| (value.to_bits() >> 16) as u16).collect()),
        }
    }

    fn read(&self, start: usize, vector: &mut [f32]) {
        match self {
            Self::F32(vectors) => vector.copy_from_slice(&vectors[start..][..vector.len()]),
            Self::Bf16(vectors) => {
                let upper = vectors[start..].iter().map(|half| f32::from_bits(u32::from(*half) << 16));
                vector.iter_mut().zip(upper).for_each(|(value, stored)| *value = stored);
            }
        }
    }
}
