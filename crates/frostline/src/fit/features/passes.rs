//! The rows that a suffix trains on: what comes out of the frozen prefix, computed once and kept, or computed again
//! where there is no room. A row depends on its image and its view alone, so both give the same bits.

use crate::fit::features::bank::Bank;
use crate::fit::features::cache::RowKey;
use crate::fit::features::shelf::{At, Located, Part};
use crate::fit::train::observe::counter;
use crate::fit::{Event, Observer, Setting};
use frostline_data::{DataError, Dataset, Example, Pipeline, ViewSeed};
use frostline_graph::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Bytes of rows that are computed and written at a time.
pub(in crate::fit) const SHARD: usize = 64 << 20;

/// How many images are computed and written at a time, whose rows at all boundaries that are made have so many values.
pub(in crate::fit) fn images_at_once(width: usize) -> usize {
    (SHARD / (4 * width).max(1)).max(1)
}

const TOO_SMALL: &str = "the feature cache is too small for these features, which are computed in every epoch; raise --cache-limit";

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
        augments.then_some(Self { seed: setting.seed, count: setting.views })
    }
}

/// The rows of one list of examples.
pub(in crate::fit) struct Features<'a> {
    source: Source<'a>,
    examples: &'a [Example],
    part: &'a str,
    views: Option<Views>,
    /// Whether rows are found by the images' content.
    by_content: bool,
    /// By view; empty until it is needed.
    keys: Vec<Vec<RowKey>>,
}

/// The pass that makes rows, and where they go.
struct Work<'a> {
    targets: &'a [usize],
    indices: &'a [usize],
    view: usize,
}

impl<'a> Features<'a> {
    /// Of `examples`, in views or as they are. `by_content`: some rows are on disk.
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

