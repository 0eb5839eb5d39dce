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
        let (images, width) = (x.nrows(), x.ncols());
        let gram = if images <= width { x * x.transpose() } else { x.transpose() * x };
        let Ok(found) = gram.self_adjoint_eigen(Side::Lower) else {
            // the features are no numbers: nothing can be read from them
            return Self { u: Mat::zeros(images, 0), squares: Vec::new() };
        };
        let (values, vectors) = (found.S().column_vector(), found.U());
        let count = values.nrows();
        let largest = if count == 0 { 0.0 } else { values[count - 1].max(0.0) };
        let rank = (0..count).filter(|index| values[*index] > RANK * largest).count();
        // faer gives the smallest first
        let top = vectors.subcols(count - rank, rank);
        let top = Mat::from_fn(top.nrows(), rank, |row, column| top[(row, rank - 1 - column)]);
        let squares: Vec<f64> = (0..rank).map(|column| values[count - 1 - column]).collect();
        let u = match images <= width {
            true => top,
            false => {
                let mut u = x * &top;
                for (column, square) in squares.iter().enumerate() {
                    let scale = 1.0 / square.sqrt();
                    u.col_mut(column).iter_mut().for_each(|value| *value *= scale);
                }
                u
            }
        };
        Self { u, squares }
    }
}
