//! When checkpoints are written, and how a training is told to stop. Neither changes any number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Writing checkpoints takes at most one part in so many of the time.
const SHARE: u32 = 50;

/// How often a checkpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After each epoch, and within an epoch after so long; less often where writing would take more than a fiftieth of the time.
    Time(Duration),
    /// After each epoch and after every so many steps, whatever that costs.
    Steps(u64),
}

impl Default for Every {
    /// Every 30 seconds.
    fn default() -> Self {
        Self::Time(Duration::from_secs(30))
    }
}

/// Asks a training from another thread, or from a handler of signals, to write a checkpoint after the step that it is at, and to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_asked: AtomicBool,
    has_unsaved: AtomicBool,
}

impl Stop {
    /// Asks.
    pub fn ask(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    pub fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Relaxed)
    }

    /// Whether steps were taken that no checkpoint holds: what a process would lose that ended now.
    pub fn has_unsaved(&self) -> bool {
        self.0.has_unsaved.load(Ordering::Relaxed)
    }

    pub(super) fn set_unsaved(&self, has_unsaved: bool) {
        self.0.has_unsaved.store(has_unsaved, Ordering::Relaxed);
    }
}

/// Says when the next checkpoint is due.
#[derive(Debug)]
pub(super) struct Timer {
    every: Every,
    steps: u64,
    last: Instant,
    /// How long the last one took to write.
    took: Duration,
}

impl Timer {
    pub(super) fn new(every: Every) -> Self {
        Self { every, steps: 0, last: Instant::now(), took: Duration::ZERO }
    }

    /// After a step.
    pub(super) fn is_due(&mut self) -> bool {
        self.steps += 1;
        match self.every {
            Every::Time(time) => self.last.elapsed() >= time.max(SHARE * self.took),
            Every::Steps(steps) => self.steps.is_multiple_of(steps.max(1)),
        }
    }

    /// After an epoch.
    pub(super) fn is_due_after_epoch(&self) -> bool {
        match self.every {
            Every::Time(_) => self.last.elapsed() >= SHARE * self.took,
            Every::Steps(_) => true,
        }
    }

    pub(super) fn wrote(&mut self, began: Instant) {
        self.last = Instant::now();
        self.took = self.last - began;
    }
}
