//! A search on one machine.

use super::side_by_side::side_by_side;
use super::{Experiment, Outcome, Search, Trial};
use frostline_graph::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How long a search may go on.
pub struct Limits<'a> {
    /// No training begins after this.
    pub until: Option<Instant>,
    /// How many more trainings may begin.
    pub trainings: AtomicUsize,
    /// Set from outside when it shall end.
    pub stop: &'a AtomicBool,
}

impl Limits<'_> {
    /// Whether another training may begin; one that may is counted.
    pub fn go_on(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        !self.stop.load(Ordering::Relaxed)
            && self.until.is_none_or(|until| Instant::now() < until)
            && self.trainings.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

/// Trains what a search asks for until it is done, or as long as it may. `tell` gets each new outcome, from any thread, and how many
/// of those that were asked for are done.
///
/// # Errors
///
/// A training that fails, or an error of `tell`.
pub fn search(
    experiment: &Experiment,
    search: &mut Search,
    limits: &Limits<'_>,
    tell: &(dyn Fn(&Outcome, usize, usize) -> Result<()> + Sync),
) -> Result<()> {
    loop {
        let (whole, parts): (Vec<Trial>, Vec<Trial>) =
            search.ask().into_iter().partition(|trial| trial.arm.trains_all());
        let (count, done) = (whole.len() + parts.len(), Mutex::new(Vec::new()));
        let train = |trial: &Trial| -> Result<()> {
            if !limits.go_on() {
                return Ok(());
            }
            let outcome = experiment.run(trial)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(outcome);
            tell(&done[done.len() - 1], done.len(), count)
        };
        for of_repeat in parts.chunk_by(|one, other| one.repeat == other.repeat) {
            side_by_side(of_repeat, train)?;
        }
        whole.iter().try_for_each(train)?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_ended = done.len() < count;
        done.into_iter().for_each(|outcome| search.tell(outcome));
        if is_ended || count == 0 {
            return Ok(());
        }
    }
}
