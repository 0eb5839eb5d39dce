//! The rows that a suffix trains on: what comes out of the frozen prefix, computed once and kept, or computed again
//! where the limit does not allow it. A row depends on its image and its view alone, so both give the same bits.

use super::{Event, Observer};
use crate::Result;
use crate::data::{Dataset, Example, Pipeline, ViewSeed};
use crate::engine::Prefix;

/// Images that are decoded and taken through the prefix at a time.
const CHUNK: usize = 64;

/// Examples and how they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Where the examples come from.
    pub dataset: &'a Dataset,
    /// Decode, resize, augment, preprocess.
    pub pipeline: &'a Pipeline,
}

/// How many bytes of features may be kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimit(pub u64);

impl CacheLimit {
    /// Nothing is kept: every epoch computes the prefix again.
    pub const NOTHING: CacheLimit = CacheLimit(0);
}

impl Default for CacheLimit {
    /// 10 GiB.
    fn default() -> Self {
        Self(10 << 30)
    }
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
    part: &'static str,
    row_len: usize,
    views: Option<Views>,
    /// For each view the rows of all examples; empty until they are computed. `None` where the limit is too low.
    kept: Option<Vec<Vec<f32>>>,
    pixels: Vec<f32>,
}

impl<'a> Features<'a> {
    /// Of `examples`, in views or as they are. What they need is taken off `limit`, if it is enough.
    pub(super) fn new(
        source: Source<'a>,
        examples: &'a [Example],
        part: &'static str,
        prefix: &Prefix,
        views: Option<Views>,
        limit: &mut CacheLimit,
    ) -> Self {
        let count = views.map_or(1, |views| views.count.max(1));
        let bytes = 4 * (prefix.row_len() * examples.len() * count) as u64;
        let kept = (bytes <= limit.0).then(|| vec![Vec::new(); count]);
        if kept.is_some() {
            limit.0 -= bytes;
        }
        Self { source, examples, part, row_len: prefix.row_len(), views, kept, pixels: Vec::new() }
    }

    /// The bytes that are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().flatten().map(|rows| 4 * rows.len() as u64).sum()
    }

    /// Computes the rows of an epoch's view where they are to be kept and are not there yet.
    pub(super) fn prepare(&mut self, prefix: &Prefix, epoch: usize, observe: Observer<'_>) -> Result<()> {
        let view = self.view(epoch);
        let wanted = match &self.kept {
            Some(kept) => kept[view].is_empty() && !self.examples.is_empty(),
            None => false,
        };
        if !wanted {
            return Ok(());
        }
        let images = self.examples.len();
        let mut rows = vec![0.0; images * self.row_len];
        let indices: Vec<usize> = (0..images).collect();
        for (chunk, rows) in indices.chunks(CHUNK).zip(rows.chunks_mut(CHUNK * self.row_len)) {
            self.compute(prefix, chunk, view, rows)?;
            let done = chunk.last().map_or(0, |last| last + 1);
            observe(&Event::Features { part: self.part, done, images });
        }
        if let Some(kept) = &mut self.kept {
            kept[view] = rows;
        }
        Ok(())
    }

    /// Writes the rows of these examples in an epoch's view to `rows`, `[indices, row_len]`.
    pub(super) fn gather(
        &mut self,
        prefix: &Prefix,
        indices: &[usize],
        epoch: usize,
        rows: &mut [f32],
    ) -> Result<()> {
        let view = self.view(epoch);
        match &self.kept {
            Some(kept) => {
                for (index, row) in indices.iter().zip(rows.chunks_exact_mut(self.row_len)) {
                    row.copy_from_slice(&kept[view][index * self.row_len..][..self.row_len]);
                }
                Ok(())
            }
            None => self.compute(prefix, indices, view, rows),
        }
    }

    fn view(&self, epoch: usize) -> usize {
        self.views.map_or(0, |views| epoch % views.count.max(1))
    }

    fn compute(&mut self, prefix: &Prefix, indices: &[usize], view: usize, rows: &mut [f32]) -> Result<()> {
        let examples: Vec<&Example> = indices.iter().map(|index| &self.examples[*index]).collect();
        let Source { dataset, pipeline } = self.source;
        self.pixels.resize(CHUNK.max(indices.len()) * pipeline.row_len(), 0.0);
        let pixels = &mut self.pixels[..indices.len() * pipeline.row_len()];
        let seed = self.views.map(|views| ViewSeed { seed: views.seed, view: view as u64 });
        pipeline.load_rows(dataset, &examples, seed, pixels)?;
        prefix.run(pixels, rows);
        Ok(())
    }
}
