//! The range test (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3): a rate that grows from step to step,
//! and what becomes of the loss.

use crate::fit::checkpoint::exact::Exact;
use crate::fit::features::feature_store::FeatureStore;
use crate::fit::train::stage_run::StageRun;
use crate::fit::{Stage, StageRunner};
use frostline_engine::compile::Statistics;
use frostline_graph::{Error, Result};
use serde::Serialize;

/// The lowest rate that is tried, and the highest.
const RANGE: [f64; 2] = [1e-6, 10.0];
/// Steps, at rates that grow by the same factor.
const STEPS: usize = 140;
/// How much of the mean of the losses stays at a step.
const SMOOTHING: f64 = 0.9;
/// The test ends where the mean of the losses is so many times the least.
const DIVERGED: f64 = 4.0;

/// What a range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateSearch {
    /// The rates that were tried, from low to high.
    pub rates: Vec<f32>,
    /// The mean of the training losses so far at each, in which each step before counts a tenth less.
    pub losses: Vec<f64>,
    /// The rate that was chosen.
    pub chosen: f32,
    /// How it was chosen.
    pub rule: &'static str,
}

const RULE: &str = "where the smoothed loss falls most steeply";
/// A slope is taken between so many steps before and after.
const REACH: usize = 3;
/// The mean of the first steps is that of few batches, and jumps: these are left out, a factor of 10 in the rate.
const FIRST: usize = 20;

/// The rate of a step.
fn rate(step: usize) -> f32 {
    let share = step as f64 / (STEPS - 1) as f64;
    (RANGE[0] * (RANGE[1] / RANGE[0]).powf(share)) as f32
}

/// The mean of the losses up to each, in which those before count less and less; unbiased at the beginning.
fn smoothed(losses: &[f64]) -> Vec<f64> {
    let mut mean = 0.0;
    let smooth = |(step, loss): (usize, &f64)| {
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
        mean / (1.0 - SMOOTHING.powi(step as i32 + 1))
    };
    losses.iter().enumerate().map(smooth).collect()
}

impl RateSearch {
    /// From the losses of the steps.
    ///
    /// Errors: no rate made the loss smaller.
    pub(in crate::fit) fn of(losses: &[f64]) -> Result<Self> {
        let losses = smoothed(losses);
        let rates: Vec<f32> = (0..losses.len()).map(rate).collect();
        let Some(index) = chosen(&losses) else {
            return Err(Error::setting(
                "the range test found no learning rate at which the loss falls\nhelp: give a rate with the setting `lr = 0.001`",
            ));
        };
        Ok(Self { chosen: rates[index], rates, losses, rule: RULE })
    }
}

/// Whether the test is over: the loss is no number, or far above its least.
fn has_diverged(losses: &[f64]) -> bool {
    let means = smoothed(losses);
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    means.last().is_some_and(|last| !last.is_finite() || *last > DIVERGED * least)
}

/// The step at which the mean of the losses falls most steeply over the logarithm of the rate, before it is least.
fn chosen(losses: &[f64]) -> Option<usize> {
    let lowest = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b]))?;
    let slope = |step: usize| losses[step + REACH] - losses[step - REACH];
    let steps = FIRST..(lowest + 1).saturating_sub(REACH);
    steps.min_by(|a, b| slope(*a).total_cmp(&slope(*b))).filter(|step| slope(*step) < 0.0)
}

impl StageRunner<'_> {
    /// The losses of a range test before a stage. The model stays as it is: the steps are those of a plan of its own.
    pub(in crate::fit) fn range_test(&mut self, stage: &Stage) -> Result<Vec<Exact>> {
        let shape = self.source.pipeline.input().to_vec();
        let batch = self.setting.config.batch.min(self.train.len()).max(1);
        let (numbers, freeze) = (&self.setting.dtype, stage.freeze.clone());
        let mut compiled =
            self.store.prefixes().compile(numbers, self.model, freeze, &[shape], batch, Statistics::Batch)?;
        let setting = self.setting;
        let mut store =
            std::mem::replace(&mut self.store, FeatureStore::new(&setting.caching, setting.config.features));
        let mut run = StageRun::new(self, stage, &mut compiled, &mut store, batch, setting.seed)?;
        let rates: Vec<f32> = (0..STEPS).map(rate).collect();
        let losses = run.sweep(&mut compiled.plan, &mut store, &rates, &has_diverged)?;
        self.store = store;
        Ok(losses.into_iter().map(Exact).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses that fall by an S in the logarithm of the rate, steepest at `at`, and grow without end above `end`.
    fn curve(at: f64, end: f64) -> Vec<f64> {
        let loss = |step: usize| {
            let rate = f64::from(rate(step));
            1.0 / (1.0 + (3.0 * (rate / at).ln()).exp()) + (rate / end).powi(4) + 0.05
        };
        let all: Vec<f64> = (0..STEPS).map(loss).collect();
        let steps = (1..=STEPS).find(|steps| has_diverged(&all[..*steps])).unwrap_or(STEPS);
        all[..steps].to_vec()
    }

    #[test]
    fn the_rate_is_where_the_loss_falls_most_steeply_and_the_test_ends_where_it_diverges() {
        for at in [1e-4, 1e-3, 1e-2] {
            let search = RateSearch::of(&curve(at, 200.0 * at)).expect("a rate");
            // the mean lags behind the loss, by about as many steps as it remembers: half a factor of 10
            let ratio = f64::from(search.chosen) / at;
            assert!((1.0..4.0).contains(&ratio), "{} for {at}", search.chosen);
            assert!(search.rates.len() < STEPS && search.rates.len() == search.losses.len());
        }
        assert_eq!((rate(0), rate(STEPS - 1)), (1e-6, 10.0));
    }

    #[test]
    fn a_loss_that_never_falls_gives_no_rate() {
        let rising: Vec<f64> = (0..STEPS).map(|step| 1.0 + step as f64 * 0.01).collect();
        let error = RateSearch::of(&rising).expect_err("no rate").to_string();
        assert!(
            error.contains("no learning rate at which the loss falls") && error.contains("help: "),
            "{error}"
        );
        assert!(RateSearch::of(&[f64::NAN]).is_err() && RateSearch::of(&[]).is_err());
    }
}
