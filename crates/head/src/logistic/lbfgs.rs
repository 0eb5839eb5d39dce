//! L-BFGS (Liu and Nocedal 1989) whose first guess of the inverse Hessian comes from the eigenvalues of the features.
//!
//! In the coordinates of the design the Hessian is nearly diagonal: with the mean curvature `h` of an output and the eigenvalue
//! `s` of a coordinate it is about `h s / n + c`. That is the bound of Böhning (1992) with `h` in place of its ½.

use super::objective::{Evaluation, Objective, Task};
use crate::HeadError;
use rayon::prelude::*;
use std::collections::VecDeque;

/// Steps that are remembered.
const MEMORY: usize = 12;
/// The share of the expected decrease that a step must give.
const DECREASE: f64 = 1e-4;
/// Differences of the loss below this share are rounding errors.
const ROUNDING: f64 = 1e-14;
/// Iterations after which the search is given up.
pub(crate) const ITERATIONS: usize = 2000;
/// The least length to compare a gradient with. Features have a mean squared norm of 1, so gradients of 1e-14 are rounding errors.
const UNIT: f64 = 1e-6;
/// Halvings of a step after which nothing more can be gained.
const HALVINGS: usize = 30;
/// A mean curvature is taken as at least this.
const CURVATURE: f64 = 1e-6;

/// How near to the optimum a search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// The gradient's length, over that of the kernel and intercept 0.
    Gradient(f64),
    /// About how far the loss is above its minimum, in nats: `½ gᵀ H⁻¹ g` with the guess of the Hessian.
    Gap(f64),
}

/// The search of one task.
struct Search {
    point: Vec<f64>,
    now: Evaluation,
    direction: Vec<f64>,
    slope: f64,
    step: f64,
    halvings: usize,
    /// Changes of the point and of the gradient, and one over their product.
    memory: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
    /// The gradient's length at kernel 0.
    unit: f64,
    iterations: usize,
    is_done: bool,
}

/// Minimises each task from its start. All share the readings of the rows.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    tasks: &[Task],
    starts: Vec<Vec<f64>>,
    until: Until,
) -> Result<Vec<Vec<f64>>, HeadError> {
    let squares = &objective.design.squares;
    let rows = objective.design.rows() as f64;
    let evaluated = |points: &[Vec<f64>]| {
        let pairs: Vec<(&Task, &[f64])> = tasks.iter().zip(points).map(|(t, p)| (t, p.as_slice())).collect();
        objective.evaluate(&pairs)
    };
    let units: Vec<f64> = match until {
        Until::Gap(_) => vec![1.0; tasks.len()],
        Until::Gradient(_) => {
            let zeros: Vec<Vec<f64>> = starts.iter().map(|start| vec![0.0; start.len()]).collect();
            evaluated(&zeros)?
                .iter()
                .map(|at_zero| dot(&at_zero.gradient, &at_zero.gradient).sqrt().max(UNIT))
                .collect()
        }
    };
    let first = evaluated(&starts)?;
    let mut searches: Vec<Search> = starts
        .into_iter()
        .zip(first)
        .zip(units)
        .map(|((point, now), unit)| Search {
            direction: Vec::new(),
            slope: 0.0,
            step: 1.0,
            halvings: 0,
            memory: VecDeque::new(),
            iterations: 0,
            is_done: false,
            unit,
            point,
            now,
        })
        .collect();
    searches.par_iter_mut().zip(tasks).for_each(|(search, task)| search.turn(task, squares, rows, until));
    loop {
        let going: Vec<usize> = (0..tasks.len()).filter(|at| !searches[*at].is_done).collect();
        if going.is_empty() {
            return Ok(searches.into_iter().map(|search| search.point).collect());
        }
        let trials: Vec<Vec<f64>> = going.iter().map(|at| searches[*at].trial()).collect();
        let pairs: Vec<(&Task, &[f64])> =
            going.iter().zip(&trials).map(|(at, trial)| (&tasks[*at], trial.as_slice())).collect();
        let evaluations = objective.evaluate(&pairs)?;
        let mut moved: Vec<Option<(Vec<f64>, Evaluation)>> = (0..tasks.len()).map(|_| None).collect();
        for ((at, trial), evaluation) in going.iter().zip(trials).zip(evaluations) {
            moved[*at] = Some((trial, evaluation));
        }
        searches.par_iter_mut().zip(moved).zip(tasks).for_each(|((search, moved), task)| {
            if let Some((trial, evaluation)) = moved
                && search.take(trial, evaluation)
            {
                search.turn(task, squares, rows, until);
            }
        });
        if let Some(search) = searches.iter().find(|search| search.iterations > ITERATIONS) {
            let gradient = dot(&search.now.gradient, &search.now.gradient).sqrt() / search.unit;
            return Err(HeadError::NotConverged { iterations: search.iterations, gradient });
        }
    }
}

