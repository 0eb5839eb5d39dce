//! The rows that a suffix trains on: what comes out of the frozen prefix, computed once and kept, or computed again
//! where there is no room. A row depends on its image and its view alone, so both give the same bits.

use super::caching::Keeper;
use super::{Event, Observer};
use crate::Result;
use crate::cache::{RowKey, Store};
use crate::data::{DataError, Dataset, Example, Pipeline, ViewSeed};
use crate::engine::Prefix;
use rayon::prelude::*;
use std::collections::HashSet;

/// Images that are decoded and taken through the prefix at a time.
const CHUNK: usize = 64;
/// Bytes of rows that are written at a time.
pub(super) const SHARD: usize = 64 << 20;

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
pub(super) struct Views {
    pub(super) seed: u64,
    pub(super) count: usize,
}

/// The rows of one list of examples.
pub(super) struct Features<'a> {
    source: Source<'a>,
    examples: &'a [Example],
    part: &'a str,
    row_len: usize,
    views: Option<Views>,
    kept: Kept,
    pixels: Vec<f32>,
}

/// What is known of the rows of each view; empty until the view is needed.
enum Kept {
    Nothing,
    Rows(Vec<Vec<f32>>),
    Keys(Vec<Vec<RowKey>>),
}

impl<'a> Features<'a> {
    /// Of `examples`, in views or as they are. Memory for them is taken off the keeper's, if it is enough.
    pub(super) fn new(
        source: Source<'a>,
        examples: &'a [Example],
        part: &'a str,
        prefix: &Prefix,
        views: Option<Views>,
        keeper: &mut Keeper,
    ) -> Self {
        let count = views.map_or(1, |views| views.count.max(1));
        let bytes = 4 * (prefix.row_len() * examples.len() * count) as u64;
        let kept = match keeper {
            Keeper::Memory(left) if bytes <= *left => {
                *left -= bytes;
                Kept::Rows(vec![Vec::new(); count])
            }
            Keeper::Memory(_) => Kept::Nothing,
            Keeper::Disk(_) => Kept::Keys(vec![Vec::new(); count]),
        };
        Self { source, examples, part, row_len: prefix.row_len(), views, kept, pixels: Vec::new() }
    }

    /// The bytes of the rows that are kept.
    pub(super) fn bytes(&self) -> u64 {
        match &self.kept {
            Kept::Nothing => 0,
            Kept::Rows(rows) => rows.iter().map(|rows| 4 * rows.len() as u64).sum(),
            Kept::Keys(keys) => keys.iter().map(|keys| 4 * (self.row_len * keys.len()) as u64).sum(),
        }
    }

    /// How many rows there are in all views, and how many of them have to be computed.
    pub(super) fn rows(&self, keeper: &Keeper) -> Result<(usize, usize)> {
        let views = self.views.map_or(1, |views| views.count.max(1));
        let rows = views * self.examples.len();
        let Keeper::Disk(store) = keeper else { return Ok((rows, rows)) };
        let mut missing = 0;
        for view in 0..views {
            missing += self.keys(view)?.iter().filter(|key| !store.contains(key)).count();
        }
        Ok((rows, missing))
    }

