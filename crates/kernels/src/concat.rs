//! Concatenation along the last axis, one input at a time.

use crate::element::Element;

/// Writes `x` into columns `offset..offset + columns_from` of `y`.
///
/// * `x`: `[rows, columns_from]`
/// * `y`: `[rows, columns_to]`
pub fn copy_columns<E: Element>(
    rows: usize,
    columns_from: usize,
    x: &[E],
    columns_to: usize,
    offset: usize,
    y: &mut [E],
) {
    check(rows, columns_from, x, columns_to, offset, y);
    if columns_from == 0 {
        return;
    }
    for (x, y) in x.chunks_exact(columns_from).zip(y.chunks_exact_mut(columns_to)) {
        y[offset..offset + columns_from].copy_from_slice(x);
    }
}

/// The gradient of [`copy_columns`]: `dx += dy[:, offset..offset + columns_from]`.
///
/// * `dx`: `[rows, columns_from]`
/// * `dy`: `[rows, columns_to]`
pub fn add_columns_back(
    rows: usize,
    columns_from: usize,
    dx: &mut [f32],
    columns_to: usize,
    offset: usize,
    dy: &[f32],
) {
    check(rows, columns_from, dx, columns_to, offset, dy);
    if columns_from == 0 {
        return;
    }
    for (dx, dy) in dx.chunks_exact_mut(columns_from).zip(dy.chunks_exact(columns_to)) {
        for (dx, dy) in dx.iter_mut().zip(&dy[offset..offset + columns_from]) {
            *dx += dy;
        }
    }
}

fn check<E>(rows: usize, columns_from: usize, x: &[E], columns_to: usize, offset: usize, y: &[E]) {
    assert_eq!(x.len(), rows * columns_from, "x is [rows, columns_from]");
    assert_eq!(y.len(), rows * columns_to, "y is [rows, columns_to]");
    assert!(offset + columns_from <= columns_to, "the columns fit");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_there_and_back() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let mut y = [0.0; 6];
        copy_columns(2, 2, &a, 3, 0, &mut y);
        copy_columns(2, 1, &b, 3, 2, &mut y);
        assert_eq!(y, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        let mut da = [10.0; 4];
        add_columns_back(2, 2, &mut da, 3, 0, &y);
        assert_eq!(da, [11.0, 12.0, 13.0, 14.0]);
        let mut db = [10.0; 2];
        add_columns_back(2, 1, &mut db, 3, 2, &y);
        assert_eq!(db, [15.0, 16.0]);
    }
}
