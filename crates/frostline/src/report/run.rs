//! The run directory and its record.

use super::files::{CHECKPOINT, IMAGES, LEFT_OUT, METRICS, MODEL, NOVELTY, PAGE, RECORD, SHARDS};
use super::images::RunImages;
use super::interval::interval;
#[cfg(feature = "report")]
use super::page::Training;
use super::table_cell::spreadsheet_safe;
use crate::fit::{
    Certificate, Checkpoints, ClassScore, EpochRecord, Findings, LeftOut, Prepared, Prospect, RateSearch,
    Scores, SolvedHead, StageReport, TrainConfig, Trained, Unfreezing, Validation, peak_memory,
};
use frostline_data::{Reading, Skip, serialize_path};
use frostline_files::{TEMPORARY, regular, write_atomically};
use frostline_formats::{self, Architecture, LoadReport};
use frostline_graph::{Error, Model, Result};
use frostline_head::novelty::Novelty;
use serde::Serialize;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where a model and its data came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// The model file.
    #[serde(serialize_with = "serialize_path")]
    pub model: PathBuf,
    /// What the user said that it holds the weights of, where it holds weights alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// blake3 of its bytes.
    pub model_hash: String,
    /// The folder or file of the data.
    #[serde(serialize_with = "serialize_path")]
    pub data: PathBuf,
    /// What was said of the data.
    #[serde(skip_serializing_if = "Reading::is_silent")]
    pub reading: Reading,
    /// Folders besides, each with the photos of one more class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<PathBuf>,
    /// Threads that worked.
    pub threads: usize,
}

impl Provenance {
    /// Hashes the model's file.
    pub fn new(
        model: &Path,
        arch: Option<Architecture>,
        data: &Path,
        reading: Reading,
        threads: usize,
    ) -> Result<Self> {
        let file = frostline_formats::model_file(model);
        let mut hasher = blake3::Hasher::new();
        let read = File::open(&file).and_then(|model| hasher.update_reader(model).map(drop));
        read.map_err(|source| Error::io(&file, source))?;
        let model_hash = hasher.finalize().to_hex().to_string();
        let arch = arch.map(|arch| arch.to_string());
        let (model, data, added) = (model.to_owned(), data.to_owned(), Vec::new());
        Ok(Self { model, arch, model_hash, data, reading, added, threads })
    }

    /// Of a model in memory, which is called `name`: the hash is that of its weights with their paths.
    pub fn in_memory(model: &Model, name: &Path, data: &Path, reading: Reading, threads: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (path, weight) in model.weights.iter() {
            hasher.update(path.as_bytes()).update(&[0]);
            weight.with(|tensor| {
                hasher.update(bytemuck::cast_slice(&tensor.data));
            });
        }
        let model_hash = hasher.finalize().to_hex().to_string();
        let (model, data, added) = (name.to_owned(), data.to_owned(), Vec::new());
        Self { model, arch: None, model_hash, data, reading, added, threads }
    }
}

/// `run.json`.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord {
    /// frostline's version.
    pub version: &'static str,
    /// Where model and data came from.
    pub source: Provenance,
    /// The seed of split, order, dropout, views and new weights.
    pub seed: u64,
    /// What was asked for.
    pub recipe: TrainConfig,
    /// Where validation images came from: `auto` (the data's own, else a fifth), a fraction, or a folder.
    pub validation: Validation,
    /// The classes in the order of the outputs; empty where numbers are learned.
    pub classes: Vec<String>,
    /// Images that were trained on, validated on, tested on.
    pub images: [usize; 3],
    /// Images that were left out.
    pub skipped: Vec<Skip>,
    /// What the user was told.
    pub notes: Vec<String>,
    /// The share of images of the classes that predictions take for none of them, with the ends of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<[f64; 3]>,
    /// What was found in the training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// The head, where it was solved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solved: Option<SolvedHead>,
    /// What came of training reused layers after it, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfreezing: Option<Unfreezing>,
    /// What is to be expected of new images, where the head was solved and nothing was trained after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Prospect>,
    /// How the learning rate was found, where it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_search: Option<RateSearch>,
    /// Each stage.
    pub stages: Vec<StageReport>,
    /// The training scores of the epoch that was kept, as means over its batches.
    pub train: Option<Scores>,
    /// The validation scores.
    pub val: Option<Scores>,
    /// The test scores.
    pub test: Option<TestRecord>,
    /// The same with the whole model in f32, where the frozen part was in other numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_f32: Option<Scores>,
    /// The layers whose outputs leave the frozen prefix.
    pub boundary: Vec<String>,
    /// The layers that were frozen from beginning to end.
    pub frozen: Vec<String>,
    /// Their tensors' hashes before and after.
    pub certificate: Certificate,
    /// The trained model.
    #[serde(serialize_with = "serialize_path")]
    pub model: PathBuf,
    /// The largest memory of the process in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
    /// How long all of it took.
    pub seconds: f64,
}

