//! Rows that are nearly the same, and rows that are far from all others.

use crate::product::{columns, multiply};
use crate::standardise::Scaling;
use crate::{FeatureTable, HeadError};
use faer::Mat;
use rayon::prelude::*;

/// Rows whose distances to all others are computed at a time.
const AT_ONCE: usize = 64;

/// Of each row its nearest one of another group and the distance between them, `[rows]`, by standardised features. None where there
/// is no other group. `groups`: copies, which are known, have one number.
///
/// # Errors
/// [`HeadError::Size`] where there is not a group a row, and those of the table.
pub fn nearest(
    features: &dyn FeatureTable,
    blocks: &[usize],
    groups: &[usize],
) -> Result<Vec<Option<(usize, f64)>>, HeadError> {
    let (rows, width) = (features.rows(), features.width());
    if groups.len() != rows {
        return Err(HeadError::Size { what: "the groups", expected: rows, received: groups.len() });
    }
    if rows == 0 || width == 0 {
        return Ok(vec![None; rows]);
    }
    let every: Vec<usize> = (0..rows).collect();
    let z = Scaling::of(features, blocks, None)?.read_parallel(features, &every)?;
    let squares: Vec<f64> =
        z.chunks_exact(width).map(|row| row.iter().map(|value| value * value).sum()).collect();
    let all = columns(&z, width);
    let of_part = |part: &[usize]| {
        let own = all.subcols(part[0], part.len());
        let mut products = Mat::zeros(rows, part.len());
        multiply(products.as_mut(), all.transpose(), own);
        let nearest_of = |(at, row): (usize, &usize)| {
            let others = (0..rows).filter(|other| groups[*other] != groups[*row]);
            let square = |other: usize| squares[*row] + squares[other] - 2.0 * products[(other, at)];
            let nearest = others.map(|other| (other, square(other))).min_by(|a, b| a.1.total_cmp(&b.1));
            nearest.map(|(other, square)| (other, square.max(0.0).sqrt()))
        };
        part.iter().enumerate().map(nearest_of).collect::<Vec<_>>()
    };
    let parts: Vec<Vec<Option<(usize, f64)>>> = every.par_chunks(AT_ONCE).map(of_part).collect();
    Ok(parts.concat())
}
