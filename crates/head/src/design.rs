//! Features in the coordinates in which both methods are solved: along the eigenvectors of their covariance.
//!
//! Where there are no more rows than columns, the eigenvectors come from the kernel `Z Zᵀ` and there are fewer coordinates than
//! rows. Otherwise they come from `Zᵀ Z`, added up block by block. Either way a solution has the same norm as the kernel of the
//! layer on standardised features, so a penalty means the same.

use crate::pieces::Pieces;
use crate::product::{Gram, columns, eigen, multiply};
use crate::standardise::Scaling;
use crate::{FeatureTable, HeadError};
use faer::{Mat, MatRef};

/// Coordinates of more bytes than this are made anew for each pass.
pub(crate) const HELD_BYTES: usize = 256 << 20;
/// Rows that are read at a time for the covariance.
const READ_ROWS: usize = 1024;

/// The rows in their coordinates, `[rows, rank]`.
pub(crate) struct Design<'a> {
    table: &'a dyn FeatureTable,
    pub(crate) scaling: Scaling,
    rows: usize,
    /// Eigenvalues of the weighted `Zᵀ Z`, the largest first. They sum to about the number of rows.
    pub(crate) squares: Vec<f64>,
    basis: Basis,
    /// The coordinates, where they fit in memory.
    held: Option<Vec<f64>>,
}

enum Basis {
    /// `[width, rank]`: coordinates are `Z V`.
    Columns(Mat<f64>),
    /// Coordinates are the standardised features themselves.
    Plain,
    /// Standardised features `[rows, width]` and `[rows, rank]`: coordinates are `Z Zᵀ D`.
    Rows(Vec<f64>, Mat<f64>),
}

impl<'a> Design<'a> {
    /// Reads the table, which may be larger than the memory where there are more rows than columns.
    pub(crate) fn of(
        table: &'a dyn FeatureTable,
        blocks: &[usize],
        weights: Option<&[f64]>,
        held_bytes: usize,
    ) -> Result<Self, HeadError> {
        let scaling = Scaling::of(table, blocks, weights)?;
        if table.rows() <= table.width() {
            Self::of_rows(table, scaling, weights)
        } else {
            Self::of_columns(table, scaling, weights, held_bytes)
        }
    }

    /// Where there are more rows than columns, without eigenvectors: for one regression they cost more than they save.
    pub(crate) fn plain(
        table: &'a dyn FeatureTable,
        blocks: &[usize],
        weights: Option<&[f64]>,
        held_bytes: usize,
    ) -> Result<Self, HeadError> {
        let (rows, width) = (table.rows(), table.width());
        if rows <= width {
            return Self::of(table, blocks, weights, held_bytes);
        }
        let scaling = Scaling::of(table, blocks, weights)?;
        let fits = rows.saturating_mul(width).saturating_mul(size_of::<f64>()) <= held_bytes;
        let held = if fits { Some(read_all(table, &scaling)?) } else { None };
        let squares = scaling.variances.iter().map(|variance| variance * rows as f64).collect();
        Ok(Self { table, scaling, rows, squares, basis: Basis::Plain, held })
    }

    fn of_rows(
        table: &'a dyn FeatureTable,
        scaling: Scaling,
        weights: Option<&[f64]>,
    ) -> Result<Self, HeadError> {
        let (rows, width) = (table.rows(), table.width());
        let z = read_all(table, &scaling)?;
        let mut kernel = Gram::zeros(rows);
        kernel.add(columns(&z, width).transpose());
        let mut kernel = kernel.lower();
        let root = |row: usize| weights.map_or(1.0, |weights| weights[row].sqrt());
        let unweighted = weights.map(|_| kernel.clone());
        if weights.is_some() {
            for column in 0..rows {
                (column..rows).for_each(|row| kernel[(row, column)] *= root(row) * root(column));
            }
        }
        let (u, squares) = eigen(kernel.as_ref())?;
        let rank = squares.len();
        let back = Mat::from_fn(rows, rank, |row, at| u[(row, at)] * root(row) / squares[at].sqrt());
        let mut held = vec![0.0; rows * rank];
        if let Some(mut kernel) = unweighted {
            // a row of weight 0 has coordinates too
            for column in 0..rows {
                (0..column).for_each(|row| kernel[(row, column)] = kernel[(column, row)]);
            }
            let out = faer::MatMut::from_column_major_slice_mut(&mut held, rank, rows);
            multiply(out, back.transpose(), kernel.as_ref());
        } else {
            for (row, coordinates) in held.chunks_exact_mut(rank.max(1)).enumerate() {
                let places = coordinates.iter_mut().zip(&squares).enumerate();
                places.for_each(|(at, (value, square))| *value = u[(row, at)] * square.sqrt());
            }
        }
        Ok(Self { table, scaling, rows, squares, basis: Basis::Rows(z, back), held: Some(held) })
    }

