//! Trains an arm on one split, and scores it on images that it has not seen.

use super::scratch::let_statistics_follow;
use super::{Arm, Cost, Training, Trial};
use crate::fit::{Caching, Check, Prepared, TrainConfig, Validation, prepare, silent};
use frostline_data::{Dataset, Example, Target, holdout};
use frostline_graph::{Error, Model, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::time::Instant;

/// The share of the images that each repeat holds out to select by.
const FOLD: f64 = 0.25;
/// The share that is held out once, to quote, where the data have no test part.
const QUOTED: f64 = 0.25;
/// Of the images that gradual unfreezing trains on, the share that it watches.
const WATCHED: f64 = 0.2;

/// A model, and images in two parts: those that arms are trained and selected on, and those that are held out to score them.
pub struct Experiment {
    model: Model,
    dataset: Dataset,
    development: Vec<Example>,
    test: Vec<Example>,
    recipe: TrainConfig,
    caching: Caching,
    seed: u64,
}

/// What an arm scores on one repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The arm's name.
    pub arm: String,
    /// Which split and which seed.
    pub repeat: usize,
    /// The share of the repeat's images that it was trained on.
    pub share: f64,
    /// The share of the repeat's own held-out images whose class is found: what arms are selected by.
    #[serde(rename = "fold", deserialize_with = "exactly")]
    pub validation_accuracy: f64,
    /// For each test image whether its class is found.
    #[serde(rename = "right")]
    pub correct: Vec<bool>,
    /// How long the training took.
    pub seconds: f64,
}

/// A number with the bits that were written: `serde_json` may read its neighbour, and arms that are equal would no longer be.
fn exactly<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Box::<RawValue>::deserialize(deserializer)?.get().parse().map_err(D::Error::custom)
}

impl Outcome {
    /// The share of the test images whose class is found.
    pub fn test_accuracy(&self) -> f64 {
        self.correct.iter().filter(|correct| **correct).count() as f64 / self.correct.len().max(1) as f64
    }
}

impl Experiment {
    /// `dataset` holds sound images of classes. `recipe`: what arms leave open.
    ///
    /// Errors: too few images for a split.
    pub fn new(
        model: Model,
        dataset: Dataset,
        recipe: TrainConfig,
        caching: Caching,
        seed: u64,
    ) -> Result<Self> {
        let mut development = dataset.train.clone();
        development.extend(dataset.val.iter().flatten().cloned());
        let test = match &dataset.test {
            Some(test) => test.clone(),
            None => {
                let (kept, held) = dataset.holdout(&development, QUOTED, seed)?;
                let pick =
                    |indices: &[usize]| indices.iter().map(|index| development[*index].clone()).collect();
                let (own, test): (Vec<Example>, Vec<Example>) = (pick(&kept), pick(&held));
                development = own;
                test
            }
        };
        let fewest = dataset.class_counts(&development).into_iter().min().unwrap_or(0);
        if fewest < 2 || test.is_empty() {
            return Err(Error::setting(format!(
                "`{}` has too few images: each class needs at least two to train on, and some to score\nhelp: add photos, or use `frostline train`",
                dataset.source.display()
            )));
        }
        Ok(Self { model, dataset, development, test, recipe, caching, seed })
    }

    /// The images that arms are trained and selected on, as those to train on: of the others nothing may be known.
    pub fn development(&self) -> Dataset {
        let mut dataset = self.dataset.clone();
        (dataset.train, dataset.val, dataset.test) = (self.development.clone(), None, None);
        dataset
    }

    /// How many these are.
    pub fn images(&self) -> usize {
        self.development.len()
    }

    /// What arms leave open.
    pub fn recipe(&self) -> &TrainConfig {
        &self.recipe
    }

    /// The held-out test images, by which nothing is selected.
    pub fn test(&self) -> &[Example] {
        &self.test
    }

    /// Images that a repeat holds out for each that it trains on: see [`super::Design::overlap`].
    pub fn overlap(&self) -> Result<f64> {
        let (fit, fold) = self.dataset.holdout(&self.development, FOLD, self.seed)?;
        Ok(fold.len() as f64 / fit.len().max(1) as f64)
    }

    /// Readies an arm for training on all images that are not held out, to be scored on those that are.
    pub fn whole(&self, arm: &Arm) -> Result<Prepared> {
        let mut dataset = self.dataset.clone();
        dataset.train = self.development.clone();
        dataset.test = Some(self.test.clone());
        self.prepared(arm, dataset, self.seed)
    }

