//! Solving the head of a run anew for other classes, and the proof that nothing else has changed.

use super::earlier::{EarlierRun, add, class_of};
use super::scores::{ClassBefore, found, of_pairs, recorded};
use crate::fit::{Caching, Check, Hashes, Observer, Prepared, Trained, frozen_hashes, prepare};
use crate::report::{Provenance, RunFolder, RunImages, RunRecord};
use frostline_data::{Dataset, Example, LabelKind, Split, Target};
use frostline_formats as formats;
use frostline_graph::{Error, Freeze, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Fewer classes than this cannot be told apart.
const LEAST: usize = 2;

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassChange {
    /// The photos of this folder become a class that is called as the folder.
    Add(PathBuf),
    /// The class of this name goes, with its photos.
    Remove(String),
}

/// The new run, and what became of the old one's classes and tensors.
#[derive(Debug, Serialize)]
pub struct ChangedRun {
    /// The class that was added or removed.
    pub class: String,
    /// Scores of training photos by a head that had not seen them, in the earlier run.
    pub before: Vec<ClassBefore>,
    /// The share of them that was right.
    pub accuracy_before: f64,
    /// The same in the new run.
    pub after: Vec<ClassBefore>,
    /// The share that is right now.
    pub accuracy_after: f64,
    /// Tensors that hash the same in both model files.
    pub unchanged: usize,
    /// blake3 over the paths and hashes of these.
    pub unchanged_hash: String,
    /// The tensors of the head, which differ, with their shapes before and now.
    pub changed: BTreeMap<String, [Vec<usize>; 2]>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// The record of the new run.
    #[serde(skip)]
    pub record: RunRecord,
    /// How long all of it took.
    pub seconds: f64,
}

/// Writes a run into `output` that is the one in `run` but for one class. `data`: where the run's data lie now, if not where
/// they lay. Features that the cache holds are not computed again.
///
/// # Errors
///
/// A run whose head was not solved, or whose layers were trained after it; data that are gone; a class that is there already or
/// is not there; fewer than two classes.
pub fn change_classes(
    run: &Path,
    change: &ClassChange,
    output: &Path,
    data: Option<&Path>,
    caching: Caching,
    observe: Observer<'_>,
) -> Result<ChangedRun> {
    let start = Instant::now();
    let earlier = EarlierRun::read(run)?;
    let recipe = earlier.recipe(run)?;
    let data = data.unwrap_or(&earlier.source.data).to_owned();
    RunFolder::check(output, &data)?;
    let (mut reading, mut added) = (earlier.source.reading.clone(), earlier.source.added.clone());
    let named = added.iter().map(|folder| class_of(folder)).collect::<Result<Vec<_>>>();
    let class = match change {
        ClassChange::Add(folder) => class_of(folder)?,
        ClassChange::Remove(name) => name.clone(),
    };
    if let ClassChange::Remove(name) = change {
        if !earlier.classes.contains(name) {
            return Err(Error::setting(format!(
                "the run has no class `{name}`\nhelp: it has {}",
                earlier.classes.join(", ")
            )));
        }
        if earlier.classes.len() <= LEAST {
            return Err(Error::setting(format!(
                "without `{name}` the run has one class, which is told from nothing\nhelp: add a class first"
            )));
        }
        match named?.iter().position(|added| added == name) {
            Some(at) => drop(added.remove(at)),
            None => {
                let of_data = earlier.classes.len() - added.len();
                let left = earlier.classes[..of_data].iter().filter(|class| *class != name);
                reading.classes = Some(left.cloned().collect());
            }
        }
    }
    let mut dataset = earlier.dataset(&data, &reading, &added)?;
    if let ClassChange::Add(folder) = change {
        add(&mut dataset, folder)?;
        added.push(folder.clone());
    }
    if dataset.kind() != LabelKind::Classes {
        return Err(Error::setting(format!(
            "the run's data, `{}`, have no classes of which each photo has one\nhelp: train again on other data",
            data.display()
        )));
    }
    let before = recorded(run)?;
    let loaded = formats::load(run)?;
    let was = frozen_hashes(&loaded.model, &Freeze::everything(&loaded.model.graph));
    let shapes_before = shapes(&loaded.model);
    let (seed, validation) = (earlier.seed, &earlier.validation);
    let mut prepared =
        prepare(Check::FirstPass, loaded.model, dataset, recipe, validation, seed, caching, observe)?;
    let wanted: Vec<&String> = match change {
        ClassChange::Add(_) => earlier.classes.iter().chain([&class]).collect(),
        ClassChange::Remove(name) => earlier.classes.iter().filter(|class| *class != name).collect(),
    };
    if !prepared.dataset.classes.iter().eq(wanted.iter().copied()) {
        return Err(Error::data(format!(
            "`{}` holds other classes than the run was trained on: {}\nhelp: bring them back, or train again",
            data.display(),
            prepared.dataset.classes.join(", ")
        )));
    }
    prepared.notes.retain(|note| !note.contains(" reused layers as not trainable"));
    let known = RunImages::read(run)?.unwrap_or_default();
    prepared.notes.extend(since(&known, &prepared.dataset, &class, &before));
    let mut source = Provenance::new(run, None, &data, reading, rayon::current_num_threads())?;
    source.added = added;
    let folder = RunFolder::create(output, &data)?;
    let trained = prepared.train(observe)?;
    let seconds = start.elapsed().as_secs_f64();
    let record = folder.finish(&prepared, &trained, source, seconds)?;
    let is = formats::load(output)?.model;
    let proof = Proof::new(&was, &frozen_hashes(&is, &Freeze::everything(&is.graph)), &prepared)?;
    let shapes_now = shapes(&is);
    let both = |path: String| {
        let of = |all: &BTreeMap<String, Vec<usize>>| all.get(&path).cloned().unwrap_or_default();
        let pair = [of(&shapes_before), of(&shapes_now)];
        (path, pair)
    };
    let (before, accuracy_before) = of_pairs(&before, &earlier.classes);
    let (after, accuracy_after) = of_pairs(&now(&trained, &prepared), &prepared.dataset.classes);
    Ok(ChangedRun {
        class,
        before,
        accuracy_before,
        after,
        accuracy_after,
        unchanged: proof.unchanged,
        unchanged_hash: proof.hash,
        changed: proof.changed.into_iter().map(both).collect(),
        notes: prepared.notes.clone(),
        record,
        seconds,
    })
}

/// Says where the data are not what the run was trained on, but for the class that is added or removed.
fn since(known: &RunImages, dataset: &Dataset, class: &str, before: &[(String, String)]) -> Option<String> {
    let is_of_class = |example: &&Example| matches!(example.target, Target::Class(index) if dataset.classes[index] == class);
    let is_known = |example: &&Example| {
        dataset.content(example).is_some_and(|content| known.has(Split::Train, &content))
    };
    let others: Vec<&Example> = dataset.train.iter().filter(|example| !is_of_class(example)).collect();
    let there = others.iter().filter(|example| is_known(example)).count();
    let removed = before.iter().filter(|(label, _)| label == class).count();
    let (new, gone) = (others.len() - there, known.count(Split::Train).saturating_sub(there + removed));
    (new + gone > 0).then(|| {
        format!(
            "of `{}` {new} photos are new since the earlier run, and {gone} that it was trained on are gone: the head is solved on what is there now",
            dataset.source.display()
        )
    })
}

fn now(trained: &Trained, prepared: &Prepared) -> Vec<(String, String)> {
    let left_out = trained.solved.as_ref().map_or(&[][..], |head| &head.left_out);
    found(left_out, &prepared.dataset.classes)
}

fn shapes(model: &frostline_graph::Model) -> BTreeMap<String, Vec<usize>> {
    model
        .weights
        .iter()
        .map(|(path, handle)| (path.to_owned(), handle.with(|tensor| tensor.shape.clone())))
        .collect()
}

/// Which tensors are the same in both models.
struct Proof {
    unchanged: usize,
    hash: String,
    changed: Vec<String>,
}

impl Proof {
    /// Errors: a tensor of a reused layer differs, which must never be.
    fn new(was: &Hashes, is: &Hashes, prepared: &Prepared) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let (mut unchanged, mut changed) = (0, Vec::new());
        for path in was.keys().chain(is.keys().filter(|path| !was.contains_key(*path))) {
            match (was.get(path), is.get(path)) {
                (Some(one), Some(other)) if one == other => {
                    unchanged += 1;
                    hasher.update(format!("{path} {one}\n").as_bytes());
                }
                _ => changed.push(path.clone()),
            }
        }
        let of_reused = |path: &&String| {
            let layer = path.rsplit_once('/').map_or(path.as_str(), |(layer, _)| layer);
            prepared.reused.iter().any(|reused| reused == layer)
        };
        match changed.iter().find(of_reused) {
            Some(path) => Err(Error::weights(format!(
                "`{path}` differs from the earlier run's, though its layer was frozen\nhelp: this must never be; please report it"
            ))),
            None => Ok(Self { unchanged, hash: hasher.finalize().to_hex().to_string(), changed }),
        }
    }
}
