//! The stages that are to come, and what is known of their boundaries.

use crate::fit::features::choice::Candidate;
use crate::fit::features::pass::{feature_dtype, is_exact};
use frostline_engine::compile::Frozen;
use frostline_graph::{DType, Freeze};

/// A stage that is to come.
#[derive(Clone, Debug)]
pub(in crate::fit) struct Ahead {
    pub(in crate::fit) name: String,
    pub(in crate::fit) freeze: Freeze,
    pub(in crate::fit) epochs: usize,
    /// How likely it is reached.
    pub(in crate::fit) chance: f64,
}

/// Boundaries of stages that are less likely reached are not thought of: each costs a copy of its weights.
pub(in crate::fit) const UNLIKELY: f64 = 0.1;

/// The first of the stages from which on nothing below the boundary of stage `index` trains before it.
pub(in crate::fit) fn first_stage(frozen: &Frozen, ahead: &[Ahead], index: usize) -> usize {
    let trains = |stage: &Ahead| frozen.layers().any(|layer| !stage.freeze.is_frozen(layer));
    (0..index).rev().find(|earlier| trains(&ahead[*earlier])).map_or(0, |last| last + 1)
}

/// Boundaries with so many feature vectors each, none of them stored, as the choice sees them.
pub(in crate::fit) fn candidates(
    frozen: &[&Frozen],
    vectors: usize,
    features: Option<DType>,
) -> Vec<Candidate> {
    let above = |one: &Frozen, other: &Frozen| {
        let above = one.multiply_adds_above(other).filter(|_| is_exact(other, features));
        above.map(|above| above as f64)
    };
    let candidate = |one: &&Frozen| Candidate {
        vector_bytes: (feature_dtype(one, features).bytes() * one.feature_len()) as f64,
        vectors: vectors as f64,
        missing: vectors as f64,
        from: 0,
        multiply_adds: one.program().multiply_adds() as f64,
        above: frozen.iter().map(|other| above(one, other)).collect(),
    };
    frozen.iter().map(candidate).collect()
}
