//! The rows of a job: those of the boundary that trains now, and of later stages' boundaries that one pass over the images
//! makes with them.

use crate::fit::Source;
use crate::fit::config::caching::Caching;
use crate::fit::features::ahead::{Ahead, UNLIKELY, candidates, first_stage};
use crate::fit::features::cache::{Form, PrefixKey, RowElement, RowKey, Store};
use crate::fit::features::choice::{Choice, Costs, Need, choose};
use crate::fit::features::pass::{Pass, element, is_exact};
use crate::fit::features::shelf::{At, Located, Part, Rows, Shelf};
use frostline_engine::Pool;
use frostline_engine::compile::{Frozen, compile_frozen};
use frostline_graph::{Model, Numbers, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All rows that a job keeps.
pub(in crate::fit) struct Bank {
    caching: Caching,
    /// Whether every row counts as stored, and as zero.
    is_blank: bool,
    /// What rows are stored in; by default f32, and bf16 where that holds the same numbers.
    features: Option<RowElement>,
    /// The first is that of the stage that trains now.
    shelves: Vec<Shelf>,
    /// Bytes of memory that may still be used.
    left: u64,
    passes: BTreeMap<(Vec<usize>, Option<usize>), Arc<Pass>>,
    /// The hashes of the images of each part.
    pub(in crate::fit) contents: BTreeMap<String, Vec<blake3::Hash>>,
    pub(in crate::fit) pixels: Pool<Vec<f32>>,
}

/// What a [`Bank`] is told when a stage begins.
pub(in crate::fit) struct Begin<'a> {
    pub(in crate::fit) model: &'a Model,
    pub(in crate::fit) numbers: &'a Numbers,
    pub(in crate::fit) source: Source<'a>,
    pub(in crate::fit) parts: &'a [Part<'a>],
    /// The stages from this one on, if they are known.
    pub(in crate::fit) ahead: &'a [Ahead],
}

impl Bank {
    pub(in crate::fit) fn new(caching: &Caching, features: Option<RowElement>) -> Self {
        let left = match caching {
            Caching::Nothing => 0,
            Caching::Memory(limit) => *limit,
            Caching::Disk(_) => Caching::MEMORY,
        };
        Self {
            caching: caching.clone(),
            is_blank: false,
            features,
            shelves: Vec::new(),
            left,
            passes: BTreeMap::new(),
            contents: BTreeMap::new(),
            pixels: Pool::default(),
        }
    }

    /// As if every row were stored, and zero.
    pub(in crate::fit) fn blank(features: Option<RowElement>) -> Self {
        Self { is_blank: true, ..Self::new(&Caching::default(), features) }
    }

    /// Whether rows may be on disk, where they are found by the images' content.
    pub(in crate::fit) fn is_on_disk(&self) -> bool {
        matches!(self.caching, Caching::Disk(_))
    }

    /// A stage begins whose frozen layers are `own`: what earlier stages needed alone is given up, and which rows the
    /// next pass makes is decided.
    pub(in crate::fit) fn begin(&mut self, own: Frozen, begin: &Begin<'_>) -> Result<()> {
        self.passes.clear();
        let mut old = std::mem::take(&mut self.shelves);
        self.add(Arc::new(own), begin, &mut old)?;
        let mut needs = vec![Need { boundary: 0, epochs: self.epochs(begin), chance: 1.0 }];
        if self.caching != Caching::Nothing {
            let now = begin.ahead.first().map_or(1.0, |stage| stage.chance);
            for (index, stage) in begin.ahead.iter().enumerate().skip(1) {
                let chance = stage.chance / now;
                if chance < UNLIKELY {
                    break;
                }
                let shape = begin.source.pipeline.input().to_vec();
                let frozen = compile_frozen(begin.numbers, begin.model, &stage.freeze, &[shape])?;
                if first_stage(&frozen, begin.ahead, index) > 0 {
                    continue; // something below it trains before it is needed
                }
                let boundary = self.add(Arc::new(frozen), begin, &mut old)?;
                needs.push(Need { boundary, epochs: stage.epochs as f64, chance });
            }
        }
        self.left += old.iter().map(|shelf| shelf.reserved).sum::<u64>();
        self.decide(&needs, begin)?;
        self.reserve(begin.parts);
        Ok(())
    }

    fn epochs(&self, begin: &Begin<'_>) -> f64 {
        begin.ahead.first().map_or(1.0, |stage| stage.epochs as f64)
    }