    /// What the bank has to know of it.
    pub(in crate::fit) fn part(&mut self, bank: &mut Bank) -> Result<Part<'a>> {
        self.find_keys(bank, 0)?;
        Ok(Part {
            name: self.part,
            images: self.examples.len(),
            views: self.keys.len(),
            keys: self.keys[0].clone(),
        })
    }

    /// The bytes of the stage's rows that are kept.
    pub(in crate::fit) fn bytes(&self, bank: &Bank) -> u64 {
        let rows =
            |view: usize| (0..self.examples.len()).filter(move |index| bank.has(0, &self.at(view), *index));
        let rows: usize = (0..self.keys.len()).map(|view| rows(view).count()).sum();
        (rows * bank.row_bytes(0)) as u64
    }

    /// How many rows there are in all views, and how many of them have to be computed.
    pub(in crate::fit) fn rows(&mut self, bank: &mut Bank) -> Result<(usize, usize)> {
        let mut missing = 0;
        for view in 0..self.keys.len() {
            self.find_keys(bank, view)?;
            let at = self.at(view);
            missing += (0..self.examples.len()).filter(|index| !bank.has(0, &at, *index)).count();
        }
        Ok((self.keys.len() * self.examples.len(), missing))
    }

    /// Computes the rows of an epoch's view that are to be stored and are not there yet, at the stage's boundary and at
    /// those of later stages: one pass makes all that an image lacks.
    pub(in crate::fit) fn prepare(
        &mut self,
        bank: &mut Bank,
        epoch: usize,
        observe: Observer<'_>,
    ) -> Result<()> {
        let view = self.view(epoch);
        let wanted = bank.stored(self.part);
        if self.examples.is_empty() || wanted.is_empty() {
            return Ok(());
        }
        self.find_keys(bank, view)?;
        let at = self.at(view);
        let mut seen = HashSet::new();
        let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for index in 0..self.examples.len() {
            let lacks = |shelf: &usize| {
                !bank.has(*shelf, &at, index)
                    && at
                        .keys
                        .get(index)
                        .is_none_or(|key| bank.is_memory(*shelf) || seen.insert((*shelf, *key)))
            };
            let lacking: Vec<usize> = wanted.iter().copied().filter(lacks).collect();
            if !lacking.is_empty() {
                groups.entry(lacking).or_default().push(index);
            }
        }
        let in_memory = wanted.iter().filter(|shelf| bank.is_memory(**shelf) && !bank.has(**shelf, &at, 0));
        let len = |shelf: usize| self.examples.len() * bank.row_len(shelf);
        let mut all: BTreeMap<usize, Vec<f32>> =
            in_memory.map(|shelf| (*shelf, vec![0.0; len(*shelf)])).collect();
        for (targets, indices) in &groups {
            if let ([only], true) = (targets.as_slice(), indices.len() == self.examples.len())
                && let Some(rows) = all.get_mut(only)
            {
                let told = counter(self.part, indices.len(), observe);
                self.compute(bank, targets, indices, view, rows, &told)?;
                continue;
            }
            self.make(bank, Work { targets, indices, view }, &mut all, observe)?;
        }
        all.into_iter().for_each(|(shelf, rows)| bank.put(shelf, &at, rows));
        bank.rest(self.part);
        Ok(())
    }

    /// Makes rows and stores them: on disk, and in `all` those that are kept in memory.
    fn make(
        &self,
        bank: &mut Bank,
        work: Work<'_>,
        all: &mut BTreeMap<usize, Vec<f32>>,
        observe: Observer<'_>,
    ) -> Result<()> {
        let Work { targets, indices, view } = work;
        let at = self.at(view);
        let width: usize = targets.iter().map(|target| bank.row_len(*target)).sum();
        let told = counter(self.part, indices.len(), observe);
        for chunk in indices.chunks(images_at_once(width)) {
            let mut rows = vec![0.0; chunk.len() * width];
            let lens = self.compute(bank, targets, chunk, view, &mut rows, &told)?;
            let mut has_room = true;
            for (position, target) in targets.iter().enumerate() {
                let own = column(&rows, &lens, position);
                if let Some(all) = all.get_mut(target) {
                    for (index, row) in chunk.iter().zip(own) {
                        all[index * row.len()..][..row.len()].copy_from_slice(row);
                    }
                    continue;
                }
                let keys: Vec<RowKey> = chunk.iter().map(|index| at.keys[*index]).collect();
                has_room &= bank.append(*target, &keys, own)?;
            }
            if !has_room {
                observe(&Event::Note(TOO_SMALL));
                // what else the pass makes is made again when it is needed
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where the stage's rows in an epoch's view are.
    pub(in crate::fit) fn located(&mut self, bank: &mut Bank, epoch: usize) -> Result<Located> {
        let view = self.view(epoch);
        self.find_keys(bank, view)?;
        Ok(bank.located(0, &self.at(view)))
    }

    /// Computes those of the stage's rows of these examples in an epoch's view, `[indices, row_len]`, that are missing.
    pub(in crate::fit) fn complete(
        &mut self,
        bank: &mut Bank,
        indices: &[usize],
        epoch: usize,
        missing: &[usize],
        rows: &mut [f32],
    ) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let (view, row_len) = (self.view(epoch), bank.row_len(0));
        let wanted: Vec<usize> = missing.iter().map(|position| indices[*position]).collect();
        if wanted.len() == indices.len() {
            self.compute(bank, &[0], &wanted, view, rows, &|| {})?;
            return self.mend(bank, &wanted, view, rows);
        }
        let mut computed = vec![0.0; wanted.len() * row_len];
        self.compute(bank, &[0], &wanted, view, &mut computed, &|| {})?;
        for (position, row) in missing.iter().zip(computed.chunks_exact(row_len.max(1))) {
            rows[position * row_len..][..row_len].copy_from_slice(row);
        }
        self.mend(bank, &wanted, view, &computed)
    }

    /// Stores rows of the stage in the place of those that were damaged.
    fn mend(&self, bank: &mut Bank, indices: &[usize], view: usize, rows: &[f32]) -> Result<()> {
        let row_len = bank.row_len(0);
        if bank.stored(self.part).first() == Some(&0) && !bank.is_memory(0) {
            let keys: Vec<RowKey> = indices.iter().map(|index| self.keys[view][*index]).collect();
            bank.append(0, &keys, rows.chunks_exact(row_len.max(1)))?;
        }
        Ok(())
    }

    fn view(&self, epoch: usize) -> usize {
        epoch % self.keys.len()
    }

    fn at(&self, view: usize) -> At<'_> {
        At { part: self.part, view, keys: &self.keys[view] }
    }

    /// Finds the keys of all rows of a view.
    fn find_keys(&mut self, bank: &mut Bank, view: usize) -> Result<()> {
        if !self.by_content || self.keys[view].len() == self.examples.len() {
            return Ok(());
        }
        let Source { dataset, pipeline } = self.source;
        let contents = match bank.contents.get(self.part) {
            Some(contents) => contents,
            None => {
                let contents = self.examples.par_iter().map(|example| dataset.content_hash(example));
                let contents = contents.collect::<Result<_, DataError>>()?;
                bank.contents.entry(self.part.to_owned()).or_insert(contents)
            }
        };
        let key = |(example, content): (&Example, &blake3::Hash)| {
            // what `Pipeline::load` draws a view from
            let drawn = self.views.map(|views| {
                let (augment, range) = (&pipeline.augment, dataset.value_range());
                format!("{augment:?} {range:?} {} {view} {}", views.seed, example.name)
            });
            RowKey::new(content, drawn.as_deref())
        };
        self.keys[view] = self.examples.iter().zip(contents).map(key).collect();
        Ok(())
    }

    /// Computes the rows of these examples at the boundaries `targets`, one after the other: `rows` is
    /// `[indices, sum of their lengths]`. Returns their lengths.
    fn compute(
        &self,
        bank: &mut Bank,
        targets: &[usize],
        indices: &[usize],
        view: usize,
        rows: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Result<Vec<usize>> {
        let at = self.at(view);
        let lens = targets.iter().map(|target| bank.row_len(*target)).collect();
        let is_there = |bank: &Bank, shelf: usize| indices.iter().all(|index| bank.has(shelf, &at, *index));
        let (start, pass) = bank.pass(targets, is_there);
        if let Some(start) = start {
            let read = |position: usize, row: &mut [f32]| bank.read(start, &at, indices[position], row);
            if pass.run_rows(bank.row_len(start), read, &bank.pixels, rows) {
                indices.iter().for_each(|_| told());
                return Ok(lens);
            }
        }
        // a row that it could start from may be damaged
        let (_, pass) = bank.pass(targets, |_, _| false);
        let seed = self.views.map(|views| ViewSeed { seed: views.seed, view: view as u64 });
        let examples: Vec<&Example> = indices.iter().map(|index| &self.examples[*index]).collect();
        let loaded = pass.run_images(self.source, &examples, seed, &bank.pixels, rows, told);
        loaded.into_iter().collect::<std::result::Result<(), DataError>>()?;
        Ok(lens)
    }
}

/// The rows of one boundary, out of those of several that come one after the other.
pub(in crate::fit) fn column<'a>(
    rows: &'a [f32],
    lens: &[usize],
    position: usize,
) -> impl Iterator<Item = &'a [f32]> + Clone {
    let (width, start) = (lens.iter().sum::<usize>().max(1), lens[..position].iter().sum::<usize>());
    let own = start..start + lens[position];
    rows.chunks_exact(width).map(move |row| &row[own.clone()])
}
