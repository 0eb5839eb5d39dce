//! Ridge regression with leave-one-out predictions in closed form.
//!
//! With coordinates `A` of the rows whose weighted mean is 0, weights `w` of mean 1 and the penalty `λ`, the predictions are
//! `H y` with `H = Q diag(w)` and `Q = 11ᵀ/n + A diag(1/(s + λ)) Aᵀ`. Without the rows `G` they err there by
//! `(I − H_GG)⁻¹ (y − H y)_G` (Allen 1974; Cook and Weisberg 1982, §2.2, for sets of rows). The intercept's `1/n` is part of `H`:
//! without it the error seems to fall with `λ` for ever where there are more columns than rows.

use crate::design::Design;
use crate::pieces::{Pieces, runs};
use crate::product::multiply;
use crate::{HeadError, Kind, Targets};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatMut, MatRef};

/// Penalties on the classes' indicators, as multiples of the mean squared norm. There are none below ¼: at 5 and 10 rows a class
/// the leave-one-out error is nearly flat there, and its minimum is often far too low.
const CLASS_PENALTIES: [f64; 11] =
    [0.25, 0.316_228, 0.562_341, 1.0, 1.778_28, 3.162_28, 5.623_41, 10.0, 17.7828, 31.6228, 100.0];
/// Penalties on numbers are `10^(k/4)` for these `k`.
const NUMBER_EXPONENTS: std::ops::RangeInclusive<i32> = -16..=8;
/// The most rows of a group. A linear system of this size is solved for each.
pub(crate) const LARGEST_GROUP: usize = 2048;

/// The solution and what leave-one-out says of it.
pub(crate) struct Ridge {
    /// The penalty as a multiple of the mean squared norm of a row.
    pub(crate) penalty: f64,
    /// `[rank, outputs]`
    pub(crate) solution: Mat<f64>,
    /// `[outputs]`, for coordinates of mean 0.
    pub(crate) bias: Vec<f64>,
    /// `[rows, outputs]`: each row as predicted without it and its group.
    pub(crate) out_of_sample: Vec<f64>,
}

struct Fit<'a> {
    design: &'a Design<'a>,
    pieces: Pieces,
    targets: Targets<'a>,
    weights: Option<&'a [f64]>,
    groups: Option<&'a [usize]>,
    /// Weighted means of the targets, `[outputs]`.
    means: Vec<f64>,
    /// One over the variances of the targets, which makes errors of numbers in different units comparable.
    precisions: Vec<f64>,
}

/// Picks the penalty by the mean squared leave-one-out error, from `penalties` or from the usual ones.
pub(crate) fn solve(
    design: &Design<'_>,
    targets: Targets<'_>,
    weights: Option<&[f64]>,
    groups: Option<&[usize]>,
    penalties: Option<&[f64]>,
) -> Result<Ridge, HeadError> {
    let (rows, outputs) = (design.rows(), targets.outputs());
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let mean_of = |value: &dyn Fn(usize) -> f64| (0..rows).map(value).sum::<f64>() / rows as f64;
    let means: Vec<f64> =
        (0..outputs).map(|output| mean_of(&|row| weight(row) * targets.value(row, output))).collect();
    let precision = |output: usize| {
        let variance = mean_of(&|row| weight(row) * (targets.value(row, output) - means[output]).powi(2));
        if targets.kind() == Kind::Numbers && variance > 0.0 { 1.0 / variance } else { 1.0 }
    };
    let precisions = (0..outputs).map(precision).collect();
    let pieces = groups.map_or_else(|| Pieces::in_order(rows), Pieces::of_groups);
    let fit = Fit { design, pieces, targets, weights, groups, means, precisions };
    let along = fit.along()?;
    let tried: Vec<f64> = match (penalties, targets.kind()) {
        (Some(penalties), _) => penalties.to_vec(),
        (None, Kind::Numbers) => NUMBER_EXPONENTS.map(|k| 10_f64.powf(f64::from(k) / 4.0)).collect(),
        (None, _) => CLASS_PENALTIES.to_vec(),
    };
    let mut best = 0;
    if tried.len() > 1 {
        let mut errors = vec![0.0; tried.len()];
        fit.leave_out(&along, &tried, |row, penalty, left_out| {
            let one = |(output, error): (usize, &f64)| error * error * fit.precisions[output];
            errors[penalty] += weight(row) * left_out.iter().enumerate().map(one).sum::<f64>();
        })?;
        best = (0..tried.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0);
    }
    let penalty = tried[best];
    let mut out_of_sample = vec![0.0; rows * outputs];
    fit.leave_out(&along, &[penalty], |row, _, left_out| {
        for (output, error) in left_out.iter().enumerate() {
            out_of_sample[row * outputs + output] = fit.targets.value(row, output) - error;
        }
    })?;
    let solution = fit.solution(&along, penalty);
    Ok(Ridge { penalty, solution, bias: fit.means, out_of_sample })
}

