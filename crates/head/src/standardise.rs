//! Soft standardisation: features of mean 0, scaled so that each column block counts the same.
//!
//! With the mean `μ_j` and the standard deviation `s_j` of a column and its block's mean deviation `s̄`, a feature becomes
//! `z_j = (x_j − μ_j) / (s_j + s̄/2)`. A column that hardly varies is so not blown up to the size of the others. Then each block is
//! divided by `q √B`, where `q²` is the mean of `|z|²` over the rows and `B` the number of blocks, so that the mean squared norm
//! of a row is 1.

use crate::pieces::Pieces;
use crate::{FeatureTable, HeadError};
use rayon::prelude::*;

/// The share of a block's mean deviation that is added to each deviation.
const SOFTNESS: f64 = 0.5;
/// Rows that a thread reads at a time.
const READ: usize = 128;

/// How features become standardised ones: `z_j = (x_j − mean_j) · scale_j`.
#[derive(Clone, Debug)]
pub(crate) struct Scaling {
    /// `[width]`
    pub(crate) means: Vec<f64>,
    /// `[width]`; 0 for the columns of a block that does not vary.
    pub(crate) scales: Vec<f64>,
    /// `[width]`, of the standardised features. They sum to 1.
    pub(crate) variances: Vec<f64>,
}

impl Scaling {
    /// Reads the table once. Weights have the mean 1.
    pub(crate) fn of(
        table: &dyn FeatureTable,
        blocks: &[usize],
        weights: Option<&[f64]>,
    ) -> Result<Self, HeadError> {
        let (rows, width) = (table.rows(), table.width());
        // differences from the first row keep the sums exact where the mean is far larger than the deviation
        let mut first = vec![0.0; width];
        table.read(0..1, &mut first)?;
        let first: Vec<f64> = first.into_iter().map(f64::from).collect();
        let mut sums = vec![0.0; 2 * width];
        let piece = |rows: &[usize]| {
            let mut values = vec![0.0; rows.len() * width];
            read(table, rows, &mut values)?;
            let mut sums = vec![0.0; 2 * width];
            let (sum, squares) = sums.split_at_mut(width);
            for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
                if let Some(column) = values.iter().position(|value| !value.is_finite()) {
                    return Err(HeadError::FeatureNotFinite { row: *row, column });
                }
                let weight = weights.map_or(1.0, |weights| weights[*row]);
                for (((sum, square), value), first) in
                    sum.iter_mut().zip(&mut *squares).zip(values).zip(&first)
                {
                    let from_first = f64::from(*value) - first;
                    *sum += weight * from_first;
                    *square += weight * from_first * from_first;
                }
            }
            Ok(sums)
        };
        Pieces::in_order(rows).fold(piece, |_, part| add(&mut sums, &part))?;
        let (sum, squares) = sums.split_at(width);
        let count = rows as f64;
        let means = (0..width).map(|column| first[column] + sum[column] / count).collect();
        let variance = |column: usize| {
            (squares[column] / count - (sum[column] / count) * (sum[column] / count)).max(0.0)
        };
        let variances: Vec<f64> = (0..width).map(variance).collect();
        let scales = scales(&variances, blocks);
        let variances =
            variances.iter().zip(&scales).map(|(variance, scale)| variance * scale * scale).collect();
        Ok(Self { means, scales, variances })
    }

    /// Writes the standardised features of `rows`, `[rows, width]`.
    pub(crate) fn read(&self, table: &dyn FeatureTable, rows: &[usize]) -> Result<Vec<f64>, HeadError> {
        let mut values = vec![0.0; rows.len() * self.means.len()];
        read(table, rows, &mut values)?;
        let mut standardised = Vec::with_capacity(values.len());
        for row in values.chunks_exact(self.means.len()) {
            let places = row.iter().zip(&self.means).zip(&self.scales);
            standardised.extend(places.map(|((value, mean), scale)| (f64::from(*value) - mean) * scale));
        }
        Ok(standardised)
    }

    /// The same on several threads, for many rows.
    pub(crate) fn read_parallel(
        &self,
        table: &dyn FeatureTable,
        rows: &[usize],
    ) -> Result<Vec<f64>, HeadError> {
        let parts: Result<Vec<Vec<f64>>, HeadError> =
            rows.par_chunks(READ).map(|rows| self.read(table, rows)).collect();
        Ok(parts?.concat())
    }

    /// The kernel `[width, outputs]` and the bias of the same layer on raw features. `kernel` is `[outputs][width]`.
    ///
    /// The bias makes up for the rounding of the kernel at the mean of the features.
    pub(crate) fn fold(&self, kernel: &[Vec<f64>], bias: &[f64]) -> (Vec<f32>, Vec<f32>) {
        let outputs = kernel.len();
        let mut folded = vec![0.0; self.means.len() * outputs];
        let mut shifted = bias.to_vec();
        for (output, (column, bias)) in kernel.iter().zip(&mut shifted).enumerate() {
            for (at, value) in column.iter().enumerate() {
                let value = (value * self.scales[at]) as f32;
                folded[at * outputs + output] = value;
                *bias -= self.means[at] * f64::from(value);
            }
        }
        (folded, shifted.into_iter().map(|value| value as f32).collect())
    }
}

fn scales(variances: &[f64], blocks: &[usize]) -> Vec<f64> {
    let mut scales = Vec::with_capacity(variances.len());
    let mut varying = 0_usize;
    for width in blocks {
        let block = &variances[scales.len()..scales.len() + width];
        let mean = block.iter().map(|variance| variance.sqrt()).sum::<f64>() / (*width).max(1) as f64;
        let divisor = |variance: f64| variance.sqrt() + SOFTNESS * mean;
        let mean_square: f64 = block.iter().map(|variance| variance / divisor(*variance).powi(2)).sum();
        // a block that does not vary says nothing; nor does one whose squares are too small for a number
        let varies = mean > 0.0 && mean_square.is_normal();
        varying += usize::from(varies);
        scales.extend(
            block.iter().map(
                |variance| {
                    if varies { 1.0 / (divisor(*variance) * mean_square.sqrt()) } else { 0.0 }
                },
            ),
        );
    }
    let share = 1.0 / (varying.max(1) as f64).sqrt();
    scales.iter_mut().for_each(|scale| *scale *= share);
    scales
}

/// Reads rows in any order, those that follow each other at once.
pub(crate) fn read(table: &dyn FeatureTable, rows: &[usize], out: &mut [f32]) -> Result<(), HeadError> {
    let width = table.width();
    let mut done = 0;
    while done < rows.len() {
        let first = rows[done];
        let count = rows[done..].iter().enumerate().take_while(|(at, row)| **row == first + at).count();
        table.read(first..first + count, &mut out[done * width..(done + count) * width])?;
        done += count;
    }
    Ok(())
}

pub(crate) fn add(sums: &mut [f64], part: &[f64]) {
    sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
}
