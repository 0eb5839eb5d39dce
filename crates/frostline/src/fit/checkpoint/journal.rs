//! What a training has done, for its checkpoints and from them.

use super::file::{Checkpoint, Draft};
use super::folder::Checkpoints;
use super::key::TrainingKey;
use super::state::{SavedReport, StageState, State};
use super::timing::Timer;
use crate::fit::{Event, Observer, Prepared, StageReport};
use frostline_graph::{Error, Model, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Tensors of a draft.
pub(in crate::fit) type Named<'a> = Vec<(String, Cow<'a, [f32]>)>;

/// What a training has done. By default it is kept nowhere.
///
/// ```
/// use frostline::fit::{Checkpoints, Journal, silent};
/// use frostline::prelude::*;
/// # use frostline::fit::{Caching, Check, Validation, prepare};
/// # let model = Model::load("../cli/assets/demo/my_model_A.h5")?;
/// # let data = open_data("../cli/assets/demo/fashion_subset.npz".as_ref())?;
/// # let config = TrainConfig::builder().stage(StageConfig::head().epochs(2)).build()?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path().join("checkpoint");
/// # let (check, split, caching) = (Check::Decode, Validation::Auto, Caching::default());
/// let mut prepared = prepare(check, model, data, config, &split, 0, caching, &silent)?;
/// let journal = Journal::open(Checkpoints::new(&folder), &prepared)?;
/// let trained = prepared.train_with(&journal, &silent)?; // goes on, if the folder holds a checkpoint of this training
/// Checkpoints::remove(&folder)?; // when the model is saved
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Journal {
    place: Option<Place>,
    epochs: AtomicUsize,
    done: Mutex<Done>,
}

/// That of a training that leaves no checkpoints.
pub(in crate::fit) static NOWHERE: Journal = Journal {
    place: None,
    epochs: AtomicUsize::new(0),
    done: Mutex::new(Done {
        known: BTreeMap::new(),
        stages: Vec::new(),
        changed: BTreeSet::new(),
        found: None,
    }),
};

/// Where it is kept.
#[derive(Debug)]
struct Place {
    checkpoints: Checkpoints,
    key: TrainingKey,
    resumed: Option<Resumed>,
    notes: Vec<String>,
    began: Instant,
    seconds_before: f64,
    timer: Mutex<Timer>,
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    known: BTreeMap<String, serde_json::Value>,
    stages: Vec<(String, SavedReport)>,
    /// The weights that these have changed, of those that are part of the model.
    changed: BTreeSet<String>,
    /// What the training goes on from, until the stage that is under way has taken it.
    found: Option<Checkpoint>,
}

/// Where a training goes on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resumed {
    /// The stage that is under way; none between two of them.
    pub stage: Option<String>,
    /// Epochs of it that are done.
    pub epochs: usize,
    /// Steps of the epoch after these that are done.
    pub steps: usize,
    /// Epochs of all stages that were told of, before the first of a stage and after each.
    pub told: usize,
}

