//! Successive halving over arms: all of them on few splits, the better half on more. An arm that the solved head is ahead of
//! goes no further: it would have to be better by more than a standard error to be chosen. What the verdict compares with is
//! trained on a few splits at least.
//!
//! A search asks for trials and is told their outcomes, in any order and from wherever they were trained. What it asks for and what it
//! finds follow from the outcomes that it knows, and from nothing else.

use super::choose::{choose, on_equal_repeats};
use super::compare::{gain, score, selection};
use super::learning::{LearningCurve, curves, learning_trials};
use super::trial::TrialKey;
use super::verdict::NOTHING;
use super::{Arm, Baselines, Cost, Estimate, Experiment, Outcome, Training, Trial};
use frostline_graph::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Repeats of the first round.
const FIRST: usize = 2;
/// Repeats of a baseline that is not among the better arms: enough for an interval of what the best gains over it.
const CONTROL_REPEATS: usize = 3;
/// Of training from scratch the first repeats are enough where so small a p-value says that the choice scores otherwise, or that
/// it gains nothing worth having: to look twice errs at most by so much more often.
const SURE: f64 = 0.01;

/// Outcomes by arm and repeat.
type Results = BTreeMap<(String, usize), Outcome>;

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// Repeats of the arms that are left at the end.
    pub repeats: usize,
    /// Every arm is trained on every repeat: no arm is ruled out on the way.
    pub exhaustive: bool,
}

/// A search: its arms, and the outcomes that it knows.
#[derive(Clone, Debug)]
pub struct Search {
    arms: Vec<Arm>,
    baselines: Baselines,
    rounds: Rounds,
    overlap: f64,
    images: usize,
    known: BTreeMap<TrialKey, Outcome>,
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

/// Where the halving stands.
struct Standing<'a> {
    results: Results,
    /// The arms that were not ruled out.
    left: Vec<&'a Arm>,
    missing: Vec<Trial>,
}

impl Search {
    /// `experiment`: what the trials are of.
    ///
    /// # Errors
    ///
    /// Too few images for a split.
    pub fn new(
        experiment: &Experiment,
        arms: Vec<Arm>,
        baselines: Baselines,
        rounds: Rounds,
    ) -> Result<Self> {
        let (overlap, images) = (experiment.overlap()?, experiment.images());
        Ok(Self { arms, baselines, rounds, overlap, images, known: BTreeMap::new() })
    }

    /// The names of the arms.
    pub fn arms(&self) -> Vec<&str> {
        self.arms.iter().map(|arm| arm.name.as_str()).collect()
    }

    /// Takes an outcome. One that it does not ask for changes nothing until it does.
    pub fn tell(&mut self, outcome: Outcome) {
        let key = (outcome.arm.clone(), outcome.repeat, outcome.share.to_bits());
        self.known.insert(key, outcome);
    }

    /// The trials whose outcomes are wanted next, none of which waits for another. None where the search is done. Those that train
    /// the whole network come last: each takes as long as all others of a repeat together.
    pub fn ask(&self) -> Vec<Trial> {
        let (found, missing) = self.standing();
        match missing.is_empty() {
            true => learning_trials(&found).into_iter().filter(|trial| !self.knows(trial)).collect(),
            false => missing,
        }
    }

    fn knows(&self, trial: &Trial) -> bool {
        self.known.contains_key(&trial.key())
    }

    /// What is found so far.
    ///
    /// # Errors
    ///
    /// An arm that cannot be compiled.
    pub fn found(&self, experiment: &Experiment) -> Result<Found> {
        let (mut found, _) = self.standing();
        found.is_cut_short = !self.ask().is_empty();
        for (arm, _) in &found.arms {
            if !found.costs.contains_key(&arm.kept) {
                found.costs.insert(arm.kept.clone(), experiment.cost(arm)?);
            }
        }
        Ok(found)
    }

    /// What the chosen arm and the best one that trains more layers score with fewer images.
    pub fn learning_curves(&self, experiment: &Experiment, found: &Found) -> Vec<LearningCurve> {
        curves(found, |trial| self.known.get(&trial.key()), |share| experiment.trained_images(share))
    }