/// The test scores, by class too.
#[derive(Clone, Debug, Serialize)]
pub struct TestRecord {
    /// Loss and metrics.
    #[serde(flatten)]
    pub scores: Scores,
    /// The ends of the 95 % interval of the accuracy (of labels: of how often all are right), or of the mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// By class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassScore>,
    /// `confusion[true class][predicted class]` images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
}

/// What tells images that are none of the classes, where a run, given as its folder, has it.
///
/// Errors: a file that cannot be read.
pub fn read_novelty(model: &Path) -> Result<Option<Novelty>> {
    let file = model.join(NOVELTY);
    if !model.is_dir() || !file.exists() {
        return Ok(None);
    }
    let bytes = regular::read(&file).map_err(|source| Error::io(&file, source))?;
    let damaged = |error| {
        let message = format!(
            "{error}\nhelp: the file is damaged; without it no image is told to be none of the classes"
        );
        Error::format(&file, message)
    };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// What a training may have left in its folder; the first wherever there is another, but for a checkpoint.
const OWN: [&str; 7] = [METRICS, MODEL, IMAGES, LEFT_OUT, NOVELTY, PAGE, CHECKPOINT];

/// A run directory that is being filled.
#[derive(Debug)]
pub struct RunFolder {
    pub(in crate::report) path: PathBuf,
    metrics: Mutex<File>,
    #[cfg_attr(not(feature = "report"), allow(dead_code, reason = "a page tells it"))]
    told: Told,
}

/// What a page says besides of what a record holds.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "report"), expect(dead_code, reason = "pages alone say it"))]
struct Told {
    load: Option<LoadReport>,
    command: Vec<String>,
}

impl RunFolder {
    /// Says what speaks against a run at `path`, before anything is trained: a finished run, a file, files that no run
    /// left there, or the folder of the data.
    pub fn check(path: &Path, data: &Path) -> Result<()> {
        if path.join(RECORD).exists() {
            return Err(Error::setting(format!(
                "`{}` holds a finished run already\nhelp: give another folder with the setting `output`, or remove that one",
                path.display()
            )));
        }
        if Checkpoints::are_in(&Self::checkpoints_of(path)) {
            return Err(Error::setting(format!(
                "`{}` holds the checkpoint of a training that was stopped\nhelp: the setting `resume` goes on with it; to begin anew, remove `{}`",
                path.display(),
                Self::checkpoints_of(path).display()
            )));
        }
        Self::check_place(path, data, &OWN)
    }

    /// The same for a training that goes on where there is a checkpoint. Of a finished run it says so.
    pub fn check_resume(path: &Path, data: &Path) -> Result<()> {
        if path.join(RECORD).exists() {
            // what a process left that was killed between the record and this
            Checkpoints::remove(&Self::checkpoints_of(path))?;
            return Err(Error::setting(format!(
                "`{}` holds a finished run, there is nothing to go on with\nhelp: `frostline evaluate {}` scores it; to train anew, give another folder with the setting `output`",
                path.display(),
                path.display()
            )));
        }
        Self::check_place(path, data, &OWN)
    }

    /// The folder of the checkpoints of a run.
    pub fn checkpoints_of(path: &Path) -> PathBuf {
        path.join(CHECKPOINT)
    }

    /// `own`: the files that may be there, the first of them wherever there is another.
    pub(in crate::report) fn check_place(path: &Path, data: &Path, own: &[&str]) -> Result<()> {
        if path.is_file() {
            return Err(Error::setting(format!(
                "`{}` is a file\nhelp: give a folder for the run with -o; it is made if it is not there",
                path.display()
            )));
        }
        let names = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        let is_left_over = names.iter().any(|name| name == own[0])
            || own.contains(&CHECKPOINT) && Checkpoints::are_in(&Self::checkpoints_of(path));
        // what processes have left that share a search is there before all else
        let is_shared = |name: &&String| own.contains(&SHARDS) && *name == SHARDS;
        if let Some(other) = names
            .iter()
            .filter(|name| !name.starts_with(TEMPORARY) && !is_shared(name))
            .find(|name| !own.contains(&name.as_str()) || !is_left_over)
        {
            return Err(Error::setting(format!(
                "`{}` holds other files, such as `{other}`\nhelp: give a new folder with -o",
                path.display()
            )));
        }
        if data.is_dir() && resolved(path).starts_with(resolved(data)) {
            return Err(Error::setting(format!(
                "`{}` lies in the data, where it would be taken for a class\nhelp: give a folder elsewhere with -o",
                path.display()
            )));
        }
        Ok(())
    }

    /// Makes the directory, or takes one that [`RunFolder::check`] says nothing against.
    pub fn create(path: &Path, data: &Path) -> Result<Self> {
        Self::check(path, data)?;
        let folder = Self::open(path)?;
        folder.tidy()?;
        folder.begin_training()?;
        Ok(folder)
    }

    /// The same with [`RunFolder::check_resume`]. What the folder holds is left as it is, see [`RunFolder::go_on`].
    pub fn resume(path: &Path, data: &Path) -> Result<Self> {
        Self::check_resume(path, data)?;
        let folder = Self::open(path)?;
        folder.tidy()?;
        Ok(folder)
    }

    /// Cuts `metrics.jsonl` back to the first `epochs` lines, which are those that a checkpoint knows of. Says where lines are
    /// missing.
    pub fn go_on(&self, epochs: usize) -> Result<Option<String>> {
        let file = self.path.join(METRICS);
        let failed = |source| Error::io(&file, source);
        let text = regular::read(&file).map_err(failed)?;
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends: Vec<usize> = ends.take(epochs).collect();
        let len = ends.last().copied().unwrap_or(0);
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.set_len(len as u64).map_err(failed)?;
        Ok((ends.len() < epochs).then(|| {
            format!(
                "`{}` has lost {} of the {epochs} epochs that were trained before: they are missing in it, and nowhere else",
                file.display(),
                epochs - ends.len()
            )
        }))
    }

    /// Removes what a process left that was killed while it wrote.
    fn tidy(&self) -> Result<()> {
        let failed = |source| Error::io(&self.path, source);
        for entry in std::fs::read_dir(&self.path).map_err(failed)?.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(in crate::report) fn open(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|source| Error::io(path, source))?;
        let file = path.join(METRICS);
        let metrics = OpenOptions::new().create(true).append(true).open(&file);
        let metrics = metrics.map_err(|source| Error::io(&file, source))?;
        // some file systems have no locks
        if let Err(TryLockError::WouldBlock) = metrics.try_lock() {
            return Err(Error::setting(format!(
                "another process trains into `{}`\nhelp: wait for it or end it, or give another folder with the setting `output`",
                path.display()
            )));
        }
        Ok(Self { path: path.to_owned(), metrics: Mutex::new(metrics), told: Told::default() })
    }

    /// The same with what the page is to say of the model's file, and of the command, word by word, that was given.
    pub fn telling(self, load: LoadReport, command: Vec<String>) -> Self {
        Self { told: Told { load: Some(load), command }, ..self }
    }

    /// Before the model is trained: what is recorded of an earlier one no longer holds.
    pub fn begin_training(&self) -> Result<()> {
        let record = self.path.join(RECORD);
        if record.exists() {
            std::fs::remove_file(&record).map_err(|source| Error::io(&record, source))?;
        }
        let emptied = self.metrics.lock().unwrap_or_else(PoisonError::into_inner).set_len(0);
        emptied.map_err(|source| Error::io(self.path.join(METRICS), source))
    }

    pub(in crate::report) fn json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let file = self.path.join(name);
        let text = serde_json::to_vec_pretty(value).map_err(|error| Error::io(&file, error.into()))?;
        Ok(write_atomically(&file, &text)?)
    }

    /// Writes what is said of each training image by a head that has not seen it.
    fn left_out(&self, images: &[LeftOut], classes: &[String]) -> Result<()> {
        let file = self.path.join(LEFT_OUT);
        let broken = |error: csv::Error| Error::io(&file, error.into());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let named = ["image", "label", "predicted"].into_iter().map(str::to_owned);
        let classes_named = classes.iter().map(|class| spreadsheet_safe(class).into_owned());
        writer.write_record(named.chain(classes_named)).map_err(broken)?;
        for image in images {
            let names = [&image.name, &classes[image.label], &classes[image.predicted()]];
            let shares = image.probabilities.iter().map(|share| format!("{share:.6}"));
            let names = names.into_iter().map(|name| spreadsheet_safe(name).into_owned());
            writer.write_record(names.chain(shares)).map_err(broken)?;
        }
        let bytes = writer.into_inner().map_err(|error| Error::io(&file, error.into_error()))?;
        Ok(write_atomically(&file, &bytes)?)
    }

    /// Adds a line to `metrics.jsonl`.
    pub fn epoch(&self, record: &EpochRecord) -> Result<()> {
        let broken = |source: std::io::Error| Error::io(self.path.join(METRICS), source);
        let mut line = serde_json::to_vec(record).map_err(|error| broken(error.into()))?;
        line.push(b'\n');
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line).map_err(broken)
    }

    /// Writes the model, what its images were, with the feature `report` a page, and, last, the record.
    pub fn finish(
        self,
        prepared: &Prepared,
        trained: &Trained,
        source: Provenance,
        seconds: f64,
    ) -> Result<RunRecord> {
        let record = self.without_record(prepared, trained, source, seconds)?;
        #[cfg(feature = "report")]
        let record = self.with_page(prepared, trained, record, |training| training.page());
        self.seal(&record)?;
        Ok(record)
    }

    /// Writes the record, which makes it a finished run: there is nothing to go on with any more.
    pub(in crate::report) fn seal(&self, record: &RunRecord) -> Result<()> {
        self.json(RECORD, record)?;
        Checkpoints::remove(&Self::checkpoints_of(&self.path))
    }

    /// Writes a page of a training. A training is not lost over its page: what went wrong is a note in the record.
    #[cfg(feature = "report")]
    pub(in crate::report) fn with_page(
        &self,
        prepared: &Prepared,
        trained: &Trained,
        mut record: RunRecord,
        page: impl FnOnce(&Training<'_>) -> Result<String>,
    ) -> RunRecord {
        if let Err(error) = self.write_page(prepared, trained, &record, page) {
            record.notes.push(format!("`{PAGE}` could not be written: {error}"));
        }
        record
    }

    #[cfg(feature = "report")]
    fn write_page(
        &self,
        prepared: &Prepared,
        trained: &Trained,
        record: &RunRecord,
        page: impl FnOnce(&Training<'_>) -> Result<String>,
    ) -> Result<()> {
        let validation = match trained.test {
            None => prepared.evaluate_validation(trained)?,
            Some(_) => None,
        };
        let training = Training {
            prepared,
            trained,
            record,
            load: self.told.load.as_ref(),
            command: &self.told.command,
            epochs: &super::page::epochs(&self.path.join(METRICS))?,
            validation: validation.as_ref(),
        };
        Ok(write_atomically(&self.path.join(PAGE), page(&training)?.as_bytes())?)
    }

    /// Writes the model and what its images were. Without its record it is no run.
    pub(in crate::report) fn without_record(
        &self,
        prepared: &Prepared,
        trained: &Trained,
        source: Provenance,
        seconds: f64,
    ) -> Result<RunRecord> {
        let model = self.path.join(MODEL);
        frostline_formats::save(&prepared.model, &model)?;
        let dataset = &prepared.dataset;
        RunImages::write(&self.path, dataset)?;
        if let Some(head) = trained.solved.as_ref().filter(|head| !head.left_out.is_empty()) {
            self.left_out(&head.left_out, &dataset.classes)?;
        }
        if let Some(novelty) = trained.novelty() {
            self.json(NOVELTY, novelty)?;
        }
        let test = trained.test.as_ref().map(|test| TestRecord {
            scores: test.scores.clone(),
            interval: interval(test, dataset.test.as_deref().unwrap_or_default()),
            classes: test.report.iter().flat_map(|report| report.classes.clone()).collect(),
            confusion: test.report.iter().flat_map(|report| report.confusion.clone()).collect(),
        });
        let count = |examples: &Option<Vec<frostline_data::Example>>| examples.as_ref().map_or(0, Vec::len);
        Ok(RunRecord {
            version: env!("CARGO_PKG_VERSION"),
            source,
            seed: prepared.setting.seed,
            recipe: prepared.setting.config.clone(),
            validation: prepared.validation.clone(),
            classes: dataset.classes.clone(),
            images: [dataset.train.len(), count(&dataset.val), count(&dataset.test)],
            skipped: prepared.skips.skipped.clone(),
            notes: prepared.notes.clone(),
            refused: trained.novelty().map(|novelty| {
                let refused = novelty.threshold.refused;
                [refused.value, refused.low, refused.high]
            }),
            findings: trained.solved.as_ref().map(|head| prepared.findings(head)).transpose()?,
            solved: trained.solved.clone(),
            unfreezing: trained.unfreezing.clone(),
            estimate: trained.prospect().cloned(),
            lr_search: trained.rate_search.clone(),
            stages: trained.stages.clone(),
            train: trained.train.clone(),
            val: trained.val.clone(),
            test,
            test_f32: trained.test_f32.as_ref().map(|test| test.scores.clone()),
            boundary: trained.boundary().to_vec(),
            frozen: trained.freeze.paths().map(str::to_owned).collect(),
            certificate: trained.certificate.clone(),
            model,
            peak_bytes: peak_memory(),
            seconds,
        })
    }
}

/// The place that a path leads to, links and `..` followed as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut at = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    loop {
        if let Ok(found) = at.canonicalize() {
            return rest.iter().rev().fold(found, |found, name| found.join(name));
        }
        match (at.file_name().map(ToOwned::to_owned), at.parent()) {
            (Some(name), Some(parent)) => {
                rest.push(name);
                at = parent.to_owned();
            }
            _ => return path.to_owned(),
        }
    }
}