impl Journal {
    /// Goes on with a training, if the folder holds a checkpoint, or begins a new one.
    ///
    /// # Errors
    ///
    /// Checkpoints of another training, with what differs; none that is whole.
    pub fn open(checkpoints: Checkpoints, prepared: &Prepared) -> Result<Self> {
        let key = TrainingKey::of(prepared)?;
        checkpoints.tidy()?;
        let (found, mut notes) = checkpoints.newest()?;
        let state = found.as_ref().map_or_else(State::default, |found| found.state.clone());
        if found.is_some() {
            let was = state.key.as_ref();
            let differences =
                was.map_or_else(|| vec!["it does not say which".to_owned()], |was| key.differences(was));
            if !differences.is_empty() {
                return Err(Error::setting(format!(
                    "`{}` is of another training: {}\nhelp: train as it was begun, or give another folder with the setting `output`",
                    checkpoints.folder.display(),
                    differences.join("; ")
                )));
            }
            if let Some(other) = was.and_then(|was| key.other_processor(was)) {
                notes.push(format!(
                    "the training was begun on a processor that computes by {other}; it goes on, but the last bits will differ"
                ));
            }
        }
        let resumed = found.as_ref().map(|_| {
            let stage = state.stage.as_ref();
            let (name, epochs) = stage.map_or(("", 0), |stage| stage.report.place());
            Resumed {
                stage: stage.map(|_| name.to_owned()),
                epochs,
                steps: stage.and_then(|stage| stage.within.as_ref()).map_or(0, |within| within.steps),
                told: state.epochs,
            }
        });
        let changed = found.iter().flat_map(|found| found.names(MODEL));
        let done = Done { known: state.known, stages: state.done, changed: changed.collect(), found };
        let place = Place {
            timer: Mutex::new(Timer::new(checkpoints.every)),
            checkpoints,
            key,
            resumed,
            notes,
            began: Instant::now(),
            seconds_before: state.seconds,
        };
        Ok(Self { place: Some(place), epochs: state.epochs.into(), done: Mutex::new(done) })
    }

    /// Where the training goes on; none where it begins.
    pub fn resumed(&self) -> Option<&Resumed> {
        self.place.as_ref()?.resumed.as_ref()
    }

    /// What the user should know of the checkpoints that were found.
    pub fn notes(&self) -> &[String] {
        self.place.as_ref().map_or(&[], |place| &place.notes)
    }

