//! The feature vectors of a job: those of the boundary that trains now, and of later stages' boundaries that one pass over the images
//! makes with them.

use crate::fit::Source;
use crate::fit::config::caching::Caching;
use crate::fit::features::ahead::{Ahead, UNLIKELY, candidates, first_stage};
use crate::fit::features::cache::{FeatureKey, Form, PrefixKey, StoredFeatures};
use crate::fit::features::choice::{Choice, Costs, Need, choose};
use crate::fit::features::feature_table::{At, FeatureTable, Located, Part, Vectors};
use crate::fit::features::pass::{Pass, feature_dtype, is_exact};
use frostline_engine::Pool;
use frostline_engine::compile::{Frozen, Prefixes};
use frostline_graph::{DType, Model, PrefixDType, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A boundary whose feature vectors a [`FeatureStore`] may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fit) struct BoundaryId(usize);

impl BoundaryId {
    /// The boundary of the stage that trains now.
    pub(in crate::fit) const OWN: Self = Self(0);
}

/// All feature vectors that a job keeps.
pub(in crate::fit) struct FeatureStore {
    caching: Caching,
    /// If true, every feature vector is treated as stored and all zeros, for dry runs.
    is_blank: bool,
    /// What feature vectors are stored in; by default f32, and bf16 where that holds the same numbers.
    features: Option<DType>,
    /// The first is that of the stage that trains now.
    tables: Vec<FeatureTable>,
    /// Frozen layers that were compiled before the first stage begins.
    known: Prefixes,
    /// Bytes of memory that may still be used.
    left: u64,
    passes: BTreeMap<(Vec<BoundaryId>, Option<BoundaryId>), Arc<Pass>>,
    /// The hashes of the images of each part.
    pub(in crate::fit) contents: BTreeMap<String, Vec<blake3::Hash>>,
    pub(in crate::fit) pixels: Pool<Vec<f32>>,
}

/// What a [`FeatureStore`] is told when a stage begins.
pub(in crate::fit) struct Begin<'a> {
    pub(in crate::fit) model: &'a Model,
    pub(in crate::fit) numbers: &'a PrefixDType,
    pub(in crate::fit) source: Source<'a>,
    pub(in crate::fit) parts: &'a [Part<'a>],
    /// The stages from this one on, if they are known.
    pub(in crate::fit) ahead: &'a [Ahead],
}

impl FeatureStore {
    pub(in crate::fit) fn new(caching: &Caching, features: Option<DType>) -> Self {
        let left = match caching {
            Caching::Nothing => 0,
            Caching::Memory(limit) => *limit,
            Caching::Disk(_) => Caching::MEMORY,
        };
        Self {
            caching: caching.clone(),
            is_blank: false,
            features,
            tables: Vec::new(),
            known: Prefixes::default(),
            left,
            passes: BTreeMap::new(),
            contents: BTreeMap::new(),
            pixels: Pool::default(),
        }
    }

    /// As if every feature vector were stored, and zero.
    pub(in crate::fit) fn blank(features: Option<DType>) -> Self {
        Self { is_blank: true, ..Self::new(&Caching::default(), features) }
    }

    /// The same, where frozen layers are compiled already.
    pub(in crate::fit) fn knowing(self, known: Prefixes) -> Self {
        Self { known, ..self }
    }

    /// Frozen layers that are compiled: before the first stage begins those that were given, then those below the boundaries
    /// that it keeps.
    pub(in crate::fit) fn prefixes(&self) -> Prefixes {
        let own: Prefixes = self.tables.iter().map(|table| table.frozen.clone()).collect();
        own.and(self.known.clone())
    }

    /// Whether feature vectors may be on disk, where they are found by the images' content.
    pub(in crate::fit) fn is_on_disk(&self) -> bool {
        matches!(self.caching, Caching::Disk(_))
    }

    /// A stage begins whose frozen layers are `own`: what earlier stages needed alone is given up, and which feature vectors the
    /// next pass makes is decided.
    pub(in crate::fit) fn begin(&mut self, own: Arc<Frozen>, begin: &Begin<'_>) -> Result<()> {
        let known = std::mem::take(&mut self.known).and(self.prefixes());
        self.passes.clear();
        let mut old = std::mem::take(&mut self.tables);
        self.add(own, begin, &mut old)?;
        let mut needs = vec![Need { boundary: 0, epochs: self.epochs(begin), chance: 1.0 }];
        if self.caching != Caching::Nothing {
            let now = begin.ahead.first().map_or(1.0, |stage| stage.chance);
            for (index, stage) in begin.ahead.iter().enumerate().skip(1) {
                let chance = stage.chance / now;
                if chance < UNLIKELY {
                    break;
                }
                let shape = begin.source.pipeline.input().to_vec();
                let frozen = known.compile_frozen(begin.numbers, begin.model, &stage.freeze, &[shape])?;
                if first_stage(&frozen, begin.ahead, index) > 0 {
                    continue; // something below it trains before it is needed
                }
                let boundary = self.add(frozen, begin, &mut old)?;
                needs.push(Need { boundary: boundary.0, epochs: stage.epochs as f64, chance });
            }
        }
        self.left += old.iter().map(|table| table.reserved).sum::<u64>();
        self.decide(&needs, begin)?;
        self.reserve(begin.parts);
        Ok(())
    }

