//! Logistic regression: multinomial for classes, one binary regression a label, with an L2 penalty picked by folds.

pub(crate) mod lbfgs;
pub(crate) mod objective;

#[cfg(test)]
mod tests;

use crate::design::Design;
use crate::folds::folds;
use crate::loss::{log_sum_exp, mean, row_losses, temperature};
use crate::{HeadError, Targets};
use lbfgs::{Until, minimise};
use objective::{Objective, Task};
use rayon::prelude::*;

/// The gradient at the optimum, over that at 0.
const OPTIMUM: Until = Until::Gradient(1e-8);
/// How far, at most, the folds' logits of a row of norm 1 are from those of their optimum: while penalties are compared, and at the end.
/// Above its minimum a loss exceeds it by at least `c/2` times the squared distance of the kernels.
const COMPARED: f64 = 0.1;
const PREDICTED: f64 = 0.01;
/// A smaller penalty is taken if the loss falls by more than this share.
const GAIN: f64 = 0.02;
/// The penalties are `10^k` for these `k`; between them the loss at the best temperature is flat.
const EXPONENTS: std::ops::RangeInclusive<i32> = -7..=2;

/// The solution and what folds say of it.
pub(crate) struct Logistic {
    /// `c`
    pub(crate) penalty: f64,
    /// `[outputs][rank + 1]`, the intercept last.
    pub(crate) point: Vec<f64>,
    /// `[rows, outputs]`: the logits of each row by the fold that has not seen it.
    pub(crate) out_of_sample: Vec<f64>,
}

struct Folds<'a> {
    objective: &'a Objective<'a>,
    fold_of: Vec<usize>,
    tasks: Vec<Task>,
}

/// Picks the penalty by the log loss of rows that were held out, or takes the one given.
pub(crate) fn solve(
    design: &Design<'_>,
    targets: Targets<'_>,
    weights: Option<&[f64]>,
    groups: Option<&[usize]>,
    penalty: Option<f64>,
) -> Result<Logistic, HeadError> {
    let objective = Objective::new(design, targets);
    let (fold_of, count) = folds(&targets, groups, design.rows());
    let tasks =
        (0..count).map(|fold| task(&targets, weights, design.rows(), |row| fold_of[row] != fold)).collect();
    let mut folds = Folds { objective: &objective, fold_of, tasks };
    let start: Vec<Vec<f64>> = folds.tasks.iter().map(|task| start(&targets, task, design.rank())).collect();
    let (penalty, points) = match penalty {
        Some(penalty) => (penalty, start),
        None => folds.walk(weights, start)?,
    };
    let (points, out_of_sample) = folds.at(penalty, points, PREDICTED)?;
    let mut whole = task(&targets, weights, design.rows(), |_| true);
    whole.penalty = penalty;
    // the folds' mean is near the solution of all rows, unless one lacks a class
    let is_whole = folds.tasks.iter().all(|task| task.present.iter().all(|present| *present));
    let from = if is_whole && !points.is_empty() {
        let mut mean = vec![0.0; points[0].len()];
        points.iter().for_each(|point| crate::standardise::add(&mut mean, point));
        mean.iter_mut().for_each(|value| *value /= points.len() as f64);
        mean
    } else {
        self::start(&targets, &whole, design.rank())
    };
    let point = minimise(&objective, &[whole], vec![from], OPTIMUM)?.pop().unwrap_or_default();
    Ok(Logistic { penalty, point, out_of_sample })
}

/// The optimum for all rows alone.
pub(crate) fn fit(
    design: &Design<'_>,
    targets: Targets<'_>,
    weights: Option<&[f64]>,
    penalty: f64,
) -> Result<Vec<f64>, HeadError> {
    let objective = Objective::new(design, targets);
    let mut whole = task(&targets, weights, design.rows(), |_| true);
    whole.penalty = penalty;
    let from = start(&targets, &whole, design.rank());
    Ok(minimise(&objective, &[whole], vec![from], OPTIMUM)?.pop().unwrap_or_default())
}

/// The regression of the rows that are `taken`.
fn task(targets: &Targets<'_>, weights: Option<&[f64]>, rows: usize, taken: impl Fn(usize) -> bool) -> Task {
    let weight = |row: usize| if taken(row) { weights.map_or(1.0, |weights| weights[row]) } else { 0.0 };
    let mut weights: Vec<f64> = (0..rows).map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total.max(f64::MIN_POSITIVE));
    let outputs = targets.outputs();
    let (mut ones, mut zeros) = (vec![false; outputs], vec![false; outputs]);
    for row in (0..rows).filter(|row| weights[*row] > 0.0) {
        match targets {
            Targets::Classes { labels, .. } => ones[labels[row]] = true,
            _ => (0..outputs).for_each(|output| {
                let seen = if targets.value(row, output) > 0.0 { &mut ones } else { &mut zeros };
                seen[output] = true;
            }),
        }
    }
    let present = match targets {
        Targets::Classes { .. } => ones,
        _ => ones.iter().zip(&zeros).map(|(one, zero)| *one && *zero).collect(),
    };
    Task { weights, penalty: 0.0, present }
}