    /// The shelf of a boundary, as it was if it is known.
    fn add(&mut self, frozen: Arc<Frozen>, begin: &Begin<'_>, old: &mut Vec<Shelf>) -> Result<usize> {
        let element = element(&frozen, self.features);
        let key = PrefixKey::new(&frozen, element, begin.source.pipeline);
        if let Some(found) = self.shelves.iter().position(|shelf| shelf.key == key) {
            return Ok(found);
        }
        let is_own = self.shelves.is_empty();
        let (form, name) = (Form { row_len: frozen.row_len(), element }, &begin.model.graph.name);
        let shelf = match old.iter().position(|shelf| shelf.key == key) {
            Some(found) => {
                let shelf = old.swap_remove(found);
                if let (true, Rows::Disk(store)) = (is_own, &shelf.rows) {
                    store.mark_used()?;
                }
                shelf
            }
            None => {
                let rows = match &self.caching {
                    _ if self.is_blank => Rows::Blank,
                    Caching::Disk(cache) if !frozen.is_identity() => {
                        let store = match is_own {
                            true => cache.open(key, form, name, frozen.boundary())?,
                            false => cache.look(key, form, name, frozen.boundary())?,
                        };
                        Rows::Disk(Box::new(store))
                    }
                    _ => Rows::Memory(BTreeMap::new()),
                };
                Shelf { frozen, key, form, wanted: false, reserved: 0, rows }
            }
        };
        self.shelves.push(shelf);
        Ok(self.shelves.len() - 1)
    }

    /// Decides what is stored. What is not is forgotten, but for the first.
    fn decide(&mut self, needs: &[Need], begin: &Begin<'_>) -> Result<()> {
        self.shelves[0].wanted = self.caching != Caching::Nothing;
        if self.shelves.len() == 1 {
            return Ok(());
        }
        let choice = self.choose(needs, begin)?;
        for (shelf, stored) in self.shelves.iter_mut().zip(&choice.stored) {
            shelf.wanted = *stored;
        }
        // the first is stored, if there is room, unless its rows come cheaper from lower ones
        self.shelves[0].wanted |= choice.start[0].is_none();
        let others = self.shelves.split_off(1);
        let (wanted, given_up): (Vec<_>, Vec<_>) = others.into_iter().partition(|shelf| shelf.wanted);
        self.left += given_up.iter().map(|shelf| shelf.reserved).sum::<u64>();
        self.shelves.extend(wanted);
        let folders: Vec<_> = self.stores().map(|store| store.folder().to_owned()).collect();
        for shelf in &mut self.shelves {
            if let Rows::Disk(store) = &mut shelf.rows {
                store.keep(&folders);
            }
        }
        Ok(())
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        self.shelves.iter().filter_map(Shelf::store)
    }

    fn choose(&mut self, needs: &[Need], begin: &Begin<'_>) -> Result<Choice> {
        let costs = Costs::typical(begin.source.dataset, &self.caching);
        let frozen: Vec<&Frozen> = self.shelves.iter().map(|shelf| &*shelf.frozen).collect();
        let rows: usize = begin.parts.iter().map(Part::rows).sum();
        let mut candidates = candidates(&frozen, rows, self.features);
        for (index, candidate) in candidates.iter_mut().enumerate() {
            let missing = begin.parts.iter().map(|part| self.missing(index, part) * part.views);
            candidate.missing = missing.sum::<usize>() as f64;
        }
        Ok(choose(needs, &candidates, costs, self.limit() as f64))
    }

    /// Bytes of rows that may be kept.
    pub(in crate::fit) fn limit(&self) -> u64 {
        let used: u64 = self.shelves.iter().map(|shelf| shelf.reserved).sum();
        match &self.caching {
            Caching::Disk(cache) => cache.limit,
            _ => self.left + used,
        }
    }

    /// How many rows of a boundary are missing, and whether they would be kept in memory.
    pub(in crate::fit) fn survey(&mut self, frozen: Frozen, begin: &Begin<'_>) -> Result<(usize, bool)> {
        let shelf = self.add(Arc::new(frozen), begin, &mut Vec::new())?;
        let missing = begin.parts.iter().map(|part| self.missing(shelf, part) * part.views).sum();
        Ok((missing, self.is_memory(shelf)))
    }

