//! The first pass over image files finds the damaged ones: decoding them for that alone would be to decode each twice.

use crate::fit::features::ahead::Ahead;
use crate::fit::features::cache::FeatureKey;
use crate::fit::features::feature_store::{Begin, BoundaryId, FeatureStore};
use crate::fit::features::feature_table::{At, Part};
use crate::fit::features::passes::{Views, column, images_at_once};
use crate::fit::{Caching, Event, Observer, Setting, Solving, Source};
use frostline_data::{DataError, Dataset, Example, Pipeline, SkipReport, check_all, check_example, files};
use frostline_engine::compile::{Prefixes, compile_frozen};
use frostline_graph::{Model, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All images: which of them are in which part is not known yet.
const PART: &str = "all";

/// How image files are checked before a training is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Each is decoded, and nothing else.
    Decode,
    /// What is decoded goes through the frozen layers of the first stage at once, and the feature vectors are stored, so that no
    /// image is decoded twice; one whose feature vectors are stored already was decoded before, and is not decoded at all. Where
    /// features are not on disk, or images are augmented (what is validated on is not known yet), as
    /// [`Check::Decode`].
    FirstPass,
    /// They are known to be sound.
    Nothing,
}

/// What a first pass is made with, and on.
pub(in crate::fit) struct FirstPass<'a> {
    pub(in crate::fit) model: &'a Model,
    pub(in crate::fit) dataset: &'a mut Dataset,
    pub(in crate::fit) pipeline: &'a Pipeline,
    pub(in crate::fit) setting: &'a Setting,
    pub(in crate::fit) solving: Option<&'a mut Solving>,
    /// All stages that may come.
    pub(in crate::fit) ahead: &'a [Ahead],
}

/// What a first pass found.
#[derive(Default)]
pub(in crate::fit) struct Checked {
    /// The damaged files.
    pub(in crate::fit) skips: SkipReport,
    /// The frozen layers that it compiled.
    pub(in crate::fit) known: Prefixes,
}

/// Finds the damaged files of a dataset that is not split yet.
pub(in crate::fit) fn check(
    check: Check,
    pass: &mut FirstPass<'_>,
    observe: Observer<'_>,
) -> Result<Checked> {
    if check == Check::Nothing {
        return Ok(Checked::default());
    }
    let is_solved = check == Check::FirstPass && pass.solving.is_some();
    // arrays are taken through the network here, too, though none of them is damaged
    let count = if is_solved { pass.dataset.examples().count() } else { files(pass.dataset).len() };
    let done = AtomicUsize::new(0);
    let told = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        observe(&Event::Checking { done, images: count });
    };
    if is_solved {
        return Ok(Checked { skips: for_solving(pass, &told)?, ..Checked::default() });
    }
    let files = files(pass.dataset);
    let examples: Vec<&Example> = files.iter().map(|(_, one)| *one).collect();
    let stores = check == Check::FirstPass && may_store(source(pass), pass.setting) && !files.is_empty();
    let targets = if stores { Targets::of(pass, &examples, &told)? } else { None };
    let Some(mut targets) = targets else {
        return Ok(Checked { skips: check_all(pass.dataset, &|_| told())?, ..Checked::default() });
    };
    targets.run(source(pass), &examples, &told)?;
    let Targets { contents, errors, store, .. } = targets;
    let read: Vec<_> =
        examples.iter().zip(contents).filter_map(|(one, hash)| Some((one.input.clone(), hash?))).collect();
    let skips = SkipReport::new(pass.dataset, &files, errors)?;
    pass.dataset.note_contents(read);
    Ok(Checked { skips, known: store.prefixes() })
}

/// The features that a head is solved on, of all parts.
fn for_solving(pass: &mut FirstPass<'_>, told: &(dyn Fn() + Sync)) -> Result<SkipReport> {
    let FirstPass { solving, dataset, pipeline, setting, .. } = pass;
    let Some(solving) = solving else { return Ok(SkipReport::default()) };
    let dataset: &Dataset = dataset;
    let examples: Vec<&Example> = dataset.examples().map(|(_, example)| example).collect();
    let errors = solving.gather(dataset, pipeline, setting, &examples, told)?;
    let mut of_files = Vec::new();
    for (example, error) in examples.iter().zip(errors) {
        match (example.is_file(), error) {
            (true, error) => of_files.push(error),
            (false, Some(error)) => return Err(error.into()),
            (false, None) => {}
        }
    }
    Ok(SkipReport::new(dataset, &files(dataset), of_files)?)
}

/// Whether a first pass may make the feature vectors of all images, whatever part they will be in.
pub(in crate::fit) fn may_store(source: Source<'_>, setting: &Setting) -> bool {
    matches!(setting.caching, Caching::Disk(_)) && Views::of(source, setting).is_none()
}

fn source<'a>(pass: &'a FirstPass<'_>) -> Source<'a> {
    Source { dataset: pass.dataset, pipeline: pass.pipeline }
}

/// What is to be stored of the images.
struct Targets {
    store: FeatureStore,
    boundaries: Vec<BoundaryId>,
    /// Of each image that is unlike the others before it: the first file that holds it, and its key.
    unique: Vec<(usize, FeatureKey)>,
    /// Of each file: the first one that holds the same.
    same_as: Vec<usize>,
    /// Of each file that can be read: its hash.
    contents: Vec<Option<blake3::Hash>>,
    /// Of each file: what is wrong with it.
    errors: Vec<Option<DataError>>,
}