    fn epochs(&self, begin: &Begin<'_>) -> f64 {
        begin.ahead.first().map_or(1.0, |stage| stage.epochs as f64)
    }

    /// The table of a boundary, as it was if it is known.
    fn add(
        &mut self,
        frozen: Arc<Frozen>,
        begin: &Begin<'_>,
        old: &mut Vec<FeatureTable>,
    ) -> Result<BoundaryId> {
        let dtype = feature_dtype(&frozen, self.features);
        let key = PrefixKey::new(&frozen, dtype, begin.source.pipeline);
        if let Some(found) = self.tables.iter().position(|table| table.key == key) {
            return Ok(BoundaryId(found));
        }
        let is_own = self.tables.is_empty();
        let (form, name) = (Form { feature_len: frozen.feature_len(), dtype }, &begin.model.graph.name);
        let table = match old.iter().position(|table| table.key == key) {
            Some(found) => {
                let table = old.swap_remove(found);
                if let (true, Vectors::Disk(store)) = (is_own, &table.vectors) {
                    store.mark_used();
                }
                table
            }
            None => {
                let vectors = match &self.caching {
                    _ if self.is_blank => Vectors::Blank,
                    Caching::Disk(cache) if !frozen.is_identity() => {
                        let store = match is_own {
                            true => cache.open(key, form, name, frozen.boundary())?,
                            false => cache.look(key, form, name, frozen.boundary())?,
                        };
                        Vectors::Disk(Box::new(store))
                    }
                    _ => Vectors::Memory(BTreeMap::new()),
                };
                FeatureTable { frozen, key, form, wanted: false, reserved: 0, vectors }
            }
        };
        self.tables.push(table);
        Ok(BoundaryId(self.tables.len() - 1))
    }

    /// Decides what is stored. What is not is forgotten, but for the first.
    fn decide(&mut self, needs: &[Need], begin: &Begin<'_>) -> Result<()> {
        self.tables[0].wanted = self.caching != Caching::Nothing;
        if self.tables.len() == 1 {
            return Ok(());
        }
        let choice = self.choose(needs, begin)?;
        for (table, stored) in self.tables.iter_mut().zip(&choice.stored) {
            table.wanted = *stored;
        }
        // the first is stored, if there is room, unless its feature vectors come cheaper from lower ones
        self.tables[0].wanted |= choice.start[0].is_none();
        let others = self.tables.split_off(1);
        let (wanted, given_up): (Vec<_>, Vec<_>) = others.into_iter().partition(|table| table.wanted);
        self.left += given_up.iter().map(|table| table.reserved).sum::<u64>();
        self.tables.extend(wanted);
        let folders: Vec<_> = self.stores().map(|store| store.folder().to_owned()).collect();
        for table in &mut self.tables {
            if let Vectors::Disk(store) = &mut table.vectors {
                store.keep(&folders);
            }
        }
        Ok(())
    }

    fn stores(&self) -> impl Iterator<Item = &StoredFeatures> {
        self.tables.iter().filter_map(FeatureTable::store)
    }

    fn choose(&mut self, needs: &[Need], begin: &Begin<'_>) -> Result<Choice> {
        let costs = Costs::typical(begin.source.dataset, &self.caching);
        let frozen: Vec<&Frozen> = self.tables.iter().map(|table| &*table.frozen).collect();
        let vectors: usize = begin.parts.iter().map(Part::vectors).sum();
        let mut candidates = candidates(&frozen, vectors, self.features);
        for (index, candidate) in candidates.iter_mut().enumerate() {
            let missing = begin.parts.iter().map(|part| self.missing(BoundaryId(index), part) * part.views);
            candidate.missing = missing.sum::<usize>() as f64;
        }
        Ok(choose(needs, &candidates, costs, self.limit() as f64))
    }

    /// Bytes of feature vectors that may be kept.
    pub(in crate::fit) fn limit(&self) -> u64 {
        let used: u64 = self.tables.iter().map(|table| table.reserved).sum();
        match &self.caching {
            Caching::Disk(cache) => cache.limit,
            _ => self.left + used,
        }
    }

    /// How many feature vectors of a boundary are missing, and whether they would be kept in memory.
    pub(in crate::fit) fn survey(&mut self, frozen: Arc<Frozen>, begin: &Begin<'_>) -> Result<(usize, bool)> {
        let boundary = self.add(frozen, begin, &mut Vec::new())?;
        let missing = begin.parts.iter().map(|part| self.missing(boundary, part) * part.views).sum();
        Ok((missing, self.is_memory(boundary)))
    }

