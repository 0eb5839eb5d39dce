//! The freeze certificate: a hash of every frozen tensor before and after a training.

use frostline_graph::{Freeze, Model};
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
    let hash = |(path, handle): (&str, &frostline_graph::Handle)| {
        let digest = handle.with(|tensor| {
            let mut hasher = blake3::Hasher::new();
            let mut bytes = Vec::with_capacity(4 * tensor.len());
            tensor.data.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            hasher.update(&bytes);
            hasher.finalize().to_hex().to_string()
        });
        (path.to_owned(), digest)
    };
    model.weights.iter().filter(|(path, _)| freeze.holds(path)).map(hash).collect()
}

impl Certificate {
    /// Compares the hashes of both sides.
    pub fn new(before: Hashes, after: Hashes) -> Self {
        let equal = before == after;
        Self { before, after, equal }
    }
}
