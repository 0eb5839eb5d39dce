//! Which layers' outputs the head reads.

use frostline_data::View;
use frostline_graph::Pooling;

/// A head reads the outputs of so many blocks, the highest that are kept: lower ones hold what the task of the pretrained
/// network had no use for.
pub(in crate::fit::solved) const JOINED: usize = 3;
/// At most so many cuts are looked at, from the highest down.
pub(in crate::fit::solved) const LOOKED_AT: usize = 8;

/// The sets of cuts that a head may read, by their indices into `cuts`, which go from the lowest to the highest. The first is
/// the usual one of large networks; each set begins with its highest cut, which the model is kept up to. The last is all of
/// them, which small networks are usually read by.
pub(in crate::fit::solved) fn candidates(cuts: usize) -> Vec<Vec<usize>> {
    let set = |top: usize| (0..=top).rev().take(JOINED).collect();
    let all = (cuts > JOINED).then(|| (0..cuts).rev().collect());
    (0..cuts).rev().map(set).chain(all).collect()
}

/// What a head reads.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fit::solved) struct Reading {
    /// Indices into the cuts, the highest first.
    pub(in crate::fit::solved) cuts: Vec<usize>,
    pub(in crate::fit::solved) pooling: Pooling,
    /// What is averaged.
    pub(in crate::fit::solved) views: Vec<View>,
}
