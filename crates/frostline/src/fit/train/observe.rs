//! What a training tells while it runs.

use crate::fit::{Scores, StageReport};
use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Images are decoded to find the damaged ones.
    Checking {
        /// How many are done.
        done: usize,
        /// Of how many.
        images: usize,
    },
    /// Images are taken through the frozen prefix, or loaded where there is none.
    Features {
        /// `train`, `val` or `test`.
        part: &'a str,
        /// How many are done.
        done: usize,
        /// Of how many.
        images: usize,
    },
    /// A stage begins.
    StageBegins {
        /// Its name.
        name: &'a str,
        /// At most so many.
        epochs: usize,
        /// The layers whose outputs leave the frozen prefix.
        boundary: &'a [String],
        /// The numbers that are trained.
        trained: usize,
        /// Steps an epoch.
        steps: usize,
    },
    /// A stage goes on that was stopped.
    Resumes {
        /// Its name.
        name: &'a str,
        /// Epochs that are done.
        epochs: usize,
        /// Steps of the next epoch that are done.
        steps: usize,
    },
    /// A step is done.
    Step {
        /// From 1.
        epoch: usize,
        /// From 1.
        step: usize,
        /// Steps an epoch.
        steps: usize,
        /// The mean of the loss over the epoch's images so far.
        loss: f64,
        /// The head's learning rate at this step.
        learning_rate: f32,
    },
    /// An epoch is done.
    Epoch(&'a EpochRecord),
    /// A stage is done.
    StageEnds(&'a StageReport),
    /// Something that takes time is about to begin.
    Begins(&'a str),
    /// Something that the user should know.
    Note(&'a str),
}

/// Is told of each event, from the thread that trains, but for the counts of images, which come from any.
pub type Observer<'a> = &'a (dyn Fn(&Event<'_>) + Sync);

/// Tells of one image of a part more each time it is called, from any thread.
pub(crate) fn counter<'a>(part: &'a str, images: usize, observe: Observer<'a>) -> impl Fn() + Sync + 'a {
    let done = AtomicUsize::new(0);
    move || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        observe(&Event::Features { part, done, images });
    }
}

/// Tells nobody.
pub fn silent(_: &Event<'_>) {}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRecord {
    /// The stage's name.
    pub stage: String,
    /// From 1; 0 is the state before the first.
    pub epoch: usize,
    /// The head's learning rate at the epoch's end.
    pub learning_rate: f32,
    /// Means over the epoch's batches, as they were trained on; none for the state before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Scores>,
    /// After the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<Scores>,
    /// How long it took.
    pub seconds: f64,
}
