//! The loss of logistic regressions over the same rows, and its gradient.

use crate::design::Design;
use crate::loss::{sigmoid, softplus};
use crate::pieces::Pieces;
use crate::product::multiply;
use crate::standardise::add;
use crate::{HeadError, Targets};
use faer::{Mat, MatMut, MatRef};

/// One regression: minimise `Σ w_i loss_i + c/2 |W|²` over the kernel `W` and the intercept, which has no penalty.
pub(crate) struct Task {
    /// `[rows]`, which sum to 1; 0 for rows that are held out.
    pub(crate) weights: Vec<f64>,
    /// `c`
    pub(crate) penalty: f64,
    /// `[outputs]`: classes with rows, or labels that vary. Others are not fitted, since their intercept would be infinite.
    pub(crate) present: Vec<bool>,
}

/// A loss, its gradient, and how curved it is.
pub(crate) struct Evaluation {
    pub(crate) loss: f64,
    /// `[outputs][rank + 1]`, the intercept last.
    pub(crate) gradient: Vec<f64>,
    /// `[outputs]`: the mean of `p (1 − p)`.
    pub(crate) curvature: Vec<f64>,
}

pub(crate) struct Objective<'a> {
    pub(crate) design: &'a Design<'a>,
    pub(crate) targets: Targets<'a>,
    pub(crate) pieces: Pieces,
}

impl<'a> Objective<'a> {
    pub(crate) fn new(design: &'a Design<'a>, targets: Targets<'a>) -> Self {
        Self { design, targets, pieces: Pieces::in_order(design.rows()) }
    }

    /// Evaluates each task at its point, with one reading of the rows for all. A point is `[outputs][rank + 1]`.
    pub(crate) fn evaluate(&self, tasks: &[(&Task, &[f64])]) -> Result<Vec<Evaluation>, HeadError> {
        let (rank, outputs) = (self.design.rank(), self.targets.outputs());
        let columns = tasks.len() * outputs;
        let points: Vec<&[f64]> = tasks.iter().map(|(_, point)| *point).collect();
        let (kernel, bias) = self.stack(&points);
        let kernel = self.design.for_rows(kernel);
        let mut gradient = Mat::<f64>::zeros(self.design.row_width(), columns);
        let (mut biases, mut curvatures) = (vec![0.0; columns], vec![0.0; columns]);
        let mut losses = vec![0.0; tasks.len()];
        let piece = |rows: &[usize]| {
            self.design.with_rows(rows, |a| {
                let mut logits = logits(a, &kernel, &bias);
                let mut sums = Sums::zeros(tasks.len(), outputs);
                for (row, logits) in rows.iter().zip(logits.chunks_exact_mut(columns)) {
                    for (at, ((task, _), logits)) in
                        tasks.iter().zip(logits.chunks_exact_mut(outputs)).enumerate()
                    {
                        self.row(*row, task, logits, sums.of(at, outputs));
                    }
                }
                let residuals = MatRef::from_column_major_slice(&logits, columns, rows.len());
                let mut part = Mat::zeros(a.nrows(), columns);
                multiply(part.as_mut(), a, residuals.transpose());
                (part, sums)
            })
        };
        self.pieces.fold(piece, |_, (part, sums)| {
            gradient += part;
            add(&mut biases, &sums.biases);
            add(&mut curvatures, &sums.curvatures);
            add(&mut losses, &sums.losses);
        })?;
        let gradient = self.design.back_from_rows(gradient);
        let evaluation = |(at, (task, point)): (usize, &(&Task, &[f64]))| {
            let mut loss = losses[at];
            let mut own = Vec::with_capacity(point.len());
            for (output, point) in point.chunks_exact(rank + 1).enumerate() {
                let column = at * outputs + output;
                let kernel = &point[..rank];
                loss += 0.5 * task.penalty * kernel.iter().map(|value| value * value).sum::<f64>();
                own.extend(
                    kernel.iter().enumerate().map(|(k, value)| gradient[(k, column)] + task.penalty * value),
                );
                own.push(biases[column]);
            }
            let curvature = curvatures[at * outputs..(at + 1) * outputs].to_vec();
            Evaluation { loss, gradient: own, curvature }
        };
        Ok(tasks.iter().enumerate().map(evaluation).collect())
    }

