//! Rows in fixed pieces, so that sums are added in an order that does not depend on the number of threads.

use crate::HeadError;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a piece, unless a group is larger.
const PIECE: usize = 256;
/// Pieces whose results are held at a time before they are added.
const WAVE: usize = 32;

/// An order of the rows in which groups stand together, cut into pieces that split no group.
pub(crate) struct Pieces {
    /// Rows of the table.
    order: Vec<usize>,
    /// Ranges of the order.
    pieces: Vec<Range<usize>>,
}

impl Pieces {
    /// In the order of the table.
    pub(crate) fn in_order(rows: usize) -> Self {
        let pieces = (0..rows).step_by(PIECE).map(|start| start..(start + PIECE).min(rows)).collect();
        Self { order: (0..rows).collect(), pieces }
    }

    /// Group after group, each as the table has it.
    pub(crate) fn of_groups(groups: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|row| groups[*row]);
        let mut pieces: Vec<Range<usize>> = Vec::new();
        for group in runs(&order, |row| groups[row]) {
            match pieces.last_mut() {
                Some(last) if group.end - last.start <= PIECE => last.end = group.end,
                _ => pieces.push(group),
            }
        }
        Self { order, pieces }
    }

    /// Calls `map` with the rows of each piece, on several threads, and `add` with the results in order.
    pub(crate) fn fold<T: Send>(
        &self,
        map: impl Fn(&[usize]) -> Result<T, HeadError> + Sync,
        mut add: impl FnMut(&[usize], T),
    ) -> Result<(), HeadError> {
        for wave in self.pieces.chunks(WAVE) {
            if let [piece] = wave {
                let rows = &self.order[piece.clone()];
                add(rows, map(rows)?);
                continue;
            }
            let done: Vec<Result<T, HeadError>> =
                wave.par_iter().map(|piece| map(&self.order[piece.clone()])).collect();
            for (piece, result) in wave.iter().zip(done) {
                add(&self.order[piece.clone()], result?);
            }
        }
        Ok(())
    }
}

/// Ranges of `rows` over which `key` stays the same.
pub(crate) fn runs(rows: &[usize], key: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        match found.last_mut() {
            Some(last) if key(rows[last.start]) == key(*row) => last.end = at + 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}