impl Targets {
    /// None where no feature vectors would be stored.
    fn of(pass: &FirstPass<'_>, examples: &[&Example], told: &(dyn Fn() + Sync)) -> Result<Option<Self>> {
        let FirstPass { model, setting, ahead, .. } = *pass;
        let source = source(pass);
        let Some(first) = ahead.first() else { return Ok(None) };
        let own = compile_frozen(&setting.dtype, model, &first.freeze, &[source.pipeline.input().to_vec()])?;
        if own.is_identity() {
            return Ok(None);
        }
        let hashes: Vec<_> =
            examples.par_iter().map(|example| source.dataset.content_hash(example)).collect();
        let contents: Vec<_> = hashes.iter().map(|hash| hash.as_ref().ok().copied()).collect();
        let errors: Vec<_> = hashes.into_iter().map(std::result::Result::err).collect();
        let mut same_as: Vec<usize> = (0..examples.len()).collect();
        // in the order of the files, so that the cache's files are the same in every run
        let mut unique: Vec<(usize, FeatureKey)> = Vec::new();
        let mut seen: HashMap<FeatureKey, usize> = HashMap::new();
        for (index, hash) in contents.iter().enumerate() {
            let Some(hash) = hash else { continue };
            let key = FeatureKey::new(hash, None);
            same_as[index] = *seen.entry(key).or_insert(index);
            if same_as[index] == index {
                unique.push((index, key));
            }
        }
        let keys: Vec<FeatureKey> = unique.iter().map(|(_, key)| *key).collect();
        let mut store = FeatureStore::new(&setting.caching, setting.config.features);
        let parts = [Part { name: PART, images: keys.len(), views: 1, keys }];
        store.begin(own, &Begin { model, numbers: &setting.dtype, source, parts: &parts, ahead })?;
        let mut boundaries = store.stored(PART);
        boundaries.retain(|boundary| !store.is_memory(*boundary));
        if boundaries.is_empty() {
            return Ok(None);
        }
        errors.iter().flatten().for_each(|_| told());
        Ok(Some(Self { store, boundaries, unique, same_as, contents, errors }))
    }

    /// Makes the feature vectors that are missing, and finds the damaged files.
    fn run(&mut self, source: Source<'_>, examples: &[&Example], told: &(dyn Fn() + Sync)) -> Result<()> {
        let keys: Vec<FeatureKey> = self.unique.iter().map(|(_, key)| *key).collect();
        let at = At { part: PART, view: 0, keys: &keys };
        let is_known =
            |index: usize| self.boundaries.iter().any(|boundary| self.store.has(*boundary, &at, index));
        let (known, new): (Vec<usize>, Vec<usize>) = (0..keys.len()).partition(|index| is_known(*index));
        known.iter().for_each(|_| told());
        let lens: Vec<usize> =
            self.boundaries.iter().map(|boundary| self.store.feature_len(*boundary)).collect();
        let mut has_room = true;
        for chunk in new.chunks(images_at_once(lens.iter().sum())) {
            let chunk: Vec<(usize, FeatureKey)> = chunk.iter().map(|index| self.unique[*index]).collect();
            if has_room {
                has_room = self.store_chunk(&chunk, &lens, source, examples, told)?;
            } else {
                let check = |(file, _): &(usize, FeatureKey)| check_example(examples[*file]).err();
                let found: Vec<_> = chunk.par_iter().map(check).collect();
                found.into_iter().zip(&chunk).for_each(|(error, (file, _))| self.errors[*file] = error);
                chunk.iter().for_each(|_| told());
            }
        }
        for (file, first) in self.same_as.iter().enumerate().filter(|(file, first)| file != *first) {
            told();
            if self.errors[*first].is_some() {
                self.errors[file] = check_example(examples[file]).err();
            }
        }
        Ok(())
    }

    /// Makes the feature vectors of some images, and stores those of the sound ones. False where the cache is full.
    fn store_chunk(
        &mut self,
        chunk: &[(usize, FeatureKey)],
        lens: &[usize],
        source: Source<'_>,
        examples: &[&Example],
        told: &(dyn Fn() + Sync),
    ) -> Result<bool> {
        let images: Vec<&Example> = chunk.iter().map(|(file, _)| examples[*file]).collect();
        let (_, pass) = self.store.pass(&self.boundaries, |_, _| false);
        let mut features = vec![0.0; chunk.len() * lens.iter().sum::<usize>()];
        let loaded = pass.run_images(source, &images, None, &self.store.pixels, &mut features, told);
        let mut sound = vec![true; chunk.len()];
        for ((sound, (file, _)), error) in sound.iter_mut().zip(chunk).zip(loaded) {
            let Err(error) = error else { continue };
            // a file that is not damaged is at odds with the model: that is no reason to leave it out
            let Err(damage) = check_example(examples[*file]) else { return Err(error.into()) };
            self.errors[*file] = Some(damage);
            *sound = false;
        }
        let keys: Vec<FeatureKey> =
            chunk.iter().zip(&sound).filter(|(_, sound)| **sound).map(|((_, key), _)| *key).collect();
        let mut has_room = true;
        for (position, boundary) in self.boundaries.iter().enumerate() {
            let own = column(&features, lens, position).zip(&sound).filter(|(_, sound)| **sound);
            has_room &= self.store.append(*boundary, &keys, own.map(|(vector, _)| vector));
        }
        Ok(has_room)
    }
}