    fn of_columns(
        table: &'a dyn FeatureTable,
        scaling: Scaling,
        weights: Option<&[f64]>,
        held_bytes: usize,
    ) -> Result<Self, HeadError> {
        let (rows, width) = (table.rows(), table.width());
        let mut covariance = Gram::zeros(width);
        for start in (0..rows).step_by(READ_ROWS) {
            let taken: Vec<usize> = (start..(start + READ_ROWS).min(rows)).collect();
            let mut z = scaling.read_parallel(table, &taken)?;
            if let Some(weights) = weights {
                for (row, values) in taken.iter().zip(z.chunks_exact_mut(width)) {
                    let root = weights[*row].sqrt();
                    values.iter_mut().for_each(|value| *value *= root);
                }
            }
            covariance.add(columns(&z, width));
        }
        let (v, squares) = eigen(covariance.lower().as_ref())?;
        let rank = squares.len();
        let mut design = Self { table, scaling, rows, squares, basis: Basis::Columns(v), held: None };
        if rows.saturating_mul(rank).saturating_mul(size_of::<f64>()) <= held_bytes {
            let mut held = Vec::with_capacity(rows * rank);
            Pieces::in_order(rows)
                .fold(|rows| design.coordinates(rows), |_, part: Vec<f64>| held.extend_from_slice(&part))?;
            design.held = Some(held);
        }
        Ok(design)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn rank(&self) -> usize {
        self.squares.len()
    }

    /// Whether every pass reads the table again.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The coordinates of `rows`, `[rows, rank]`.
    pub(crate) fn coordinates(&self, rows: &[usize]) -> Result<Vec<f64>, HeadError> {
        let rank = self.rank();
        match (&self.held, &self.basis) {
            (Some(held), _) => Ok(gather(held, rank, rows)),
            (None, Basis::Columns(v)) => {
                let z = self.scaling.read(self.table, rows)?;
                let mut out = vec![0.0; rows.len() * rank];
                let to = faer::MatMut::from_column_major_slice_mut(&mut out, rank, rows.len());
                multiply(to, v.transpose(), columns(&z, self.table.width()));
                Ok(out)
            }
            (None, _) => self.scaling.read(self.table, rows),
        }
    }

    /// Calls `work` with the rows as columns of a matrix, in the coordinates that cost least: the held ones, or else
    /// standardised features.
    pub(crate) fn with_rows<T>(
        &self,
        rows: &[usize],
        work: impl FnOnce(MatRef<'_, f64>) -> T,
    ) -> Result<T, HeadError> {
        let Some(held) = &self.held else {
            let z = self.scaling.read(self.table, rows)?;
            return Ok(work(columns(&z, self.table.width())));
        };
        let rank = self.rank();
        let follow = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
        match rows {
            [first, .., last] if follow => {
                Ok(work(matrix(&held[first * rank..(last + 1) * rank], rank, rows.len())))
            }
            _ => Ok(work(matrix(&gather(held, rank, rows), rank, rows.len()))),
        }
    }

    /// A solution `[rank, any]` in the coordinates of [`Self::with_rows`].
    pub(crate) fn for_rows(&self, solution: Mat<f64>) -> Mat<f64> {
        match (&self.held, &self.basis) {
            (None, Basis::Columns(v)) => product(v.as_ref(), solution.as_ref()),
            _ => solution,
        }
    }

    /// A gradient in the coordinates of [`Self::with_rows`], in those of the solution.
    pub(crate) fn back_from_rows(&self, gradient: Mat<f64>) -> Mat<f64> {
        match (&self.held, &self.basis) {
            (None, Basis::Columns(v)) => product(v.transpose(), gradient.as_ref()),
            _ => gradient,
        }
    }

    /// How many coordinates [`Self::with_rows`] gives.
    pub(crate) fn row_width(&self) -> usize {
        if self.is_held() { self.rank() } else { self.table.width() }
    }

    /// The kernel on standardised features of a solution `[rank, outputs]`, output by output.
    pub(crate) fn kernel(&self, solution: MatRef<'_, f64>) -> Vec<Vec<f64>> {
        let kernel = match &self.basis {
            Basis::Plain => solution.to_owned(),
            Basis::Columns(v) => product(v.as_ref(), solution),
            Basis::Rows(z, back) => {
                let along = product(back.as_ref(), solution);
                product(columns(z, self.table.width()), along.as_ref())
            }
        };
        (0..kernel.ncols()).map(|output| kernel.col(output).iter().copied().collect()).collect()
    }
}

/// Values of a matrix `[width, rows]`, which may have no width.
fn matrix(values: &[f64], width: usize, rows: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, width, rows)
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    multiply(out.as_mut(), a, b);
    out
}

fn gather(held: &[f64], rank: usize, rows: &[usize]) -> Vec<f64> {
    rows.iter().flat_map(|row| &held[row * rank..(row + 1) * rank]).copied().collect()
}

fn read_all(table: &dyn FeatureTable, scaling: &Scaling) -> Result<Vec<f64>, HeadError> {
    scaling.read_parallel(table, &(0..table.rows()).collect::<Vec<usize>>())
}
