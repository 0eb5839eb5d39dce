//! Successive halving over arms: all of them on few splits, the better half on more. What the verdict compares with is trained
//! on a few splits at least.

use super::side_by_side::side_by_side;
use super::{Arm, Controls, Cost, Design, Estimate, Experiment, Outcome, Training, sampling_variance};
use crate::Result;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Repeats of the first round.
const FIRST: usize = 2;
/// Arms that are left in the last round at least.
const FEWEST: usize = 3;
/// Repeats of a control that is not among the better arms: enough for an interval of what the best gains over it. Training
/// from scratch takes as long as all other arms of a repeat together.
const CONTROL_REPEATS: usize = 3;

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
    pub controls: Controls,
    /// The arm that is chosen, by its position.
    pub recommended: usize,
    /// What a prediction costs, by the highest layer kept.
    pub costs: BTreeMap<String, Cost>,
    /// How the repeats depend on one another.
    pub overlap: f64,
    /// Whether it was ended before its last round.
    pub is_cut_short: bool,
}

/// Trains arms until the last round, or as long as it may. `known`: outcomes of an earlier search that was ended; those are
/// taken that would be trained otherwise. `tell` gets each new outcome, from any thread, and how many of the round's are done.
pub fn search(
    experiment: &Experiment<'_>,
    (arms, controls): (Vec<Arm>, Controls),
    known: &[Outcome],
    limits: &Limits<'_>,
    tell: &(dyn Fn(&Outcome, usize, usize) -> Result<()> + Sync),
) -> Result<Found> {
    let keyed = |outcome: Outcome| ((outcome.arm.clone(), outcome.repeat), outcome);
    let whole = known.iter().filter(|outcome| outcome.share == 1.0).cloned();
    let mut known: BTreeMap<(String, usize), Outcome> = whole.map(keyed).collect();
    let mut results = BTreeMap::new();
    let mut left: Vec<&Arm> = arms.iter().collect();
    let mut repeats = if limits.exhaustive { limits.repeats } else { FIRST.min(limits.repeats) };
    let is_cut_short = loop {
        // repeat by repeat, so that what has been done when it is ended can be compared
        let is_wanted = |arm: &Arm, repeat: usize| {
            let is_control = controls.all().contains(&arm) && repeat < CONTROL_REPEATS;
            left.contains(&arm) || is_control
        };
        let mut wanted: Vec<(&Arm, usize)> = (0..repeats)
            .flat_map(|repeat| arms.iter().map(move |arm| (arm, repeat)))
            .filter(|(arm, repeat)| is_wanted(arm, *repeat))
            .collect();
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
        // an arm that trains the whole network has work for all threads
        let is_whole = |(arm, _): &(&Arm, usize)| match arm.training {
            Training::Scratch | Training::From { .. } => arm.frozen_layers == 0,
            Training::Head | Training::Gradual => false,
        };
        for of_repeat in wanted.chunk_by(|(_, one), (_, other)| one == other) {
            let (whole, parts): (Vec<_>, Vec<_>) = of_repeat.iter().copied().partition(is_whole);
            side_by_side(&parts, train)?;
            whole.iter().try_for_each(train)?;
        }
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_ended = done.len() < count;
        results.extend(done.into_iter().map(keyed));
        if repeats >= limits.repeats || is_ended {
            break is_ended;
        }
        repeats = (2 * repeats).min(limits.repeats);
        let mean = |arm: &Arm| selection(&outcomes(&results, arm));
        left.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
        // training from scratch is no choice and takes no choice's place; it is followed on where it leads
        let leader = left.first().copied();
        left.retain(|arm| **arm != controls.scratch);
        left.truncate(left.len().div_ceil(2).max(FEWEST));
        left.extend(leader.filter(|arm| **arm == controls.scratch));
    };
    let arms: Vec<(Arm, Vec<Outcome>)> =
        arms.iter().map(|arm| (arm.clone(), outcomes(&results, arm))).collect();
    let overlap = experiment.overlap()?;
    let recommended = choose(&arms, &controls, overlap, experiment.images());
    let mut costs = BTreeMap::new();
    for (arm, _) in &arms {
        if !costs.contains_key(&arm.kept) {
            costs.insert(arm.kept.clone(), experiment.cost(arm)?);
        }
    }
    Ok(Found { arms, controls, recommended, costs, overlap, is_cut_short })
}

