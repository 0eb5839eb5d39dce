//! Successive halving over arms: all of them on few splits, the better half on more. What the verdict compares with is trained
//! on a few splits at least.

use super::{
    Arm, Cost, Cut, CutScore, Design, Estimate, Experiment, Outcome, Training, recommended, sampling_variance,
};
use crate::Result;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Cuts whose arms are trained.
const CUTS: usize = 4;
/// Blocks that are unfrozen from the top of a cut.
const BLOCKS: [usize; 3] = [1, 2, 4];
/// Blocks that the grid unfreezes below the best cut as well.
const DEEP: [usize; 2] = [8, 16];
/// Rates of reused layers, as shares of the head's.
const FACTORS: [f32; 2] = [0.1, 1.0];
/// Repeats of the first round.
const FIRST: usize = 2;
/// Arms that are left in the last round at least.
const FEWEST: usize = 3;
/// Repeats of a control that is not among the better arms: enough for an interval of what the best gains over it. Training
/// from scratch takes as long as all other arms of a repeat together.
const CONTROL_REPEATS: usize = 3;

/// The arms that every verdict is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Controls {
    /// The head alone, on the whole backbone.
    pub probe: Arm,
    /// All of the backbone, after the head.
    pub full: Arm,
    /// The textbook's procedure.
    pub gradual: Arm,
    /// From random weights.
    pub scratch: Arm,
}

impl Controls {
    fn of(top: &Cut, paths: &[String]) -> Self {
        let arm = |training| Arm::new(top, paths, training);
        let first = paths.first().cloned().unwrap_or_default();
        Self {
            probe: arm(Training::Head),
            full: arm(Training::From { layer: first, factor: 1.0 }),
            gradual: arm(Training::Gradual),
            scratch: arm(Training::Scratch),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Arm; 4] {
        [&self.probe, &self.full, &self.gradual, &self.scratch]
    }
}

/// How long a search may go on.
pub struct Limits<'a> {
    /// Repeats of the arms that are left at the end.
    pub repeats: usize,
    /// Every arm is trained on every repeat: no arm is ruled out on the way.
    pub exhaustive: bool,
    /// No training begins after so long.
    pub time: Option<Duration>,
    /// Set from outside when it shall end.
    pub stop: &'a AtomicBool,
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

/// The arms around every cut, and more depths below the best one: the grid that [`candidates`] are taken from. `paths`: all
/// layers, from the lowest to the highest.
pub fn grid(scores: &[CutScore], paths: &[String]) -> (Vec<Arm>, Controls) {
    let around_each = (0..scores.len()).flat_map(|index| around(scores, index, paths, &BLOCKS, &FACTORS));
    let mut arms: Vec<Arm> = around_each.collect();
    let best = order(scores).first().copied().unwrap_or(0);
    for arm in around(scores, best, paths, &DEEP, &[1.0]) {
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    with_controls(arms, scores, paths)
}

/// Cuts from the best to the worst, by their probes.
fn order(scores: &[CutScore]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].probe.error().total_cmp(&scores[*b].probe.error()));
    order
}

/// The arms around the best cuts. `paths`: all layers, from the lowest to the highest.
pub fn candidates(scores: &[CutScore], paths: &[String]) -> (Vec<Arm>, Controls) {
    let order = order(scores);
    let lowest = recommended(scores).and_then(|best| scores.iter().position(|score| score.cut == best.cut));
    let mut chosen: Vec<usize> = lowest.into_iter().collect();
    chosen.extend(order.iter().copied().filter(|index| Some(*index) != lowest));
    chosen.truncate(CUTS);
    let best = order.first().copied().unwrap_or(0);
    let arms = chosen.into_iter().flat_map(|index| match index == best {
        true => around(scores, index, paths, &BLOCKS, &FACTORS),
        false => around(scores, index, paths, &[2], &[1.0]),
    });
    with_controls(arms.collect(), scores, paths)
}

/// The arms that keep all up to a cut: the head alone, and so many blocks below it with it, at such shares of its rate.
fn around(
    scores: &[CutScore],
    index: usize,
    paths: &[String],
    blocks: &[usize],
    factors: &[f32],
) -> Vec<Arm> {
    let cut = &scores[index].cut;
    let mut arms = vec![Arm::new(cut, paths, Training::Head)];
    for below in blocks.iter().filter_map(|blocks| index.checked_sub(*blocks)) {
        let layer = &paths[scores[below].cut.layers];
        let from = |factor: &f32| Training::From { layer: layer.clone(), factor: *factor };
        arms.extend(factors.iter().map(|factor| Arm::new(cut, paths, from(factor))));
    }
    arms
}

fn with_controls(mut arms: Vec<Arm>, scores: &[CutScore], paths: &[String]) -> (Vec<Arm>, Controls) {
    let controls = Controls::of(&scores[scores.len() - 1].cut, paths);
    for arm in controls.all() {
        if !arms.contains(arm) {
            arms.push(arm.clone());
        }
    }
    (arms, controls)
}