    /// Computes the rows of an epoch's view that are to be kept and are not there yet.
    pub(super) fn prepare(
        &mut self,
        prefix: &Prefix,
        epoch: usize,
        keeper: &mut Keeper,
        observe: Observer<'_>,
    ) -> Result<()> {
        let (view, all) = (self.view(epoch), 0..self.examples.len());
        if all.is_empty() {
            return Ok(());
        }
        match (&self.kept, keeper) {
            (Kept::Rows(kept), _) if kept[view].is_empty() => {
                let mut rows = vec![0.0; all.len() * self.row_len];
                self.compute(prefix, &Vec::from_iter(all), view, &mut rows, observe)?;
                if let Kept::Rows(kept) = &mut self.kept {
                    kept[view] = rows;
                }
            }
            (Kept::Keys(keys), Keeper::Disk(store)) if keys[view].is_empty() => {
                let keys = self.keys(view)?;
                let mut seen = HashSet::new();
                let missing: Vec<usize> =
                    all.filter(|index| !store.contains(&keys[*index]) && seen.insert(keys[*index])).collect();
                for indices in missing.chunks((SHARD / (4 * self.row_len).max(1)).max(1)) {
                    let mut rows = vec![0.0; indices.len() * self.row_len];
                    self.compute(prefix, indices, view, &mut rows, observe)?;
                    let keys: Vec<RowKey> = indices.iter().map(|index| keys[*index]).collect();
                    if !store.append(&keys, &rows)? {
                        observe(&Event::Note(
                            "the feature cache is too small for these features, which are computed in every epoch; raise --cache-limit",
                        ));
                        break;
                    }
                }
                if let Kept::Keys(kept) = &mut self.kept {
                    kept[view] = keys;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the rows of these examples in an epoch's view to `rows`, `[indices, row_len]`.
    pub(super) fn gather(
        &mut self,
        prefix: &Prefix,
        indices: &[usize],
        epoch: usize,
        keeper: &mut Keeper,
        rows: &mut [f32],
    ) -> Result<()> {
        let view = self.view(epoch);
        match (&self.kept, keeper) {
            (Kept::Rows(kept), _) => {
                for (index, row) in indices.iter().zip(rows.chunks_exact_mut(self.row_len)) {
                    row.copy_from_slice(&kept[view][index * self.row_len..][..self.row_len]);
                }
                Ok(())
            }
            (Kept::Keys(keys), Keeper::Disk(store)) => {
                let mut missing = Vec::new();
                for (position, row) in rows.chunks_exact_mut(self.row_len).enumerate() {
                    if !store.read(&keys[view][indices[position]], row) {
                        missing.push(position);
                    }
                }
                self.fill(prefix, indices, &missing, view, store, rows)
            }
            _ => self.compute(prefix, indices, view, rows, &super::silent),
        }
    }

    /// Computes the rows at these positions of a batch, and stores them in the place of those that were damaged.
    fn fill(
        &mut self,
        prefix: &Prefix,
        indices: &[usize],
        missing: &[usize],
        view: usize,
        store: &mut Store,
        rows: &mut [f32],
    ) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<usize> = missing.iter().map(|position| indices[*position]).collect();
        let mut computed = vec![0.0; wanted.len() * self.row_len];
        self.compute(prefix, &wanted, view, &mut computed, &super::silent)?;
        for (position, row) in missing.iter().zip(computed.chunks_exact(self.row_len)) {
            rows[position * self.row_len..][..self.row_len].copy_from_slice(row);
        }
        if let Kept::Keys(keys) = &self.kept {
            let keys: Vec<RowKey> = wanted.iter().map(|index| keys[view][*index]).collect();
            store.append(&keys, &computed)?;
        }
        Ok(())
    }

    fn view(&self, epoch: usize) -> usize {
        self.views.map_or(0, |views| epoch % views.count.max(1))
    }

    /// The keys of all rows of a view.
    fn keys(&self, view: usize) -> Result<Vec<RowKey>> {
        let Source { dataset, pipeline } = self.source;
        let key = |example: &Example| {
            let content = dataset.content_hash(example)?;
            // what `Pipeline::load` draws a view from
            let drawn = self.views.map(|views| {
                let (augment, range) = (&pipeline.augment, dataset.value_range());
                format!("{augment:?} {range:?} {} {view} {}", views.seed, example.name)
            });
            Ok(RowKey::new(&content, drawn.as_deref()))
        };
        Ok(self.examples.par_iter().map(key).collect::<Result<_, DataError>>()?)
    }

    fn compute(
        &mut self,
        prefix: &Prefix,
        indices: &[usize],
        view: usize,
        rows: &mut [f32],
        observe: Observer<'_>,
    ) -> Result<()> {
        let Source { dataset, pipeline } = self.source;
        let seed = self.views.map(|views| ViewSeed { seed: views.seed, view: view as u64 });
        self.pixels.resize(CHUNK.min(self.examples.len()) * pipeline.row_len(), 0.0);
        let mut done = 0;
        for (chunk, rows) in indices.chunks(CHUNK).zip(rows.chunks_mut(CHUNK * self.row_len)) {
            let examples: Vec<&Example> = chunk.iter().map(|index| &self.examples[*index]).collect();
            let pixels = &mut self.pixels[..chunk.len() * pipeline.row_len()];
            pipeline.load_rows(dataset, &examples, seed, pixels)?;
            prefix.run(pixels, rows);
            done += chunk.len();
            observe(&Event::Features { part: self.part, done, images: indices.len() });
        }
        Ok(())
    }
}
