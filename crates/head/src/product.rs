//! Matrix products whose bits do not depend on the number of threads, and eigenvalues.
//!
//! Every product of [`faer`] runs on one thread; threads share pieces whose bounds depend on the sizes alone.

use crate::HeadError;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, diag::Diag};
use rayon::prelude::*;

/// Eigenvalues below this share of the largest are rounding errors of zero.
const RANK: f64 = 1e-12;

/// `out = a b`
pub(crate) fn multiply(out: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
}

/// Rows that lie one after the other, as the columns of a matrix: `[width, rows]`.
pub(crate) fn columns(values: &[f64], width: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, width, values.len() / width.max(1))
}

/// The lower triangle of a symmetric sum of products `a aᵀ`, in tiles that threads share.
pub(crate) struct Gram {
    size: usize,
    tile: usize,
    tiles: Vec<(usize, usize, Mat<f64>)>,
}

impl Gram {
    pub(crate) fn zeros(size: usize) -> Self {
        let tile = if size <= 512 { 64 } else { 256 };
        let starts = || (0..size).step_by(tile);
        let pairs =
            starts().flat_map(|row| starts().take_while(move |column| *column <= row).map(move |c| (row, c)));
        let extent = |start: usize| tile.min(size - start);
        let tiles =
            pairs.map(|(row, column)| (row, column, Mat::zeros(extent(row), extent(column)))).collect();
        Self { size, tile, tiles }
    }

    /// Adds `a aᵀ` for `a` `[size, any]`.
    pub(crate) fn add(&mut self, a: MatRef<'_, f64>) {
        let (size, tile) = (self.size, self.tile);
        self.tiles.par_iter_mut().for_each(|(row, column, sum)| {
            let rows = |start: usize| a.subrows(start, tile.min(size - start));
            matmul(sum.as_mut(), Accum::Add, rows(*row), rows(*column).transpose(), 1.0, Par::Seq);
        });
    }

    /// The matrix; what is above the diagonal tiles is 0.
    pub(crate) fn lower(&self) -> Mat<f64> {
        let mut whole = Mat::zeros(self.size, self.size);
        for (row, column, tile) in &self.tiles {
            whole.as_mut().submatrix_mut(*row, *column, tile.nrows(), tile.ncols()).copy_from(tile);
        }
        whole
    }
}

/// Eigenvectors `[size, rank]` and eigenvalues, the largest first, without those that are 0 but for rounding.
pub(crate) fn eigen(lower: MatRef<'_, f64>) -> Result<(Mat<f64>, Vec<f64>), HeadError> {
    let size = lower.nrows();
    let mut vectors = Mat::zeros(size, size);
    let mut values = Diag::zeros(size);
    let scratch =
        self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(lower, values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default())
        .map_err(|_| HeadError::Eigenvalues)?;
    let values = values.column_vector();
    let largest = if size == 0 { 0.0 } else { values[size - 1].max(0.0) };
    let rank = (0..size).filter(|at| values[*at] > RANK * largest).count();
    // faer gives the smallest first
    let kept = Mat::from_fn(size, rank, |row, column| vectors[(row, size - 1 - column)]);
    Ok((kept, (0..rank).map(|column| values[size - 1 - column]).collect()))
}
