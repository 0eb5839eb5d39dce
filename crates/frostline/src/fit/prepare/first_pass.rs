//! The first pass over image files finds the damaged ones: decoding them for that alone would be to decode each twice.

use crate::fit::features::ahead::Ahead;
use crate::fit::features::cache::FeatureKey;
use crate::fit::features::feature_store::{Begin, FeatureStore};
use crate::fit::features::feature_table::{At, Part};
use crate::fit::features::passes::{Views, column, images_at_once};
use crate::fit::{Caching, Event, Observer, Setting, Solving, Source};
use frostline_data::{
    DataError, Dataset, Example, Input, Pipeline, SkipReport, check_all, check_file, files,
};
use frostline_engine::compile::compile_frozen;
use frostline_graph::{Model, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How image files are checked before a training is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Each is decoded, and nothing else.
    Decode,
    /// What is decoded goes through the frozen layers of the first stage at once, and the rows are stored, so that no
    /// image is decoded twice; one whose rows are stored already was decoded before, and is not decoded at all. Where
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

/// Finds the damaged files of a dataset that is not split yet.
pub(in crate::fit) fn check(
    check: Check,
    pass: &mut FirstPass<'_>,
    observe: Observer<'_>,
) -> Result<SkipReport> {
    if check == Check::Nothing {
        return Ok(SkipReport::default());
    }
    let (done, count) = (AtomicUsize::new(0), files(pass.dataset).len());
    let told = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        observe(&Event::Checking { done, images: count });
    };
    if check == Check::FirstPass && pass.solving.is_some() {
        return for_solving(pass, &told);
    }
    let files = files(pass.dataset);
    let errors = match check == Check::FirstPass && may_store(source(pass), pass.setting) && !files.is_empty()
    {
        true => {
            let examples: Vec<(&Example, &Path)> = files.iter().map(|(_, one, path)| (*one, *path)).collect();
            first_pass(pass, &examples, &told)?
        }
        false => None,
    };
    match errors {
        Some((errors, hashes)) => {
            let read: Vec<_> = files
                .iter()
                .zip(hashes)
                .filter_map(|((_, one, _), hash)| Some((one.input.clone(), hash?)))
                .collect();
            let report = SkipReport::new(pass.dataset, &files, errors)?;
            pass.dataset.note_contents(read);
            Ok(report)
        }
        None => Ok(check_all(pass.dataset, &|_| told())?),
    }
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
        match (&example.input, error) {
            (Input::File(_), error) => of_files.push(error),
            (Input::Row { .. }, Some(error)) => return Err(error.into()),
            (Input::Row { .. }, None) => {}
        }
    }
    Ok(SkipReport::new(dataset, &files(dataset), of_files)?)
}

/// Whether a first pass may make the rows of all images, whatever part they will be in.
pub(in crate::fit) fn may_store(source: Source<'_>, setting: &Setting) -> bool {
    matches!(setting.caching, Caching::Disk(_)) && Views::of(source, setting).is_none()
}

fn source<'a>(pass: &'a FirstPass<'_>) -> Source<'a> {
    Source { dataset: pass.dataset, pipeline: pass.pipeline }
}

type Errors = Vec<Option<DataError>>;
type Contents = Vec<Option<blake3::Hash>>;