    /// Takes memory for the parts of the boundaries that are kept in it, the smaller part first: validation images are few
    /// and are needed in every epoch.
    fn reserve(&mut self, parts: &[Part<'_>]) {
        for table in self.tables.iter_mut().filter(|table| table.wanted) {
            let Vectors::Memory(kept) = &mut table.vectors else { continue };
            for part in parts {
                let bytes = (table.form.bytes() * part.vectors()) as u64;
                if !kept.contains_key(part.name) && bytes <= self.left {
                    self.left -= bytes;
                    table.reserved += bytes;
                    kept.insert(part.name.to_owned(), BTreeMap::new());
                }
            }
        }
    }

    /// The boundaries whose feature vectors of a part are stored; the first is that of the stage.
    pub(in crate::fit) fn stored(&self, part: &str) -> Vec<BoundaryId> {
        (0..self.tables.len()).filter(|index| self.tables[*index].takes(part)).map(BoundaryId).collect()
    }

    /// The length of a feature vector of a boundary.
    pub(in crate::fit) fn feature_len(&self, boundary: BoundaryId) -> usize {
        self.tables[boundary.0].form.feature_len
    }

    /// The bytes of a feature vector of a boundary, as it is stored.
    pub(in crate::fit) fn feature_bytes_each(&self, boundary: BoundaryId) -> usize {
        self.tables[boundary.0].form.bytes()
    }

    /// Feature vectors of a part that are not there, by its first view.
    fn missing(&self, boundary: BoundaryId, part: &Part<'_>) -> usize {
        let at = At { part: part.name, view: 0, keys: &part.keys };
        (0..part.images).filter(|index| !self.has(boundary, &at, *index)).count()
    }

    /// See [`FeatureTable::has`].
    pub(in crate::fit) fn has(&self, boundary: BoundaryId, at: &At<'_>, index: usize) -> bool {
        self.tables[boundary.0].has(at, index)
    }

    /// See [`FeatureTable::read`].
    pub(in crate::fit) fn read(
        &self,
        boundary: BoundaryId,
        at: &At<'_>,
        index: usize,
        vector: &mut [f32],
    ) -> bool {
        self.tables[boundary.0].read(at, index, vector)
    }

    /// See [`FeatureTable::located`].
    pub(in crate::fit) fn located(&self, boundary: BoundaryId, at: &At<'_>) -> Located {
        self.tables[boundary.0].located(at)
    }

    /// Whether a boundary's feature vectors are kept in memory, where all of a part come at once.
    pub(in crate::fit) fn is_memory(&self, boundary: BoundaryId) -> bool {
        self.tables[boundary.0].store().is_none()
    }

    /// See [`FeatureTable::put`].
    pub(in crate::fit) fn put(&mut self, boundary: BoundaryId, at: &At<'_>, all: Vec<f32>) {
        self.tables[boundary.0].put(at, all);
    }

    /// See [`FeatureTable::append`].
    pub(in crate::fit) fn append<'a>(
        &mut self,
        boundary: BoundaryId,
        keys: &[FeatureKey],
        vectors: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> bool {
        self.tables[boundary.0].append(keys, vectors)
    }

    /// Why no more feature vectors of a boundary are stored.
    pub(in crate::fit) fn refusal(&self, boundary: BoundaryId) -> Option<&str> {
        self.tables[boundary.0].store()?.refusal()
    }

    /// Gives up the passes' memory, if no step will want them: where all of a part is stored.
    pub(in crate::fit) fn rest(&mut self, part: &str) {
        if self.stored(part).first() == Some(&BoundaryId::OWN) {
            self.passes.clear();
        }
    }

    /// The pass to these boundaries from the cheapest of the boundaries that `is_there`, else from the images.
    pub(in crate::fit) fn pass(
        &mut self,
        targets: &[BoundaryId],
        is_there: impl Fn(&FeatureStore, BoundaryId) -> bool,
    ) -> (Option<BoundaryId>, Arc<Pass>) {
        let above = |start: BoundaryId| {
            let cost = |target: &BoundaryId| {
                self.tables[target.0].frozen.multiply_adds_above(&self.tables[start.0].frozen)
            };
            targets.iter().map(cost).try_fold(0, |most: u64, one| Some(most.max(one?)))
        };
        let is_exact = |start: &BoundaryId| is_exact(&self.tables[start.0].frozen, self.features);
        let starts =
            (0..self.tables.len()).map(BoundaryId).filter(|start| !targets.contains(start)).filter(is_exact);
        let start = starts
            .filter(|start| is_there(self, *start))
            .filter_map(|start| Some((above(start)?, start)))
            .min()
            .map(|(_, start)| start);
        let key = (targets.to_vec(), start);
        if let Some(pass) = self.passes.get(&key) {
            return (start, pass.clone());
        }
        let frozen_below = |boundary: &BoundaryId| &*self.tables[boundary.0].frozen;
        let programs: Vec<&Frozen> = targets.iter().map(frozen_below).collect();
        let pass = Arc::new(Pass::new(&programs, start.as_ref().map(frozen_below), self.features));
        self.passes.insert(key, pass.clone());
        (start, pass)
    }
}