    /// `[rows, outputs]`: the logits of each row at the one of the points that is chosen for it.
    pub(crate) fn predict(&self, points: &[&[f64]], chosen: &[usize]) -> Result<Vec<f64>, HeadError> {
        let outputs = self.targets.outputs();
        let (kernel, bias) = self.stack(points);
        let kernel = self.design.for_rows(kernel);
        let mut found = Vec::with_capacity(self.design.rows() * outputs);
        let piece = |rows: &[usize]| self.design.with_rows(rows, |a| logits(a, &kernel, &bias));
        self.pieces.fold(piece, |rows, part: Vec<f64>| {
            for (row, at_all) in rows.iter().zip(part.chunks_exact(bias.len())) {
                found.extend_from_slice(&at_all[chosen[*row] * outputs..][..outputs]);
            }
        })?;
        Ok(found)
    }

    fn stack(&self, points: &[&[f64]]) -> (Mat<f64>, Vec<f64>) {
        let (rank, outputs) = (self.design.rank(), self.targets.outputs());
        let column = |column: usize| {
            let start = (column % outputs) * (rank + 1);
            &points[column / outputs][start..start + rank + 1]
        };
        let count = points.len() * outputs;
        (Mat::from_fn(rank, count, |at, to| column(to)[at]), (0..count).map(|to| column(to)[rank]).collect())
    }

    /// Turns the logits of a row into weighted residuals `w (p − y)`, and adds up the rest.
    fn row(&self, row: usize, task: &Task, logits: &mut [f64], sums: RowSums<'_>) {
        let weight = task.weights[row];
        if weight == 0.0 {
            logits.fill(0.0);
            return;
        }
        if let Targets::Classes { labels, .. } = self.targets {
            *sums.loss += weight * softmax(logits, labels[row], &task.present);
        } else {
            for (output, logit) in logits.iter_mut().enumerate() {
                let y = self.targets.value(row, output);
                if task.present[output] {
                    *sums.loss += weight * (softplus(*logit) - y * *logit);
                    *logit = sigmoid(*logit);
                } else {
                    *logit = 0.0;
                }
            }
        }
        for (output, p) in logits.iter_mut().enumerate() {
            sums.curvatures[output] += weight * *p * (1.0 - *p);
            if task.present[output] {
                *p = weight * (*p - self.targets.value(row, output));
            }
            sums.biases[output] += *p;
        }
    }
}

/// `[rows, columns]`
fn logits(a: MatRef<'_, f64>, kernel: &Mat<f64>, bias: &[f64]) -> Vec<f64> {
    let mut logits = vec![0.0; a.ncols() * bias.len()];
    let to = MatMut::from_column_major_slice_mut(&mut logits, bias.len(), a.ncols());
    multiply(to, kernel.transpose(), a);
    logits.chunks_exact_mut(bias.len().max(1)).for_each(|row| add(row, bias));
    logits
}

/// Logits to probabilities of the classes that are present, and 0 for the others. Returns the loss.
fn softmax(logits: &mut [f64], label: usize, present: &[bool]) -> f64 {
    let taken = logits.iter().zip(present).filter(|(_, present)| **present);
    let largest = taken.map(|(logit, _)| *logit).fold(f64::NEG_INFINITY, f64::max);
    let own = logits[label] - largest;
    let mut total = 0.0;
    for (logit, present) in logits.iter_mut().zip(present) {
        *logit = if *present { (*logit - largest).exp() } else { 0.0 };
        total += *logit;
    }
    logits.iter_mut().for_each(|logit| *logit /= total);
    total.ln() - own
}

struct Sums {
    losses: Vec<f64>,
    biases: Vec<f64>,
    curvatures: Vec<f64>,
}

struct RowSums<'a> {
    loss: &'a mut f64,
    biases: &'a mut [f64],
    curvatures: &'a mut [f64],
}

impl Sums {
    fn zeros(tasks: usize, outputs: usize) -> Self {
        Self {
            losses: vec![0.0; tasks],
            biases: vec![0.0; tasks * outputs],
            curvatures: vec![0.0; tasks * outputs],
        }
    }

    fn of(&mut self, task: usize, outputs: usize) -> RowSums<'_> {
        let columns = task * outputs..(task + 1) * outputs;
        RowSums {
            loss: &mut self.losses[task],
            biases: &mut self.biases[columns.clone()],
            curvatures: &mut self.curvatures[columns],
        }
    }
}
