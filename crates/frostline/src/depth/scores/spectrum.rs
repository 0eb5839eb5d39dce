//! The singular values of a matrix of features, and its left singular vectors.

use faer::{Mat, MatRef, Side};

/// Squared singular values below this share of the largest are rounding errors of zero.
const RANK: f64 = 1e-12;

/// `X = U diag(s) Vᵀ` without `V`.
pub(super) struct Spectrum {
    /// `[images, rank]`, orthonormal columns.
    pub(super) u: Mat<f64>,
    /// The squares of the singular values, the largest first.
    pub(super) squares: Vec<f64>,
}

impl Spectrum {
    /// From the smaller of the two Gram matrices, since there may be many more images than features, or fewer.
    pub(super) fn of(x: MatRef<'_, f64>) -> Self {
        if x.nrows() <= x.ncols() {
            return Self::of_kernel((x * x.transpose()).as_ref());
        }
        let Self { u: v, squares } = Self::of_kernel((x.transpose() * x).as_ref());
        let mut u = x * v;
        for (column, square) in squares.iter().enumerate() {
            let scale = 1.0 / square.sqrt();
            u.col_mut(column).iter_mut().for_each(|value| *value *= scale);
        }
        Self { u, squares }
    }

    /// From `X Xᵀ`.
    pub(super) fn of_kernel(kernel: MatRef<'_, f64>) -> Self {
        let Ok(found) = kernel.self_adjoint_eigen(Side::Lower) else {
            // these are no numbers: nothing can be read from them
            return Self { u: Mat::zeros(kernel.nrows(), 0), squares: Vec::new() };
        };
        let (values, vectors) = (found.S().column_vector(), found.U());
        let count = values.nrows();
        let largest = if count == 0 { 0.0 } else { values[count - 1].max(0.0) };
        let rank = (0..count).filter(|index| values[*index] > RANK * largest).count();
        // faer gives the smallest first
        let u = Mat::from_fn(vectors.nrows(), rank, |row, column| vectors[(row, count - 1 - column)]);
        let squares: Vec<f64> = (0..rank).map(|column| values[count - 1 - column]).collect();
        Self { u, squares }
    }
}
