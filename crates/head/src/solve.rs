//! From a problem to a layer.

use crate::design::{Design, HELD_BYTES};
use crate::loss::{mean, row_losses, temperature};
use crate::ridge::LARGEST_GROUP;
use crate::{HeadError, Kind, Method, Problem, Solved, Tried, logistic, ridge};
use faer::Mat;

/// A solution by one method, in the coordinates of the design.
struct Candidate {
    method: Method,
    /// `[rank, outputs]`
    solution: Mat<f64>,
    bias: Vec<f64>,
    /// `[rows, outputs]`
    out_of_sample: Vec<f64>,
    temperature: f64,
    /// Of each row.
    losses: Vec<f64>,
    ridge_penalty: Option<f64>,
    logistic_penalty: Option<f64>,
}

/// Solves the layer to its optimum. There is no learning rate, no epoch, no order and no seed: the same problem gives the same bits,
/// whatever the number of threads.
///
/// # Errors
/// Each [`HeadError`] says what is wrong with the problem.
pub fn solve(problem: &Problem<'_>, method: Method) -> Result<Solved, HeadError> {
    solve_within(problem, method, HELD_BYTES)
}

/// A dense layer on raw features.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `[width, outputs]`
    pub kernel: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

/// The logistic regression with the penalty `c`, without folds, temperature or out-of-sample predictions: the minimum of
/// `Σ w loss / Σ w + c/2 |W|²` over standardised features, where `loss` is the sum over labels. The gradient there is below 1e-8 of
/// that at 0. Groups play no part.
///
/// # Errors
/// Those of [`solve`]; [`HeadError::OutOfRange`] unless `c` is positive and finite; [`HeadError::MethodMismatch`] for numbers.
pub fn fit_logistic(problem: &Problem<'_>, penalty: f64) -> Result<Layer, HeadError> {
    let weights = problem.check()?;
    fitting(Method::Logistic, problem.targets.kind())?;
    if !(penalty.is_finite() && penalty > 0.0) {
        return Err(HeadError::OutOfRange {
            what: "the penalty",
            value: penalty,
            range: "a positive number",
        });
    }
    let design = Design::plain(problem.features, problem.blocks, weights.as_deref(), HELD_BYTES)?;
    let point = logistic::fit(&design, problem.targets, weights.as_deref(), penalty)?;
    let (rank, outputs) = (design.rank(), problem.targets.outputs());
    let solution = Mat::from_fn(rank, outputs, |at, output| point[output * (rank + 1) + at]);
    let bias: Vec<f64> = (0..outputs).map(|output| point[output * (rank + 1) + rank]).collect();
    let (kernel, bias) = design.scaling.fold(&design.kernel(solution.as_ref()), &bias);
    Ok(Layer { kernel, bias })
}

/// [`solve`] with so many bytes for the rows' coordinates.
pub(crate) fn solve_within(
    problem: &Problem<'_>,
    method: Method,
    held_bytes: usize,
) -> Result<Solved, HeadError> {
    let weights = problem.check()?;
    let weights = weights.as_deref();
    let method = fitting(method, problem.targets.kind())?;
    if let Some(groups) = problem.groups
        && method != Method::Logistic
    {
        check_groups(groups)?;
    }
    let design = Design::of(problem.features, problem.blocks, weights, held_bytes)?;
    let mut candidates = Vec::new();
    if method != Method::Logistic {
        candidates.push(by_ridge(problem, &design, weights)?);
    }
    if matches!(method, Method::Auto | Method::Logistic | Method::Mean) {
        candidates.push(by_logistic(problem, &design, weights)?);
    }
    if let [ridge, logistic] = &candidates[..] {
        let mean = mean_of(problem, ridge, logistic, weights);
        candidates.push(mean);
    }
    let tried = candidates
        .iter()
        .filter(|_| problem.targets.kind() != Kind::Numbers)
        .map(|found| Tried { method: found.method, log_loss: mean(&found.losses, weights) })
        .collect();
    let chosen = match method {
        Method::Auto => choose(candidates, weights),
        _ => candidates.pop(),
    };
    let chosen = chosen.ok_or(HeadError::MethodMismatch { method })?;
    Ok(finish(problem, &design, weights, chosen, tried))
}

/// The method for these targets: `Auto` only where there is something to choose.
fn fitting(method: Method, kind: Kind) -> Result<Method, HeadError> {
    match (kind, method) {
        (Kind::Numbers, Method::Auto) => Ok(Method::Ridge),
        (Kind::Labels, Method::Auto) => Ok(Method::Logistic),
        (Kind::Numbers, Method::Logistic | Method::Mean) | (Kind::Labels, Method::Ridge | Method::Mean) => {
            Err(HeadError::MethodMismatch { method })
        }
        _ => Ok(method),
    }
}

fn check_groups(groups: &[usize]) -> Result<(), HeadError> {
    let mut sorted = groups.to_vec();
    sorted.sort_unstable();
    let largest = sorted.chunk_by(|a, b| a == b).map(<[usize]>::len).max().unwrap_or(0);
    if largest > LARGEST_GROUP {
        return Err(HeadError::LargeGroup { rows: largest, limit: LARGEST_GROUP });
    }
    Ok(())
}