/// Trains arms until the last round, or as long as it may. `known`: outcomes of an earlier search that was ended; those are
/// taken that would be trained otherwise. `tell` gets each new outcome, from any thread, and how many of the round's are done.
pub fn search(
    experiment: &Experiment<'_>,
    (arms, controls): (Vec<Arm>, Controls),
    known: Vec<Outcome>,
    limits: &Limits<'_>,
    tell: &(dyn Fn(&Outcome, usize, usize) -> Result<()> + Sync),
) -> Result<Found> {
    let began = Instant::now();
    let goes_on =
        || !limits.stop.load(Ordering::Relaxed) && limits.time.is_none_or(|time| began.elapsed() < time);
    let keyed = |outcome: Outcome| ((outcome.arm.clone(), outcome.repeat), outcome);
    let mut known: BTreeMap<(String, usize), Outcome> = known.into_iter().map(keyed).collect();
    let mut results = BTreeMap::new();
    let mut left: Vec<&Arm> = arms.iter().collect();
    let mut repeats = if limits.exhaustive { limits.repeats } else { FIRST.min(limits.repeats) };
    loop {
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
            if !goes_on() {
                return Ok(());
            }
            let outcome = experiment.run(arm, *repeat)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(outcome);
            tell(&done[done.len() - 1], done.len(), count)
        };
        // heads on stored features are small: they train side by side
        let is_head = |(arm, _): &&(&Arm, usize)| arm.training == Training::Head;
        let heads: Vec<_> = wanted.iter().filter(is_head).collect();
        heads.into_par_iter().try_for_each(train)?;
        wanted.iter().filter(|job| !is_head(job)).try_for_each(train)?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.extend(done.into_iter().map(keyed));
        if repeats >= limits.repeats || !goes_on() {
            break;
        }
        repeats = (2 * repeats).min(limits.repeats);
        let mean = |arm: &Arm| mean(&outcomes(&results, arm));
        left.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
        left.truncate(left.len().div_ceil(2).max(FEWEST));
    }
    let arms: Vec<(Arm, Vec<Outcome>)> =
        arms.iter().map(|arm| (arm.clone(), outcomes(&results, arm))).collect();
    let overlap = experiment.overlap()?;
    let is_cut_short = repeats < limits.repeats || !goes_on();
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

fn mean(outcomes: &[Outcome]) -> f64 {
    let sum: f64 = outcomes.iter().map(|outcome| outcome.fold).sum();
    if outcomes.is_empty() { f64::NEG_INFINITY } else { sum / outcomes.len() as f64 }
}

/// Of the arms with the most repeats the cheapest one whose score on the selection images is within a standard error of the
/// best one's. What is cheapest has the fewest layers to keep, and then the fewest to train. Training from scratch reuses nothing and is no choice. Before anything is
/// trained it is the first, by the scores of the features. `images`: how many there are to train and select on.
fn choose(arms: &[(Arm, Vec<Outcome>)], controls: &Controls, overlap: f64, images: usize) -> usize {
    let is_candidate = |index: &usize| arms[*index].0 != controls.scratch;
    let most = (0..arms.len()).filter(is_candidate).map(|index| arms[index].1.len()).max().unwrap_or(0);
    let whole: Vec<usize> =
        (0..arms.len()).filter(is_candidate).filter(|index| arms[*index].1.len() == most).collect();
    let Some(best) = whole.iter().copied().max_by(|a, b| mean(&arms[*a].1).total_cmp(&mean(&arms[*b].1)))
    else {
        return 0;
    };
    if most == 0 {
        return 0;
    }
    let share = mean(&arms[best].1);
    let sampling = share * (1.0 - share) / images.max(1) as f64;
    let folds: Vec<f64> = arms[best].1.iter().map(|outcome| outcome.fold).collect();
    let error = Estimate::of(&folds, Design { overlap, sampling, images }).map(|estimate| estimate.error);
    // a single split has no spread
    let error = error.filter(|error| error.is_finite()).unwrap_or(sampling.sqrt());
    let is_as_good = |index: &usize| share - mean(&arms[*index].1) <= error;
    let cost = |index: &usize| {
        let arm = &arms[*index].0;
        (arm.kept_layers, arm.kept_layers - arm.frozen_layers)
    };
    whole.into_iter().filter(is_as_good).min_by_key(cost).unwrap_or(best)
}

impl Found {
    /// The outcomes of an arm.
    pub fn of(&self, arm: &Arm) -> &[Outcome] {
        self.arms.iter().find(|(other, _)| other == arm).map_or(&[], |(_, outcomes)| outcomes)
    }

    /// What an arm scores on the quoted images.
    pub fn score(&self, arm: &Arm) -> Option<Estimate> {
        let outcomes: Vec<&Outcome> = self.of(arm).iter().collect();
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
    use super::*;

    fn arms() -> (Vec<Arm>, Controls) {
        let cut = |layers: usize| Cut { path: format!("layer_{layers}"), layers, shape: vec![1] };
        let paths: Vec<String> = (1..=4).map(|layer| format!("layer_{layer}")).collect();
        let head = |layers| Arm::new(&cut(layers), &paths, Training::Head);
        (vec![head(1), head(2), head(3)], Controls::of(&cut(4), &paths))
    }

    fn chosen(folds: [&[f64]; 3]) -> usize {
        let (arms, controls) = arms();
        let scored = arms.into_iter().zip(folds).map(|(arm, folds)| {
            let outcome = |(repeat, fold): (usize, &f64)| Outcome {
                arm: arm.name.clone(),
                repeat,
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
        assert_eq!(chosen([&[0.70, 0.74, 0.72], &[0.79, 0.83, 0.81], &[0.80, 0.84, 0.82]]), 1);
        // a large spread of its own excuses no arm
        assert_eq!(chosen([&[0.50, 1.00], &[0.99, 0.80], &[1.00, 1.00]]), 2);
        // one split alone: what images of that number say
        assert_eq!(chosen([&[0.60], &[0.78], &[0.80]]), 1);
        assert_eq!(chosen([&[], &[], &[]]), 0);
    }
}