    /// How long the training took before it was stopped, in seconds.
    pub fn seconds_before(&self) -> f64 {
        self.place.as_ref().map_or(0.0, |place| place.seconds_before)
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the epochs that are told of.
    pub(in crate::fit) fn hears(&self, event: &Event<'_>) {
        if let Event::Epoch(_) = event {
            self.epochs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is known by this name already, or is found out now.
    pub(in crate::fit) fn recall<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        find_out: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let known = self.done().known.get(name).cloned();
        if let Some(known) = known.and_then(|known| serde_json::from_value(known).ok()) {
            return Ok(known);
        }
        let found = find_out()?;
        if self.place.is_some() {
            let value = serde_json::to_value(&found).unwrap_or_default();
            self.done().known.insert(name.to_owned(), value);
        }
        Ok(found)
    }

    /// Whether something is known by this name already.
    pub(in crate::fit) fn knows(&self, name: &str) -> bool {
        self.done().known.contains_key(name)
    }

    /// Puts the weights into a model that its finished stages have changed.
    pub(in crate::fit) fn restore(&self, model: &Model) -> Result<()> {
        let mut done = self.done();
        let stored = done.found.as_ref().map(|found| found.tensors(MODEL)).transpose()?;
        for (path, values) in stored.iter().flatten() {
            let handle = model.weights.get(path)?;
            if handle.with(|tensor| tensor.len()) != values.len() {
                return Err(misfit(path));
            }
            handle.set(values);
        }
        done.found.take_if(|found| found.state.stage.is_none());
        Ok(())
    }

    /// What became of a stage that is done.
    pub(in crate::fit) fn report(&self, unit: &str) -> Option<StageReport> {
        self.done().stages.iter().find(|(name, _)| name == unit).map(|(_, report)| report.read())
    }

    /// How far a stage is that is under way, and its tensors.
    pub(in crate::fit) fn take(&self, unit: &str) -> Option<(StageState, Checkpoint)> {
        let mut done = self.done();
        let is_it = |found: &Checkpoint| found.state.stage.as_ref().is_some_and(|stage| stage.unit == unit);
        let found = done.found.take_if(|found| is_it(found))?;
        Some((found.state.stage.clone()?, found))
    }

    /// A stage is done, and its weights in `model` are as they shall be.
    pub(in crate::fit) fn settle(
        &self,
        unit: &str,
        report: &StageReport,
        model: &Model,
        changed: &[String],
        observe: Observer<'_>,
    ) -> Result<()> {
        if self.place.is_none() || self.report(unit).is_some() {
            return Ok(());
        }
        {
            let mut done = self.done();
            done.stages.push((unit.to_owned(), report.into()));
            done.changed.extend(changed.iter().cloned());
        }
        self.save(model, observe)
    }

    /// Writes a checkpoint between two stages.
    pub(in crate::fit) fn save(&self, model: &Model, observe: Observer<'_>) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        self.write(place, None, Vec::new(), model, &|_| true, observe)
    }

    /// After a step of a stage, or after an epoch: writes a checkpoint where one is due. `model` is as it was when the stage
    /// began; of what earlier stages have changed in it, what `is_needed` is written.
    ///
    /// Errors: the training was to stop, and has left a checkpoint.
    pub(in crate::fit) fn mark<'a>(
        &self,
        at: At,
        model: &Model,
        is_needed: &dyn Fn(&str) -> bool,
        observe: Observer<'_>,
        draft: impl FnOnce() -> (StageState, Named<'a>),
    ) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let stop = &place.checkpoints.stop;
        stop.set_unsaved(true);
        let is_due = {
            let mut timer = place.timer.lock().unwrap_or_else(PoisonError::into_inner);
            match at {
                At::Step => timer.is_due(),
                At::Epoch => timer.is_due_after_epoch(),
            }
        };
        if !is_due && !stop.is_asked() {
            return Ok(());
        }
        let (state, tensors) = draft();
        let (name, epochs) = state.report.place();
        let steps = state.within.as_ref().map_or(0, |within| within.steps);
        let at = match steps {
            0 => format!("after epoch {epochs} of stage `{name}`"),
            _ => format!("after step {steps} of epoch {} of stage `{name}`", epochs + 1),
        };
        self.write(place, Some(state), tensors, model, is_needed, observe)?;
        match stop.is_asked() {
            true => Err(Error::stopped(format!(
                "the training was stopped {at}; `{}` holds what it takes to go on\nhelp: give the setting `resume` as well",
                place.checkpoints.folder.display()
            ))),
            false => Ok(()),
        }
    }

    fn write(
        &self,
        place: &Place,
        stage: Option<StageState>,
        mut tensors: Named<'_>,
        model: &Model,
        is_needed: &dyn Fn(&str) -> bool,
        observe: Observer<'_>,
    ) -> Result<()> {
        let began = Instant::now();
        let done = self.done();
        for path in done.changed.iter().filter(|path| is_needed(path)) {
            tensors.push((format!("{MODEL}{path}"), model.weights.get(path)?.get().data.into()));
        }
        let state = State {
            key: Some(place.key.clone()),
            seconds: place.seconds_before + place.began.elapsed().as_secs_f64(),
            epochs: self.epochs.load(Ordering::Relaxed),
            known: done.known.clone(),
            done: done.stages.clone(),
            stage,
        };
        drop(done);
        let stop = &place.checkpoints.stop;
        match place.checkpoints.write(&Draft { state, tensors }) {
            Ok(()) => stop.set_unsaved(false),
            Err(error) if stop.is_asked() => return Err(error),
            // a full disk is no reason to lose the training
            Err(error) => observe(&Event::Note(&format!("no checkpoint was written: {error}"))),
        }
        place.timer.lock().unwrap_or_else(PoisonError::into_inner).wrote(began);
        Ok(())
    }
}

/// Weights that earlier stages have changed.
const MODEL: &str = "model/";

/// When a stage may write a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fit) enum At {
    Step,
    Epoch,
}

/// A checkpoint whose checksum is right and whose tensors are not those of the model.
pub(in crate::fit) fn misfit(path: &str) -> Error {
    Error::weights(format!(
        "the checkpoint holds no `{path}` of the model's shape\nhelp: remove the checkpoints; the training then begins from its start"
    ))
}
