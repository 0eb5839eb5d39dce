//! The feature vectors that a suffix trains on: what comes out of the frozen prefix, computed once and kept, or computed again
//! where there is no room. A feature vector depends on its image and its view alone, so both give the same bits.

use crate::fit::features::cache::FeatureKey;
use crate::fit::features::feature_store::{BoundaryId, FeatureStore};
use crate::fit::features::feature_table::{At, Located, Part};
use crate::fit::train::observe::counter;
use crate::fit::{Event, Observer, Setting};
use frostline_data::{DataError, Dataset, Example, Pipeline, ViewSeed};
use frostline_graph::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Bytes of feature vectors that are computed and written at a time.
pub(in crate::fit) const SHARD: usize = 64 << 20;

/// How many images are computed and written at a time, whose feature vectors at all boundaries that are made have so many values.
pub(in crate::fit) fn images_at_once(width: usize) -> usize {
    (SHARD / (4 * width).max(1)).max(1)
}

/// Examples and how they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Where the examples come from.
    pub dataset: &'a Dataset,
    /// Decode, resize, augment, preprocess.
    pub pipeline: &'a Pipeline,
}

/// Random views of each image: the seed that draws them, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fit) struct Views {
    pub(in crate::fit) seed: u64,
    pub(in crate::fit) count: usize,
}

impl Views {
    /// Of the training images, where the pipeline augments.
    pub(in crate::fit) fn of(source: Source<'_>, setting: &Setting) -> Option<Self> {
        let augments = !source.pipeline.augment.is_identity();
        augments.then_some(Self { seed: setting.seed, count: setting.config.views })
    }
}

/// The feature vectors of one list of examples.
pub(in crate::fit) struct Features<'a> {
    source: Source<'a>,
    examples: &'a [Example],
    part: &'a str,
    views: Option<Views>,
    /// Whether feature vectors are found by the images' content.
    by_content: bool,
    /// By view; empty until it is needed.
    keys: Vec<Vec<FeatureKey>>,
}

/// The pass that makes feature vectors, and where they go.
struct Work<'a> {
    targets: &'a [BoundaryId],
    indices: &'a [usize],
    view: usize,
}

impl<'a> Features<'a> {
    /// Of `examples`, in views or as they are. `by_content`: some feature vectors are on disk.
    pub(in crate::fit) fn new(
        source: Source<'a>,
        examples: &'a [Example],
        part: &'a str,
        views: Option<Views>,
        by_content: bool,
    ) -> Self {
        let keys = vec![Vec::new(); views.map_or(1, |views| views.count.max(1))];
        Self { source, examples, part, views, by_content, keys }
    }