fn outcomes(results: &BTreeMap<(String, usize), Outcome>, arm: &Arm) -> Vec<Outcome> {
    let of_arm = results.iter().filter(|((name, _), _)| *name == arm.name);
    of_arm.map(|(_, outcome)| outcome.clone()).collect()
}

/// What an arm scores on the selection images; without outcomes less than any other.
pub(crate) fn selection(outcomes: &[Outcome]) -> f64 {
    let sum: f64 = outcomes.iter().map(|outcome| outcome.fold).sum();
    if outcomes.is_empty() { f64::NEG_INFINITY } else { sum / outcomes.len() as f64 }
}

/// Of the arms with the most repeats the cheapest one that scores as well as the best one on the selection images: within the
/// standard error of the best one's score, and within that of their difference on equal splits. What is cheapest has the
/// fewest layers to keep; arms that keep the same cost the same to use, and the better one counts. Training from scratch reuses
/// nothing and is no choice. Before anything is trained it is the first, by the scores of the features. `images`: how many
/// there are to train and select on.
fn choose(arms: &[(Arm, Vec<Outcome>)], controls: &Controls, overlap: f64, images: usize) -> usize {
    let is_candidate = |index: &usize| arms[*index].0 != controls.scratch;
    let most = (0..arms.len()).filter(is_candidate).map(|index| arms[index].1.len()).max().unwrap_or(0);
    let whole: Vec<usize> =
        (0..arms.len()).filter(is_candidate).filter(|index| arms[*index].1.len() == most).collect();
    let Some(best) =
        whole.iter().copied().max_by(|a, b| selection(&arms[*a].1).total_cmp(&selection(&arms[*b].1)))
    else {
        return 0;
    };
    if most == 0 {
        return 0;
    }
    let share = selection(&arms[best].1);
    let folds = |index: usize| arms[index].1.iter().map(|outcome| outcome.fold);
    let error_of = |values: Vec<f64>, sampling: f64| {
        let design = Design { overlap, sampling: sampling / images.max(1) as f64, images };
        Estimate::of(&values, design).map_or(f64::INFINITY, |estimate| estimate.error)
    };
    let sampling = share * (1.0 - share);
    let own = match error_of(folds(best).collect(), sampling) {
        error if error.is_finite() => error,
        // a single split has no spread
        _ => (sampling / images.max(1) as f64).sqrt(),
    };
    let is_as_good = |index: &usize| {
        let less = share - selection(&arms[*index].1);
        let differences = folds(best).zip(folds(*index)).map(|(best, other)| best - other).collect();
        // images on which they differ are one in `less` at least
        less <= own.min(error_of(differences, less))
    };
    let cheapest = |a: &usize, b: &usize| {
        let (one, other) = (&arms[*a], &arms[*b]);
        one.0.kept_layers.cmp(&other.0.kept_layers).then(selection(&other.1).total_cmp(&selection(&one.1)))
    };
    whole.into_iter().filter(is_as_good).min_by(cheapest).unwrap_or(best)
}

impl Found {
    /// The outcomes of an arm.
    pub fn of(&self, arm: &Arm) -> &[Outcome] {
        self.arms.iter().find(|(other, _)| other == arm).map_or(&[], |(_, outcomes)| outcomes)
    }

    /// What an arm scores on the quoted images.
    pub fn score(&self, arm: &Arm) -> Option<Estimate> {
        self.estimate_of(self.of(arm))
    }

    /// What outcomes of an arm say of its score on the quoted images.
    pub(super) fn estimate_of(&self, outcomes: &[Outcome]) -> Option<Estimate> {
        let outcomes: Vec<&Outcome> = outcomes.iter().collect();
        self.estimate(&outcomes, 0.0, |outcome, image| share(outcome.right[image]))
    }