impl Search {
    fn trial(&self) -> Vec<f64> {
        self.point.iter().zip(&self.direction).map(|(value, change)| value + self.step * change).collect()
    }

    /// Moves to the trial if it is better, else shortens the step. Returns whether it moved.
    fn take(&mut self, trial: Vec<f64>, evaluation: Evaluation) -> bool {
        let allowed = self.now.loss + DECREASE * self.step * self.slope + ROUNDING * self.now.loss.abs();
        // also false where the loss is no number
        let is_better = evaluation.loss <= allowed;
        if !is_better {
            // the minimum of the parabola through both losses and the slope
            let parabola =
                -0.5 * self.slope * self.step / ((evaluation.loss - self.now.loss) / self.step - self.slope);
            let shorter = if parabola.is_finite() { parabola } else { 0.0 };
            self.step = shorter.clamp(0.1 * self.step, 0.5 * self.step);
            self.halvings += 1;
            self.is_done = self.halvings > HALVINGS;
            return false;
        }
        let change: Vec<f64> = trial.iter().zip(&self.point).map(|(new, old)| new - old).collect();
        let turned: Vec<f64> =
            evaluation.gradient.iter().zip(&self.now.gradient).map(|(new, old)| new - old).collect();
        let product = dot(&change, &turned);
        if product > f64::EPSILON * dot(&turned, &turned) {
            if self.memory.len() == MEMORY {
                self.memory.pop_front();
            }
            self.memory.push_back((change, turned, 1.0 / product));
        }
        self.point = trial;
        self.now = evaluation;
        self.iterations += 1;
        true
    }

    /// The next direction, unless the optimum is reached.
    fn turn(&mut self, task: &Task, squares: &[f64], rows: f64, until: Until) {
        let guess = |gradient: &[f64]| -> Vec<f64> {
            let mut scaled = Vec::with_capacity(gradient.len());
            for (gradient, curvature) in gradient.chunks_exact(squares.len() + 1).zip(&self.now.curvature) {
                let curvature = curvature.max(CURVATURE);
                let along = gradient.iter().zip(squares);
                scaled
                    .extend(along.map(|(value, square)| value / (curvature * square / rows + task.penalty)));
                scaled.push(gradient[squares.len()] / curvature);
            }
            scaled
        };
        let gradient = &self.now.gradient;
        let is_there = match until {
            Until::Gradient(limit) => dot(gradient, gradient).sqrt() <= limit * self.unit,
            Until::Gap(limit) => 0.5 * dot(gradient, &guess(gradient)) <= limit,
        };
        if is_there {
            self.is_done = true;
            return;
        }
        let mut direction = gradient.clone();
        let mut shares = Vec::with_capacity(self.memory.len());
        for (change, turned, inverse) in self.memory.iter().rev() {
            let share = inverse * dot(change, &direction);
            add_scaled(&mut direction, turned, -share);
            shares.push(share);
        }
        direction = guess(&direction);
        for ((change, turned, inverse), share) in self.memory.iter().zip(shares.iter().rev()) {
            let back = inverse * dot(turned, &direction);
            add_scaled(&mut direction, change, share - back);
        }
        direction.iter_mut().for_each(|value| *value = -*value);
        self.slope = dot(&self.now.gradient, &direction);
        self.direction = direction;
        self.step = 1.0;
        self.halvings = 0;
        // rounding can turn the direction uphill only where there is nothing left to gain
        self.is_done = self.slope >= 0.0 || !self.slope.is_finite();
    }
}

/// A sum in eight parts, so that the processor adds several at a time.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}

fn add_scaled(to: &mut [f64], from: &[f64], scale: f64) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += scale * from);
}