    /// What the store has to know of it.
    pub(in crate::fit) fn part(&mut self, store: &mut FeatureStore) -> Result<Part<'a>> {
        self.find_keys(store, 0)?;
        Ok(Part {
            name: self.part,
            images: self.examples.len(),
            views: self.keys.len(),
            keys: self.keys[0].clone(),
        })
    }

    /// How many of the stage's feature vectors of each view are kept.
    pub(in crate::fit) fn kept(&self, store: &FeatureStore) -> Vec<usize> {
        let vectors = |view: usize| {
            (0..self.examples.len()).filter(move |index| store.has(BoundaryId::OWN, &self.at(view), *index))
        };
        (0..self.keys.len()).map(|view| vectors(view).count()).collect()
    }

    /// How many feature vectors there are in all views, and how many of them have to be computed.
    pub(in crate::fit) fn vectors(&mut self, store: &mut FeatureStore) -> Result<(usize, usize)> {
        let mut missing = 0;
        for view in 0..self.keys.len() {
            self.find_keys(store, view)?;
            let at = self.at(view);
            missing +=
                (0..self.examples.len()).filter(|index| !store.has(BoundaryId::OWN, &at, *index)).count();
        }
        Ok((self.keys.len() * self.examples.len(), missing))
    }

    /// Computes the feature vectors of an epoch's view that are to be stored and are not there yet, at the stage's boundary and at
    /// those of later stages: one pass makes all that an image lacks.
    pub(in crate::fit) fn prepare(
        &mut self,
        store: &mut FeatureStore,
        epoch: usize,
        observe: Observer<'_>,
    ) -> Result<()> {
        let view = self.view(epoch);
        let wanted = store.stored(self.part);
        if self.examples.is_empty() || wanted.is_empty() {
            return Ok(());
        }
        self.find_keys(store, view)?;
        let at = self.at(view);
        let mut seen = HashSet::new();
        let mut groups: BTreeMap<Vec<BoundaryId>, Vec<usize>> = BTreeMap::new();
        for index in 0..self.examples.len() {
            let lacks = |table: &BoundaryId| {
                !store.has(*table, &at, index)
                    && at
                        .keys
                        .get(index)
                        .is_none_or(|key| store.is_memory(*table) || seen.insert((*table, *key)))
            };
            let lacking: Vec<BoundaryId> = wanted.iter().copied().filter(lacks).collect();
            if !lacking.is_empty() {
                groups.entry(lacking).or_default().push(index);
            }
        }
        let in_memory = wanted.iter().filter(|table| store.is_memory(**table) && !store.has(**table, &at, 0));
        let len = |table: BoundaryId| self.examples.len() * store.feature_len(table);
        let mut all: BTreeMap<BoundaryId, Vec<f32>> =
            in_memory.map(|table| (*table, vec![0.0; len(*table)])).collect();
        for (targets, indices) in &groups {
            if let ([only], true) = (targets.as_slice(), indices.len() == self.examples.len())
                && let Some(vectors) = all.get_mut(only)
            {
                let told = counter(self.part, indices.len(), observe);
                self.compute(store, targets, indices, view, vectors, &told)?;
                continue;
            }
            self.make(store, Work { targets, indices, view }, &mut all, observe)?;
        }
        all.into_iter().for_each(|(table, vectors)| store.put(table, &at, vectors));
        store.rest(self.part);
        Ok(())
    }

    /// Makes feature vectors and stores them: on disk, and in `all` those that are kept in memory.
    fn make(
        &self,
        store: &mut FeatureStore,
        work: Work<'_>,
        all: &mut BTreeMap<BoundaryId, Vec<f32>>,
        observe: Observer<'_>,
    ) -> Result<()> {
        let Work { targets, indices, view } = work;
        let at = self.at(view);
        let width: usize = targets.iter().map(|target| store.feature_len(*target)).sum();
        let told = counter(self.part, indices.len(), observe);
        for chunk in indices.chunks(images_at_once(width)) {
            let mut vectors = vec![0.0; chunk.len() * width];
            let lens = self.compute(store, targets, chunk, view, &mut vectors, &told)?;
            let mut is_stored = true;
            for (position, target) in targets.iter().enumerate() {
                let own = column(&vectors, &lens, position);
                if let Some(all) = all.get_mut(target) {
                    for (index, vector) in chunk.iter().zip(own) {
                        all[index * vector.len()..][..vector.len()].copy_from_slice(vector);
                    }
                    continue;
                }
                let keys: Vec<FeatureKey> = chunk.iter().map(|index| at.keys[*index]).collect();
                is_stored &= store.append(*target, &keys, own);
            }
            if !is_stored {
                targets
                    .iter()
                    .find_map(|target| store.refusal(*target))
                    .into_iter()
                    .for_each(|why| observe(&Event::Note(why)));
                // what else the pass makes is made again when it is needed
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where the stage's feature vectors in an epoch's view are.
    pub(in crate::fit) fn located(&mut self, store: &mut FeatureStore, epoch: usize) -> Result<Located> {
        let view = self.view(epoch);
        self.find_keys(store, view)?;
        Ok(store.located(BoundaryId::OWN, &self.at(view)))
    }

    /// Computes those of the stage's feature vectors of these examples in an epoch's view, `[indices, feature_len]`, that are missing.
    pub(in crate::fit) fn complete(
        &mut self,
        store: &mut FeatureStore,
        indices: &[usize],
        epoch: usize,
        missing: &[usize],
        vectors: &mut [f32],
    ) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let (view, feature_len) = (self.view(epoch), store.feature_len(BoundaryId::OWN));
        let wanted: Vec<usize> = missing.iter().map(|position| indices[*position]).collect();
        if wanted.len() == indices.len() {
            self.compute(store, &[BoundaryId::OWN], &wanted, view, vectors, &|| {})?;
            return self.mend(store, &wanted, view, vectors);
        }
        let mut computed = vec![0.0; wanted.len() * feature_len];
        self.compute(store, &[BoundaryId::OWN], &wanted, view, &mut computed, &|| {})?;
        for (position, vector) in missing.iter().zip(computed.chunks_exact(feature_len.max(1))) {
            vectors[position * feature_len..][..feature_len].copy_from_slice(vector);
        }
        self.mend(store, &wanted, view, &computed)
    }

    /// Stores feature vectors of the stage in the place of those that were damaged.
    fn mend(&self, store: &mut FeatureStore, indices: &[usize], view: usize, vectors: &[f32]) -> Result<()> {
        let feature_len = store.feature_len(BoundaryId::OWN);
        if store.stored(self.part).first() == Some(&BoundaryId::OWN) && !store.is_memory(BoundaryId::OWN) {
            let keys: Vec<FeatureKey> = indices.iter().map(|index| self.keys[view][*index]).collect();
            store.append(BoundaryId::OWN, &keys, vectors.chunks_exact(feature_len.max(1)));
        }
        Ok(())
    }

    fn view(&self, epoch: usize) -> usize {
        epoch % self.keys.len()
    }

    fn at(&self, view: usize) -> At<'_> {
        At { part: self.part, view, keys: &self.keys[view] }
    }

    /// Finds the keys of all feature vectors of a view.
    fn find_keys(&mut self, store: &mut FeatureStore, view: usize) -> Result<()> {
        if !self.by_content || self.keys[view].len() == self.examples.len() {
            return Ok(());
        }
        let Source { dataset, pipeline } = self.source;
        let contents = match store.contents.get(self.part) {
            Some(contents) => contents,
            None => {
                let contents = self.examples.par_iter().map(|example| dataset.content_hash(example));
                let contents = contents.collect::<Result<_, DataError>>()?;
                store.contents.entry(self.part.to_owned()).or_insert(contents)
            }
        };
        let key = |(example, content): (&Example, &blake3::Hash)| {
            // what `Pipeline::load` draws a view from
            let drawn = self.views.map(|views| {
                let (augment, range) = (&pipeline.augment, dataset.value_range());
                format!("{augment:?} {range:?} {} {view} {}", views.seed, example.name)
            });
            FeatureKey::new(content, drawn.as_deref())
        };
        self.keys[view] = self.examples.iter().zip(contents).map(key).collect();
        Ok(())
    }

    /// Computes the feature vectors of these examples at the boundaries `targets`, one after the other: `vectors` is
    /// `[indices, sum of their lengths]`. Returns their lengths.
    fn compute(
        &self,
        store: &mut FeatureStore,
        targets: &[BoundaryId],
        indices: &[usize],
        view: usize,
        vectors: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Result<Vec<usize>> {
        let at = self.at(view);
        let lens = targets.iter().map(|target| store.feature_len(*target)).collect();
        let is_there = |store: &FeatureStore, table: BoundaryId| {
            indices.iter().all(|index| store.has(table, &at, *index))
        };
        let (start, pass) = store.pass(targets, is_there);
        if let Some(start) = start {
            let read =
                |position: usize, vector: &mut [f32]| store.read(start, &at, indices[position], vector);
            if pass.run_vectors(store.feature_len(start), read, &store.pixels, vectors) {
                indices.iter().for_each(|_| told());
                return Ok(lens);
            }
        }
        // a feature vector that it could start from may be damaged
        let (_, pass) = store.pass(targets, |_, _| false);
        let seed = self.views.map(|views| ViewSeed { seed: views.seed, view: view as u64 });
        let examples: Vec<&Example> = indices.iter().map(|index| &self.examples[*index]).collect();
        let loaded = pass.run_images(self.source, &examples, seed, &store.pixels, vectors, told);
        loaded.into_iter().collect::<std::result::Result<(), DataError>>()?;
        Ok(lens)
    }
}

/// The feature vectors of one boundary, out of those of several that come one after the other.
pub(in crate::fit) fn column<'a>(
    vectors: &'a [f32],
    lens: &[usize],
    position: usize,
) -> impl Iterator<Item = &'a [f32]> + Clone {
    let (width, start) = (lens.iter().sum::<usize>().max(1), lens[..position].iter().sum::<usize>());
    let own = start..start + lens[position];
    vectors.chunks_exact(width).map(move |vector| &vector[own.clone()])
}
