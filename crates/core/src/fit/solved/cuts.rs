//! Which layers' outputs the head reads.

use crate::data::View;
use crate::graph::{Cut, Pooling};
use std::ops::Range;

/// A head reads the outputs of so many blocks, the highest that are kept: lower ones hold what the task of the pretrained
/// network had no use for.
pub(super) const JOINED: usize = 3;
/// At most so many cuts are looked at, from the highest down.
pub(super) const LOOKED_AT: usize = 8;

/// The sets of cuts that a head may read, by their indices into `cuts`, which go from the lowest to the highest. The first is
/// the usual one; each set begins with its highest cut, which the model is kept up to. The last is all of them, which small networks
/// may be read by.
pub(super) fn candidates(cuts: usize) -> Vec<Vec<usize>> {
    let set = |top: usize| (0..=top).rev().take(JOINED).collect();
    let all = (cuts > JOINED).then(|| (0..cuts).rev().collect());
    (0..cuts).rev().map(set).chain(all).collect()
}

/// What a head reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// Indices into the cuts, the highest first.
    pub(super) cuts: Vec<usize>,
    pub(super) pooling: Pooling,
    /// What is averaged.
    pub(super) views: Vec<View>,
}

/// Where the features of each cut lie in a row that holds those of all, pooled in each of these ways.
pub(super) fn columns(cuts: &[Cut], poolings: &[Pooling], of: Pooling) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut ranges = |pooling: &Pooling| -> Vec<Range<usize>> {
        let range = |cut: &Cut| {
            let width = pooling.width(&cut.shape);
            start += width;
            start - width..start
        };
        cuts.iter().map(range).collect()
    };
    let all: Vec<_> = poolings.iter().map(|pooling| (*pooling, ranges(pooling))).collect();
    all.into_iter().find(|(pooling, _)| *pooling == of).map(|(_, ranges)| ranges).unwrap_or_default()
}