/// The error of each file, if any, found while rows are made, and the hash of what could be read; none where no rows would be
/// stored.
fn first_pass(
    pass: &FirstPass<'_>,
    examples: &[(&Example, &Path)],
    told: &(dyn Fn() + Sync),
) -> Result<Option<(Errors, Contents)>> {
    let FirstPass { model, setting, ahead, .. } = *pass;
    let (dataset, source): (&Dataset, _) = (pass.dataset, source(pass));
    let Some(first) = ahead.first() else { return Ok(None) };
    let own = compile_frozen(&setting.dtype, model, &first.freeze, &[source.pipeline.input().to_vec()])?;
    if own.is_identity() {
        return Ok(None);
    }
    let hashes: Vec<_> = examples.par_iter().map(|(example, _)| dataset.content_hash(example)).collect();
    let contents: Contents = hashes.iter().map(|hash| hash.as_ref().ok().copied()).collect();
    let mut errors: Errors = Vec::new();
    let mut by_content: HashMap<FeatureKey, Vec<usize>> = HashMap::new();
    for (index, hash) in hashes.into_iter().enumerate() {
        match &hash {
            Ok(hash) => by_content.entry(FeatureKey::new(hash, None)).or_default().push(index),
            Err(_) => told(),
        }
        errors.push(hash.err());
    }
    // in the order of the files, so that the cache's files are the same in every run
    let mut unique: Vec<(usize, FeatureKey)> =
        by_content.iter().map(|(key, indices)| (indices[0], *key)).collect();
    unique.sort();
    let keys: Vec<FeatureKey> = unique.iter().map(|(_, key)| *key).collect();
    let mut store = FeatureStore::new(&setting.caching, setting.config.features);
    let parts = [Part { name: "all", images: keys.len(), views: 1, keys: keys.clone() }];
    let begin = Begin { model, numbers: &setting.dtype, source, parts: &parts, ahead };
    store.begin(own, &begin)?;
    let mut targets = store.stored("all");
    targets.retain(|target| !store.is_memory(*target));
    if targets.is_empty() {
        return Ok(None);
    }
    let at = At { part: "all", view: 0, keys: &keys };
    let is_known = |index: usize| targets.iter().any(|target| store.has(*target, &at, index));
    let (known, new): (Vec<usize>, Vec<usize>) = (0..keys.len()).partition(|index| is_known(*index));
    known.iter().for_each(|_| told());
    let lens: Vec<usize> = targets.iter().map(|target| store.feature_len(*target)).collect();
    let width: usize = lens.iter().sum();
    let mut has_room = true;
    for chunk in new.chunks(images_at_once(width)) {
        let example = |index: &usize| examples[unique[*index].0];
        let paths: Vec<&Path> = chunk.iter().map(|index| example(index).1).collect();
        if !has_room {
            let found: Errors = paths.par_iter().map(|path| check_file(path).err()).collect();
            found.into_iter().zip(chunk).for_each(|(error, index)| errors[unique[*index].0] = error);
            chunk.iter().for_each(|_| told());
            continue;
        }
        let chunk_examples: Vec<&Example> = chunk.iter().map(|index| example(index).0).collect();
        let (_, pass) = store.pass(&targets, |_, _| false);
        let mut rows = vec![0.0; chunk.len() * width];
        let loaded = pass.run_images(source, &chunk_examples, None, &store.pixels, &mut rows, told);
        let mut sound = vec![true; chunk.len()];
        for ((position, error), path) in loaded.into_iter().enumerate().zip(&paths) {
            let Err(error) = error else { continue };
            // a file that is not damaged is at odds with the model: that is no reason to leave it out
            let Err(damage) = check_file(path) else { return Err(error.into()) };
            errors[unique[chunk[position]].0] = Some(damage);
            sound[position] = false;
        }
        let is_sound = |position: &usize| sound[*position];
        let sound_keys: Vec<FeatureKey> =
            (0..chunk.len()).filter(is_sound).map(|position| keys[chunk[position]]).collect();
        for (position, target) in targets.iter().enumerate() {
            let own = column(&rows, &lens, position).zip(&sound).filter(|(_, sound)| **sound);
            has_room &= store.append(*target, &sound_keys, own.map(|(row, _)| row))?;
        }
    }
    for indices in by_content.values().filter(|indices| indices.len() > 1) {
        for other in &indices[1..] {
            told();
            if errors[indices[0]].is_some() {
                errors[*other] = check_file(examples[*other].1).err();
            }
        }
    }
    Ok(Some((errors, contents)))
}
