//! The freeze certificate: a hash of every frozen tensor before and after a training.

use crate::freeze::Freeze;
use crate::graph::Model;
use crate::ops::Role;
use serde::Serialize;
use std::collections::BTreeMap;

/// Hashes of tensors by path: blake3 of their little-endian f32.
pub type Hashes = BTreeMap<String, String>;

/// The proof that what was frozen stayed frozen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// Before the training.
    pub before: Hashes,
    /// After it.
    pub after: Hashes,
    /// Whether they are the same.
    pub equal: bool,
}

/// The hashes of every weight (statistics too) of the frozen layers, and of the statistics that are frozen alone.
pub fn frozen_hashes(model: &Model, freeze: &Freeze) -> Hashes {
    let is_statistic = |path: &str| path.ends_with("/moving_mean") || path.ends_with("/moving_variance");
    let role = |path: &str| if is_statistic(path) { Role::State } else { Role::Trainable };
    let is_frozen = |path: &str| freeze.holds(path, role(path));
    let hash = |(path, handle): (&str, &crate::graph::Handle)| {
        let digest = handle.with(|tensor| {
            let mut hasher = blake3::Hasher::new();
            let mut bytes = Vec::with_capacity(4 * tensor.len());
            tensor.data.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            hasher.update(&bytes);
            hasher.finalize().to_hex().to_string()
        });
        (path.to_owned(), digest)
    };
    model.weights.iter().filter(|(path, _)| is_frozen(path)).map(hash).collect()
}

impl Certificate {
    /// Compares the hashes of both sides.
    pub fn new(before: Hashes, after: Hashes) -> Self {
        let equal = before == after;
        Self { before, after, equal }
    }
}