fn by_ridge(
    problem: &Problem<'_>,
    design: &Design<'_>,
    weights: Option<&[f64]>,
) -> Result<Candidate, HeadError> {
    let found = ridge::solve(design, problem.targets, weights, problem.groups, None)?;
    let mut candidate = Candidate {
        method: Method::Ridge,
        solution: found.solution,
        bias: found.bias,
        out_of_sample: found.out_of_sample,
        temperature: 1.0,
        losses: Vec::new(),
        ridge_penalty: Some(found.penalty),
        logistic_penalty: None,
    };
    candidate.calibrate(problem, weights);
    Ok(candidate)
}

fn by_logistic(
    problem: &Problem<'_>,
    design: &Design<'_>,
    weights: Option<&[f64]>,
) -> Result<Candidate, HeadError> {
    let found = logistic::solve(design, problem.targets, weights, problem.groups, None)?;
    let (rank, outputs) = (design.rank(), problem.targets.outputs());
    let mut candidate = Candidate {
        method: Method::Logistic,
        solution: Mat::from_fn(rank, outputs, |at, output| found.point[output * (rank + 1) + at]),
        bias: (0..outputs).map(|output| found.point[output * (rank + 1) + rank]).collect(),
        out_of_sample: found.out_of_sample,
        temperature: 1.0,
        losses: Vec::new(),
        ridge_penalty: None,
        logistic_penalty: Some(found.penalty),
    };
    candidate.calibrate(problem, weights);
    Ok(candidate)
}

/// The mean of two layers is a layer.
fn mean_of(problem: &Problem<'_>, a: &Candidate, b: &Candidate, weights: Option<&[f64]>) -> Candidate {
    let mean = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect();
    let mut candidate = Candidate {
        method: Method::Mean,
        solution: Mat::from_fn(a.solution.nrows(), a.solution.ncols(), |row, column| {
            0.5 * (a.solution[(row, column)] + b.solution[(row, column)])
        }),
        bias: mean(&a.bias, &b.bias),
        out_of_sample: mean(&a.out_of_sample, &b.out_of_sample),
        temperature: 1.0,
        losses: Vec::new(),
        ridge_penalty: a.ridge_penalty,
        logistic_penalty: b.logistic_penalty,
    };
    candidate.calibrate(problem, weights);
    candidate
}

impl Candidate {
    fn calibrate(&mut self, problem: &Problem<'_>, weights: Option<&[f64]>) {
        if problem.targets.kind() != Kind::Numbers {
            let factor = temperature(&problem.targets, &self.out_of_sample, weights);
            self.temperature = factor;
            self.solution *= faer::Scale(factor);
            self.bias.iter_mut().chain(&mut self.out_of_sample).for_each(|value| *value *= factor);
        }
        self.losses = row_losses(&problem.targets, &self.out_of_sample);
    }
}

/// The best by log loss, or the mean where it is worse by no more than the standard error of the difference.
fn choose(mut candidates: Vec<Candidate>, weights: Option<&[f64]>) -> Option<Candidate> {
    let loss = |at: &usize| mean(&candidates[*at].losses, weights);
    let best = (0..candidates.len()).min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
    let mean_at = candidates.iter().position(|found| found.method == Method::Mean)?;
    let pairs = candidates[mean_at].losses.iter().zip(&candidates[best].losses);
    let differences: Vec<f64> = pairs.map(|(mean, best)| mean - best).collect();
    let is_near = mean(&differences, weights) <= standard_error(&differences, weights);
    Some(candidates.swap_remove(if is_near { mean_at } else { best }))
}

/// Of a mean with weights whose mean is 1.
fn standard_error(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let centre = mean(values, weights);
    let weight = |at: usize| weights.map_or(1.0, |weights| weights[at]);
    let squares = values.iter().enumerate().map(|(at, value)| (weight(at) * (value - centre)).powi(2));
    let rows = values.len() as f64;
    (squares.sum::<f64>() / (rows * (rows - 1.0).max(1.0))).sqrt()
}

fn finish(
    problem: &Problem<'_>,
    design: &Design<'_>,
    weights: Option<&[f64]>,
    chosen: Candidate,
    tried: Vec<Tried>,
) -> Solved {
    let (kind, outputs) = (problem.targets.kind(), problem.targets.outputs());
    let (kernel, bias) = design.scaling.fold(&design.kernel(chosen.solution.as_ref()), &chosen.bias);
    let loss = mean(&chosen.losses, weights);
    let is_numbers = kind == Kind::Numbers;
    let accuracy = (!is_numbers).then(|| {
        let right = crate::interval::is_right(&problem.targets, &chosen.out_of_sample);
        right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
    });
    Solved {
        kernel,
        bias,
        width: problem.features.width(),
        outputs,
        kind,
        method: chosen.method,
        ridge_penalty: chosen.ridge_penalty,
        logistic_penalty: chosen.logistic_penalty,
        temperature: chosen.temperature,
        log_loss: (!is_numbers).then_some(loss),
        log_loss_error: (!is_numbers).then(|| standard_error(&chosen.losses, weights)),
        accuracy,
        mean_squared_error: is_numbers.then_some(loss),
        out_of_sample: chosen.out_of_sample,
        tried,
    }
}