    /// What a prediction costs with what an arm keeps.
    pub fn cost(&self, arm: &Arm) -> Result<Cost> {
        let prepared = self.whole(arm)?;
        Cost::of(&prepared.model, &prepared.pipeline.input().to_vec())
    }

    fn prepared(&self, arm: &Arm, mut dataset: Dataset, seed: u64) -> Result<Prepared> {
        dataset.val = None;
        let recipe = arm.recipe(&self.recipe, dataset.train.len());
        let watched = if recipe.gradual.is_some() { WATCHED } else { 0.0 };
        let validation = Validation::Fraction(watched);
        let (mut model, caching) = (self.model.clone(), self.caching.clone());
        if arm.training == Training::Scratch {
            let_statistics_follow(&mut model.graph);
        }
        prepare(Check::Nothing, model, dataset, recipe, &validation, seed, caching, &silent)
    }

    /// The images that a repeat is trained on, and those that it is selected by: equal for all arms.
    fn split(&self, repeat: usize) -> Result<[Vec<Example>; 2]> {
        let (fit, fold) = self.dataset.holdout(&self.development, FOLD, self.seed_of(repeat))?;
        let pick =
            |indices: Vec<usize>| indices.into_iter().map(|index| self.development[index].clone()).collect();
        Ok([pick(fit), pick(fold)])
    }

    /// The names of the images that each of the first repeats holds out to select by.
    pub fn held_out(&self, repeats: usize) -> Result<Vec<Vec<String>>> {
        let names = |repeat| {
            let [_, fold] = self.split(repeat)?;
            Ok(fold.into_iter().map(|example| example.name).collect())
        };
        (0..repeats).map(names).collect()
    }

    fn seed_of(&self, repeat: usize) -> u64 {
        self.seed.wrapping_mul(1009).wrapping_add(repeat as u64)
    }

    /// How many images a share of those of a repeat is.
    pub fn trained_images(&self, share: f64) -> Result<usize> {
        Ok(part(self.split(0)?[0].clone(), share, self.seed)?.len())
    }

    /// Trains an arm on a share of the images of a repeat, with the seed of that repeat. The outcome is the same wherever and whenever
    /// it is trained, but for how long that took.
    pub fn run(&self, trial: &Trial) -> Result<Outcome> {
        let Trial { arm, repeat, share } = trial;
        let (repeat, share) = (*repeat, *share);
        let (clock, seed) = (Instant::now(), self.seed_of(repeat));
        let [fit, fold] = self.split(repeat)?;
        let mut dataset = self.dataset.clone();
        dataset.train = part(fit, share, seed)?;
        let scored: Vec<Example> = fold.iter().chain(&self.test).cloned().collect();
        dataset.test = Some(scored.clone());
        let trained = self.prepared(arm, dataset, seed)?.train(&silent)?;
        let predicted = trained.test.map(|test| test.predicted).unwrap_or_default();
        let is_right = |(example, class): (&Example, &usize)| example.target == Target::Class(*class);
        let correct: Vec<bool> = scored.iter().zip(&predicted).map(is_right).collect();
        let (of_fold, of_test) = correct.split_at(fold.len().min(correct.len()));
        let found = of_fold.iter().filter(|correct| **correct).count() as f64;
        Ok(Outcome {
            arm: arm.name.clone(),
            repeat,
            share,
            validation_accuracy: found / fold.len().max(1) as f64,
            correct: of_test.to_vec(),
            seconds: clock.elapsed().as_secs_f64(),
        })
    }
}

/// A share of images, with all classes.
fn part(examples: Vec<Example>, share: f64, seed: u64) -> Result<Vec<Example>> {
    if share >= 1.0 {
        return Ok(examples);
    }
    let (_, chosen) = holdout(&examples, share, seed)?;
    Ok(chosen.into_iter().map(|index| examples[index].clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_the_same_bits_after_it_was_written() {
        for images in 1..=60 {
            for found in 0..=images {
                let outcome = Outcome {
                    arm: "a".to_owned(),
                    repeat: 0,
                    share: 1.0,
                    validation_accuracy: f64::from(found) / f64::from(images),
                    correct: vec![true],
                    seconds: 1.0,
                };
                let line = serde_json::to_string(&outcome).expect("a line");
                assert_eq!(serde_json::from_str::<Outcome>(&line).expect("an outcome"), outcome, "{line}");
            }
        }
    }
}