/// No kernel, and the intercepts that then have the least loss.
fn start(targets: &Targets<'_>, task: &Task, rank: usize) -> Vec<f64> {
    let intercept = |output: usize| {
        let weights = task.weights.iter().enumerate();
        let share: f64 = weights.map(|(row, weight)| weight * targets.value(row, output)).sum();
        match (task.present[output], targets) {
            (false, _) => 0.0,
            (true, Targets::Classes { .. }) => share.ln(),
            (true, _) => (share / (1.0 - share)).ln(),
        }
    };
    (0..targets.outputs())
        .flat_map(|output| {
            let value = intercept(output);
            std::iter::repeat_n(0.0, rank).chain(std::iter::once(if value.is_finite() { value } else { 0.0 }))
        })
        .collect()
}

/// The log loss at the best temperature, which the layer will have.
fn calibrated_loss(targets: &Targets<'_>, mut logits: Vec<f64>, weights: Option<&[f64]>) -> f64 {
    let factor = temperature(targets, &logits, weights);
    logits.iter_mut().for_each(|logit| *logit *= factor);
    mean(&row_losses(targets, &logits), weights)
}

impl Folds<'_> {
    /// Goes from a penalty to its neighbours as long as the loss falls. Losses are at their best temperature.
    fn walk(
        &mut self,
        weights: Option<&[f64]>,
        start: Vec<Vec<f64>>,
    ) -> Result<(f64, Vec<Vec<f64>>), HeadError> {
        let value = |exponent: i32| 10_f64.powi(exponent);
        let rows = self.objective.design.rows() as f64;
        let loss_at = |folds: &mut Self, exponent: i32, from: Vec<Vec<f64>>| {
            let (points, logits) = folds.at(value(exponent), from, COMPARED)?;
            let loss = calibrated_loss(&folds.objective.targets, logits, weights);
            Ok::<_, HeadError>((exponent, points, loss))
        };
        // one over the rows is scikit-learn's C = 1
        let first = ((-rows.log10()).round() as i32).clamp(*EXPONENTS.start(), *EXPONENTS.end());
        let first = loss_at(self, first, start)?;
        for step in [-1, 1] {
            let mut best: Option<(i32, Vec<Vec<f64>>, f64)> = None;
            loop {
                let (exponent, points, loss) = best.as_ref().unwrap_or(&first);
                let next = exponent + step;
                if !EXPONENTS.contains(&next) {
                    break;
                }
                let found = loss_at(self, next, points.clone())?;
                // a smaller penalty takes longer and must be worth it
                if found.2 >= loss * if step < 0 { 1.0 - GAIN } else { 1.0 } {
                    break;
                }
                best = Some(found);
            }
            if let Some((exponent, points, _)) = best {
                return Ok((value(exponent), points));
            }
        }
        Ok((value(first.0), first.1))
    }

    /// The folds' solutions with this penalty, and the logits of the rows that each has not seen, `[rows, outputs]`.
    fn at(
        &mut self,
        penalty: f64,
        from: Vec<Vec<f64>>,
        distance: f64,
    ) -> Result<(Vec<Vec<f64>>, Vec<f64>), HeadError> {
        let until = Until::Gap(0.5 * penalty * distance * distance);
        self.tasks.iter_mut().for_each(|task| task.penalty = penalty);
        let objective = self.objective;
        let points: Vec<Vec<f64>> = if objective.design.is_held() {
            // rows in memory are quick to read: each fold ends when it is done
            let one = |(task, from): (&Task, Vec<f64>)| {
                minimise(objective, std::slice::from_ref(task), vec![from], until)
            };
            let found: Result<Vec<_>, _> = self.tasks.par_iter().zip(from).map(one).collect();
            found?.into_iter().flatten().collect()
        } else {
            minimise(objective, &self.tasks, from, until)?
        };
        let slices: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let mut left_out = objective.predict(&slices, &self.fold_of)?;
        let rows = left_out.chunks_exact_mut(objective.targets.outputs());
        rows.zip(&self.fold_of).for_each(|(logits, fold)| self.fill_absent(logits, *fold));
        Ok((points, left_out))
    }

    /// A class or label that a fold has not seen gets the probability of half a row among the fold's.
    fn fill_absent(&self, logits: &mut [f64], fold: usize) {
        let task = &self.tasks[fold];
        if task.present.iter().all(|present| *present) {
            return;
        }
        let targets = &self.objective.targets;
        let seen = task.weights.iter().filter(|weight| **weight > 0.0).count();
        let rare = (0.5 / seen.max(1) as f64).ln();
        match targets {
            Targets::Classes { .. } => {
                let known: Vec<f64> = logits
                    .iter()
                    .zip(&task.present)
                    .filter(|(_, present)| **present)
                    .map(|(l, _)| *l)
                    .collect();
                let total = if known.is_empty() { 0.0 } else { log_sum_exp(&known) };
                let places = logits.iter_mut().zip(&task.present).filter(|(_, present)| !**present);
                places.for_each(|(logit, _)| *logit = total + rare);
            }
            _ => {
                for (output, logit) in logits.iter_mut().enumerate().filter(|(o, _)| !task.present[*o]) {
                    let is_one = (0..task.weights.len())
                        .any(|row| task.weights[row] > 0.0 && targets.value(row, output) > 0.0);
                    *logit = if is_one { -rare } else { rare };
                }
            }
        }
    }
}