    /// Takes the outcomes of trials from those that are known. Returns the trials of the others.
    fn take(&self, results: &mut Results, wanted: impl Iterator<Item = Trial>) -> Vec<Trial> {
        let mut missing = Vec::new();
        for trial in wanted {
            match self.known.get(&trial.key()) {
                Some(outcome) => drop(results.insert((trial.arm.name, trial.repeat), outcome.clone())),
                None => missing.push(trial),
            }
        }
        // where time is short, what trains the whole network, as long as all others together, comes last
        let (mut whole, mut missing): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|trial| trial.arm.trains_all());
        // from scratch first: it says whether reuse helps
        whole.sort_by_key(|trial| (trial.repeat, trial.arm.training != Training::Scratch));
        missing.append(&mut whole);
        missing
    }

    /// Round by round, as far as outcomes are known.
    fn halve(&self) -> Standing<'_> {
        let (arms, baselines, scratch) = (&self.arms, &self.baselines, &self.baselines.scratch);
        let mut results = BTreeMap::new();
        let mut left: Vec<&Arm> = arms.iter().collect();
        let most = self.rounds.repeats;
        let mut repeats = if self.rounds.exhaustive { most } else { FIRST.min(most) };
        loop {
            let is_wanted = |arm: &Arm, repeat: usize| {
                let enough = if arm == scratch { FIRST } else { CONTROL_REPEATS };
                left.contains(&arm) || baselines.all().contains(&arm) && repeat < enough
            };
            // repeat by repeat, so that what has been done of the cheap arms when it is ended can be compared
            let wanted = (0..repeats)
                .flat_map(|repeat| arms.iter().map(move |arm| (arm, repeat)))
                .filter(|(arm, repeat)| is_wanted(arm, *repeat));
            let missing = self.take(&mut results, wanted.map(|(arm, repeat)| Trial::whole(arm, repeat)));
            if repeats >= most || !missing.is_empty() {
                return Standing { results, left, missing };
            }
            repeats = (2 * repeats).min(most);
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
        }
    }

    /// What is found so far, and the trials that are missing but for the learning curves.
    fn standing(&self) -> (Found, Vec<Trial>) {
        let Standing { mut results, left, mut missing } = self.halve();
        let (scratch, overlap) = (&self.baselines.scratch, self.overlap);
        let of_arms = |results: &Results| -> Vec<(Arm, Vec<Outcome>)> {
            self.arms.iter().map(|arm| (arm.clone(), outcomes(results, arm))).collect()
        };
        let trained = of_arms(&results);
        let comparable =
            if missing.is_empty() { trained } else { on_equal_repeats(&trained, &left, scratch) };
        let recommended = choose(&comparable, &self.baselines, overlap, self.images);
        // training from scratch takes as long as all other arms of a repeat together: once more only where it is needed
        let chosen = &self.arms[recommended];
        let gain = gain(&outcomes(&results, chosen), &outcomes(&results, scratch), overlap);
        if missing.is_empty() && gain.is_some_and(leaves_open) {
            let more =
                (0..CONTROL_REPEATS.min(self.rounds.repeats)).map(|repeat| Trial::whole(scratch, repeat));
            missing = self.take(&mut results, more);
        }
        let found = Found {
            arms: of_arms(&results),
            baselines: self.baselines.clone(),
            recommended,
            costs: BTreeMap::new(),
            overlap,
            is_cut_short: !missing.is_empty(),
        };
        (found, missing)
    }
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
    use super::super::{Cut, Design};
    use super::*;

    fn search() -> Search {
        let paths: Vec<String> = (1..=12).map(|layer| format!("layer_{layer}")).collect();
        let cut = |layers: usize| Cut { path: format!("layer_{layers}"), layers, shape: vec![1] };
        let baselines = Baselines::of(&cut(12), &paths);
        let heads = [3, 6, 9].map(|layers| Arm::new(&cut(layers), &paths, Training::Head));
        let arms = heads.into_iter().chain(baselines.all().into_iter().cloned()).collect();
        let rounds = Rounds { repeats: 8, exhaustive: false };
        Search { arms, baselines, rounds, overlap: 1.0 / 3.0, images: 100, known: BTreeMap::new() }
    }

    /// What a trial scores, by its name alone.
    fn outcome(trial: &Trial) -> Outcome {
        let text = format!("{} {} {}", trial.arm.name, trial.repeat, trial.share);
        let bytes = blake3::hash(text.as_bytes());
        let is_right = |byte: &u8| usize::from(*byte) < 100 + 10 * trial.arm.kept_layers;
        let correct: Vec<bool> = bytes.as_bytes().iter().map(is_right).collect();
        let right = correct.iter().filter(|is_right| **is_right).count();
        Outcome {
            arm: trial.arm.name.clone(),
            repeat: trial.repeat,
            share: trial.share,
            validation_accuracy: right as f64 / correct.len() as f64,
            correct,
            seconds: 1.0,
        }
    }

    #[test]
    fn outcomes_may_be_told_in_any_order_with_others_between() {
        let mut rounds = search();
        let mut asked = Vec::new();
        while let wanted = rounds.ask()
            && !wanted.is_empty()
        {
            wanted.iter().for_each(|trial| rounds.tell(outcome(trial)));
            asked.extend(wanted);
        }
        let (expected, missing) = rounds.standing();
        assert!(missing.is_empty() && asked.iter().any(|trial| trial.share < 1.0), "{asked:?}");
        let ruled_out = expected.arms.iter().filter(|(_, outcomes)| outcomes.len() < 8).count();
        assert!((1..expected.arms.len()).contains(&ruled_out), "{ruled_out}");

        // one at a time, the last that is asked for first
        let mut other = search();
        let mut count = 0;
        while let Some(trial) = other.ask().pop() {
            other.tell(outcome(&trial));
            // what nobody has asked for yet
            let arm = other.arms[count % other.arms.len()].clone();
            other.tell(outcome(&Trial { arm, repeat: 7 - count % 8, share: 1.0 }));
            count += 1;
        }
        assert!(count <= asked.len());
        let (found, _) = other.standing();
        assert_eq!((&found.arms, found.recommended), (&expected.arms, expected.recommended));
        assert!(!found.is_cut_short);
    }

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