    /// Takes memory for the parts of the boundaries that are kept in it, the smaller part first: validation images are few
    /// and are needed in every epoch.
    fn reserve(&mut self, parts: &[Part<'_>]) {
        for shelf in self.shelves.iter_mut().filter(|shelf| shelf.wanted) {
            let Rows::Memory(kept) = &mut shelf.rows else { continue };
            for part in parts {
                let bytes = (shelf.form.bytes() * part.rows()) as u64;
                if !kept.contains_key(part.name) && bytes <= self.left {
                    self.left -= bytes;
                    shelf.reserved += bytes;
                    kept.insert(part.name.to_owned(), BTreeMap::new());
                }
            }
        }
    }

    /// The boundaries whose rows of a part are stored; the first is that of the stage.
    pub(in crate::fit) fn stored(&self, part: &str) -> Vec<usize> {
        (0..self.shelves.len()).filter(|index| self.shelves[*index].takes(part)).collect()
    }

    /// The length of a row of a boundary.
    pub(in crate::fit) fn row_len(&self, shelf: usize) -> usize {
        self.shelves[shelf].form.row_len
    }

    /// The bytes of a row of a boundary, as it is stored.
    pub(in crate::fit) fn row_bytes(&self, shelf: usize) -> usize {
        self.shelves[shelf].form.bytes()
    }

    /// Rows of a part that are not there, by its first view.
    fn missing(&self, shelf: usize, part: &Part<'_>) -> usize {
        let at = At { part: part.name, view: 0, keys: &part.keys };
        (0..part.images).filter(|index| !self.has(shelf, &at, *index)).count()
    }

    /// See [`Shelf::has`].
    pub(in crate::fit) fn has(&self, shelf: usize, at: &At<'_>, index: usize) -> bool {
        self.shelves[shelf].has(at, index)
    }

    /// See [`Shelf::read`].
    pub(in crate::fit) fn read(&self, shelf: usize, at: &At<'_>, index: usize, row: &mut [f32]) -> bool {
        self.shelves[shelf].read(at, index, row)
    }

    /// See [`Shelf::located`].
    pub(in crate::fit) fn located(&self, shelf: usize, at: &At<'_>) -> Located {
        self.shelves[shelf].located(at)
    }

    /// Whether a boundary's rows are kept in memory, where all of a part come at once.
    pub(in crate::fit) fn is_memory(&self, shelf: usize) -> bool {
        self.shelves[shelf].store().is_none()
    }

    /// See [`Shelf::put`].
    pub(in crate::fit) fn put(&mut self, shelf: usize, at: &At<'_>, all: Vec<f32>) {
        self.shelves[shelf].put(at, all);
    }

    /// See [`Shelf::append`].
    pub(in crate::fit) fn append<'a>(
        &mut self,
        shelf: usize,
        keys: &[RowKey],
        rows: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<bool> {
        self.shelves[shelf].append(keys, rows)
    }

    /// Gives up the passes' memory, if no step will want them: where all of a part is stored.
    pub(in crate::fit) fn rest(&mut self, part: &str) {
        if self.stored(part).first() == Some(&0) {
            self.passes.clear();
        }
    }

    /// The pass to these boundaries from the cheapest of the boundaries that `is_there`, else from the images.
    pub(in crate::fit) fn pass(
        &mut self,
        targets: &[usize],
        is_there: impl Fn(&Bank, usize) -> bool,
    ) -> (Option<usize>, Arc<Pass>) {
        let above = |start: usize| {
            let cost = |target: &usize| {
                self.shelves[*target].frozen.multiply_adds_above(&self.shelves[start].frozen)
            };
            targets.iter().map(cost).try_fold(0, |most: u64, one| Some(most.max(one?)))
        };
        let is_exact = |start: &usize| is_exact(&self.shelves[*start].frozen, self.features);
        let starts = (0..self.shelves.len()).filter(|start| !targets.contains(start)).filter(is_exact);
        let start = starts
            .filter(|start| is_there(self, *start))
            .filter_map(|start| Some((above(start)?, start)))
            .min()
            .map(|(_, start)| start);
        let key = (targets.to_vec(), start);
        if let Some(pass) = self.passes.get(&key) {
            return (start, pass.clone());
        }
        let of = |index: &usize| &*self.shelves[*index].frozen;
        let programs: Vec<&Frozen> = targets.iter().map(of).collect();
        let pass = Arc::new(Pass::new(&programs, start.as_ref().map(of), self.features));
        self.passes.insert(key, pass.clone());
        (start, pass)
    }
}