impl Fit<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// `Aᵀ diag(w) (Y − ȳ)`, `[rank, outputs]`.
    fn along(&self) -> Result<Mat<f64>, HeadError> {
        let (design, outputs) = (self.design, self.means.len());
        let mut sum = Mat::<f64>::zeros(design.row_width(), outputs);
        let piece = |rows: &[usize]| {
            let y = Mat::from_fn(rows.len(), outputs, |at, output| {
                self.weight(rows[at]) * (self.targets.value(rows[at], output) - self.means[output])
            });
            design.with_rows(rows, |a| {
                let mut part = Mat::zeros(a.nrows(), outputs);
                multiply(part.as_mut(), a, y.as_ref());
                part
            })
        };
        self.pieces.fold(piece, |_, part| sum += part)?;
        Ok(design.back_from_rows(sum))
    }

    /// `1 / (s + λ)`. The eigenvalues sum to the rows' number times their mean squared norm.
    fn shrinkage(&self, penalty: f64) -> Vec<f64> {
        let lambda = penalty * self.design.squares.iter().sum::<f64>() / self.design.rows() as f64;
        self.design.squares.iter().map(|square| 1.0 / (square + lambda)).collect()
    }

    fn solution(&self, along: &Mat<f64>, penalty: f64) -> Mat<f64> {
        let shrinkage = self.shrinkage(penalty);
        Mat::from_fn(along.nrows(), along.ncols(), |at, output| along[(at, output)] * shrinkage[at])
    }

    /// Calls `found` with each row, the number of each penalty, and the errors of the row when it is left out with its group.
    fn leave_out(
        &self,
        along: &Mat<f64>,
        penalties: &[f64],
        mut found: impl FnMut(usize, usize, &[f64]),
    ) -> Result<(), HeadError> {
        let (rank, outputs, tried) = (self.design.rank(), self.means.len(), penalties.len());
        let shrinkages: Vec<Vec<f64>> = penalties.iter().map(|penalty| self.shrinkage(*penalty)).collect();
        let solutions = Mat::from_fn(rank, tried * outputs, |at, column| {
            along[(at, column % outputs)] * shrinkages[column / outputs][at]
        });
        let shrink = Mat::from_fn(rank, tried, |at, penalty| shrinkages[penalty][at]);
        let piece = |rows: &[usize]| -> Result<Vec<f64>, HeadError> {
            let a = self.design.coordinates(rows)?;
            let a = MatRef::from_column_major_slice(&a, rank, rows.len());
            // [row][penalty][output]
            let mut residuals = vec![0.0; rows.len() * tried * outputs];
            let to = MatMut::from_column_major_slice_mut(&mut residuals, tried * outputs, rows.len());
            multiply(to, solutions.transpose(), a);
            for (place, value) in residuals.iter_mut().enumerate() {
                let (row, output) = (rows[place / (tried * outputs)], place % outputs);
                *value = self.targets.value(row, output) - self.means[output] - *value;
            }
            let groups = match self.groups {
                Some(groups) => runs(rows, |row| groups[row]),
                None => (0..rows.len()).map(|at| at..at + 1).collect(),
            };
            let squares = Mat::from_fn(rank, rows.len(), |at, row| a[(at, row)] * a[(at, row)]);
            let mut leverages = Mat::zeros(tried, rows.len());
            multiply(leverages.as_mut(), shrink.transpose(), squares.as_ref());
            for group in groups {
                if let [row] = rows[group.clone()] {
                    for penalty in 0..tried {
                        let own = 1.0 / self.design.rows() as f64 + leverages[(penalty, group.start)];
                        let left = (1.0 - self.weight(row) * own).max(f64::EPSILON);
                        let start = (group.start * tried + penalty) * outputs;
                        residuals[start..start + outputs].iter_mut().for_each(|value| *value /= left);
                    }
                } else {
                    let a = a.subcols(group.start, group.len());
                    for (penalty, shrinkage) in shrinkages.iter().enumerate() {
                        self.leave_group(
                            &rows[group.clone()],
                            a,
                            shrinkage,
                            |at, output| ((group.start + at) * tried + penalty) * outputs + output,
                            &mut residuals,
                        );
                    }
                }
            }
            Ok(residuals)
        };
        self.pieces.fold(piece, |rows, errors| {
            for (row, errors) in rows.iter().zip(errors.chunks_exact(tried * outputs)) {
                errors
                    .chunks_exact(outputs)
                    .enumerate()
                    .for_each(|(penalty, errors)| found(*row, penalty, errors));
            }
        })
    }

    /// Turns the residuals of a group, found at `place`, into errors without the group.
    fn leave_group(
        &self,
        rows: &[usize],
        a: MatRef<'_, f64>,
        shrinkage: &[f64],
        place: impl Fn(usize, usize) -> usize,
        residuals: &mut [f64],
    ) {
        let outputs = self.means.len();
        let shrunk = Mat::from_fn(a.nrows(), a.ncols(), |at, row| a[(at, row)] * shrinkage[at]);
        let mut q = Mat::zeros(rows.len(), rows.len());
        multiply(q.as_mut(), a.transpose(), shrunk.as_ref());
        let intercept = 1.0 / self.design.rows() as f64;
        let system = Mat::from_fn(rows.len(), rows.len(), |row, column| {
            f64::from(u8::from(row == column)) - (q[(row, column)] + intercept) * self.weight(rows[column])
        });
        let seen = Mat::from_fn(rows.len(), outputs, |at, output| residuals[place(at, output)]);
        let errors = system.partial_piv_lu().solve(&seen);
        for at in 0..rows.len() {
            (0..outputs).for_each(|output| residuals[place(at, output)] = errors[(at, output)]);
        }
    }
}
