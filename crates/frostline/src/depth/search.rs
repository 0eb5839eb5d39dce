//! Successive halving over arms: all of them on few splits, the better half on more. An arm that the solved head is ahead of
//! goes no further: it would have to be better by more than a standard error to be chosen. What the verdict compares with is
//! trained on a few splits at least.

use super::choose::{choose, on_equal_repeats};
use super::compare::{gain, score, selection};
use super::side_by_side::side_by_side;
use super::verdict::NOTHING;
use super::{Arm, Baselines, Cost, Estimate, Experiment, Outcome, Training};
use frostline_graph::Result;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Repeats of the first round.
const FIRST: usize = 2;
/// Repeats of a baseline that is not among the better arms: enough for an interval of what the best gains over it.
const CONTROL_REPEATS: usize = 3;
/// Of training from scratch the first repeats are enough where so small a p-value says that the choice scores otherwise, or that
/// it gains nothing worth having: to look twice errs at most by so much more often.
const SURE: f64 = 0.01;

/// Outcomes by arm and repeat.
type Results = BTreeMap<(String, usize), Outcome>;

/// How long a search may go on.
pub struct Limits<'a> {
    /// Repeats of the arms that are left at the end.
    pub repeats: usize,
    /// Every arm is trained on every repeat: no arm is ruled out on the way.
    pub exhaustive: bool,
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

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Every arm, and what it scored, by repeat.
    pub arms: Vec<(Arm, Vec<Outcome>)>,
    /// The arms that all others are compared with.
    pub baselines: Baselines,
    /// The arm that is chosen, by its position.
    pub recommended: usize,
    /// What a prediction costs, by the highest layer kept.
    pub costs: BTreeMap<String, Cost>,
    /// How the repeats depend on one another.
    pub overlap: f64,
    /// Whether it was ended before all was trained.
    pub is_cut_short: bool,
}