    /// By how much one arm scores more than another on the quoted images, over the repeats that both have.
    pub fn gain(&self, arm: &Arm, other: &Arm) -> Option<Estimate> {
        let others: BTreeMap<usize, &Outcome> =
            self.of(other).iter().map(|outcome| (outcome.repeat, outcome)).collect();
        let both: Vec<&Outcome> =
            self.of(arm).iter().filter(|outcome| others.contains_key(&outcome.repeat)).collect();
        self.estimate(&both, -1.0, |outcome, image| {
            share(outcome.right[image]) - share(others[&outcome.repeat].right[image])
        })
    }

    /// Of a value, at least `least` and at most 1, that each quoted image has in each repeat.
    fn estimate(
        &self,
        repeats: &[&Outcome],
        least: f64,
        value: impl Fn(&Outcome, usize) -> f64,
    ) -> Option<Estimate> {
        let images = repeats.first()?.right.len();
        let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
        let of_repeat = |repeat: &&Outcome| mean(&mut (0..images).map(|image| value(repeat, image)), images);
        let of_image =
            |image: usize| mean(&mut repeats.iter().map(|repeat| value(repeat, image)), repeats.len());
        let by_repeat: Vec<f64> = repeats.iter().map(of_repeat).collect();
        let by_image: Vec<f64> = (0..images).map(of_image).collect();
        let sampling = sampling_variance(&by_image);
        let estimate = Estimate::of(&by_repeat, Design { overlap: self.overlap, sampling, images })?;
        Some(Estimate { ci: estimate.ci.map(|bound| bound.clamp(least, 1.0)), ..estimate })
    }
}

/// 1 for an image whose class is found.
fn share(right: bool) -> f64 {
    f64::from(u8::from(right))
}

#[cfg(test)]
mod tests {
    use super::super::Cut;
    use super::*;

    fn arms(kept: [usize; 3]) -> (Vec<Arm>, Controls) {
        let cut = |layers: usize| Cut { path: format!("layer_{layers}"), layers, shape: vec![1] };
        let paths: Vec<String> = (1..=4).map(|layer| format!("layer_{layer}")).collect();
        let head = |layers| Arm::new(&cut(layers), &paths, Training::Head);
        (kept.map(head).to_vec(), Controls::of(&cut(4), &paths))
    }

    fn chosen(folds: [&[f64]; 3]) -> usize {
        chosen_of([1, 2, 3], folds)
    }

    fn chosen_of(kept: [usize; 3], folds: [&[f64]; 3]) -> usize {
        let (arms, controls) = arms(kept);
        let scored = arms.into_iter().zip(folds).map(|(arm, folds)| {
            let outcome = |(repeat, fold): (usize, &f64)| Outcome {
                arm: arm.name.clone(),
                repeat,
                share: 1.0,
                fold: *fold,
                right: vec![true],
                seconds: 1.0,
            };
            let outcomes = folds.iter().enumerate().map(outcome).collect();
            (arm, outcomes)
        });
        choose(&scored.collect::<Vec<_>>(), &controls, 1.0 / 3.0, 100)
    }

    #[test]
    fn the_cheapest_arm_within_a_standard_error_is_chosen() {
        assert_eq!(chosen([&[0.70, 0.74, 0.72], &[0.79, 0.85, 0.80], &[0.80, 0.84, 0.82]]), 1);
        // worse on every split by more than an image
        assert_eq!(chosen([&[0.70, 0.74, 0.72], &[0.77, 0.81, 0.79], &[0.80, 0.84, 0.82]]), 2);
        // equally cheap, and as good within an error: the better one
        let equals: [&[f64]; 3] = [&[0.70, 0.74, 0.72], &[0.79, 0.85, 0.80], &[0.80, 0.84, 0.82]];
        assert_eq!(chosen_of([1, 3, 3], equals), 2);
        // a large spread of its own excuses no arm
        assert_eq!(chosen([&[0.50, 1.00], &[0.99, 0.80], &[1.00, 1.00]]), 2);
        // one split alone: what images of that number say
        assert_eq!(chosen([&[0.60], &[0.78], &[0.80]]), 1);
        assert_eq!(chosen([&[], &[], &[]]), 0);
    }
}