/// Trains arms until the last round, or as long as it may. `known`: outcomes of an earlier search that was ended; those are
/// taken that would be trained otherwise. `tell` gets each new outcome, from any thread, and how many of the round's are done.
pub fn search(
    experiment: &Experiment<'_>,
    arms: Vec<Arm>,
    baselines: Baselines,
    known: &[Outcome],
    limits: &Limits<'_>,
    tell: &(dyn Fn(&Outcome, usize, usize) -> Result<()> + Sync),
) -> Result<Found> {
    let keyed = |outcome: Outcome| ((outcome.arm.clone(), outcome.repeat), outcome);
    let whole = known.iter().filter(|outcome| outcome.share == 1.0).cloned();
    let mut known: BTreeMap<(String, usize), Outcome> = whole.map(keyed).collect();
    let mut results = BTreeMap::new();
    // trains what is not known, and tells whether it was ended before all was done
    let mut complete = |results: &mut Results, mut wanted: Vec<(&Arm, usize)>| -> Result<bool> {
        wanted.retain(|(arm, repeat)| {
            let key = (arm.name.clone(), *repeat);
            if let Some(outcome) = known.remove(&key) {
                results.insert(key.clone(), outcome);
            }
            !results.contains_key(&key)
        });
        let (count, done) = (wanted.len(), Mutex::new(Vec::new()));
        let train = |(arm, repeat): &(&Arm, usize)| -> Result<()> {
            if !limits.go_on() {
                return Ok(());
            }
            let outcome = experiment.run(arm, *repeat, 1.0)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(outcome);
            tell(&done[done.len() - 1], done.len(), count)
        };
        // where time is short, what trains the whole network, as long as all others together, comes last
        let (mut whole, parts): (Vec<_>, Vec<_>) =
            wanted.iter().copied().partition(|(arm, _)| arm.trains_all());
        // from scratch first: it says whether reuse helps
        whole.sort_by_key(|(arm, repeat)| (*repeat, arm.training != Training::Scratch));
        for of_repeat in parts.chunk_by(|(_, one), (_, other)| one == other) {
            side_by_side(of_repeat, train)?;
        }
        whole.iter().try_for_each(train)?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_ended = done.len() < count;
        results.extend(done.into_iter().map(keyed));
        Ok(is_ended)
    };
    let scratch = &baselines.scratch;
    let mut left: Vec<&Arm> = arms.iter().collect();
    let mut repeats = if limits.exhaustive { limits.repeats } else { FIRST.min(limits.repeats) };
    let mut is_cut_short = loop {
        let is_wanted = |arm: &Arm, repeat: usize| {
            let enough = if arm == scratch { FIRST } else { CONTROL_REPEATS };
            left.contains(&arm) || baselines.all().contains(&arm) && repeat < enough
        };
        // repeat by repeat, so that what has been done of the cheap arms when it is ended can be compared
        let wanted = (0..repeats)
            .flat_map(|repeat| arms.iter().map(move |arm| (arm, repeat)))
            .filter(|(arm, repeat)| is_wanted(arm, *repeat));
        let is_ended = complete(&mut results, wanted.collect())?;
        if repeats >= limits.repeats || is_ended {
            break is_ended;
        }
        repeats = (2 * repeats).min(limits.repeats);
        let mean = |arm: &Arm| selection(&outcomes(&results, arm));
        // training from scratch is no choice and takes no choice's place
        left.retain(|arm| *arm != scratch);
        left.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
        left.truncate(left.len().div_ceil(2));
        if let Some(solved) = arms.iter().find(|arm| **arm == baselines.solved) {
            let beaten = mean(solved);
            left.retain(|arm| mean(arm) > beaten);
            // the choice is compared with what `train` does by itself
            left.push(solved);
        }
    };
    let overlap = experiment.overlap()?;
    let of_arms = |results: &Results| -> Vec<(Arm, Vec<Outcome>)> {
        arms.iter().map(|arm| (arm.clone(), outcomes(results, arm))).collect()
    };
    let trained = of_arms(&results);
    let comparable = if is_cut_short { on_equal_repeats(&trained, &left, scratch) } else { trained };
    let recommended = choose(&comparable, &baselines, overlap, experiment.images());
    // training from scratch takes as long as all other arms of a repeat together: once more only where it is needed
    let gain = gain(&outcomes(&results, &arms[recommended]), &outcomes(&results, scratch), overlap);
    if !is_cut_short && gain.is_some_and(leaves_open) {
        let more = (0..CONTROL_REPEATS.min(limits.repeats)).map(|repeat| (scratch, repeat));
        is_cut_short = complete(&mut results, more.collect())?;
    }
    let arms = of_arms(&results);
    let mut costs = BTreeMap::new();
    for (arm, _) in &arms {
        if !costs.contains_key(&arm.kept) {
            costs.insert(arm.kept.clone(), experiment.cost(arm)?);
        }
    }
    Ok(Found { arms, baselines, recommended, costs, overlap, is_cut_short })
}

/// Whether it is open if the choice scores otherwise than training from scratch, and if it gains anything worth having.
fn leaves_open(gain: Estimate) -> bool {
    gain.p >= SURE && gain.p_below(NOTHING) >= SURE
}

fn outcomes(results: &Results, arm: &Arm) -> Vec<Outcome> {
    let of_arm = results.iter().filter(|((name, _), _)| *name == arm.name);
    of_arm.map(|(_, outcome)| outcome.clone()).collect()
}

impl Found {
    /// The outcomes of an arm.
    pub fn of(&self, arm: &Arm) -> &[Outcome] {
        self.arms.iter().find(|(other, _)| other == arm).map_or(&[], |(_, outcomes)| outcomes)
    }

    /// What an arm scores on the test images.
    pub fn score(&self, arm: &Arm) -> Option<Estimate> {
        score(self.of(arm), self.overlap)
    }

    /// By how much one arm scores more than another on the test images, over the repeats that both have.
    pub fn gain(&self, arm: &Arm, other: &Arm) -> Option<Estimate> {
        gain(self.of(arm), self.of(other), self.overlap)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Design;
    use super::*;

    #[test]
    fn a_third_training_from_scratch_is_for_what_two_leave_open() {
        let gain = |values: [f64; 2], images: usize| {
            let design = Design { overlap: 1.0 / 3.0, sampling: 0.1 / images as f64, images };
            leaves_open(Estimate::of(&values, design).expect("two values"))
        };
        assert!(!gain([0.30, 0.29], 300), "it gains");
        assert!(!gain([-0.2, -0.2], 300), "it loses");
        assert!(!gain([0.001, 0.0], 20_000), "it gains less than a point");
        assert!(gain([0.02, 0.03], 300), "too few images");
        assert!(gain([0.3, 0.0], 300), "two splits that do not agree");
    }
}
