//! Prefixes that are compiled already, so that none is compiled twice.

use super::{Compiled, Frozen, checked, fold, fuse, lower, partition};
use crate::{Constants, Plan, Statistics, Suffix};
use blake3::Hash;
use frostline_graph::ops::Program;
use frostline_graph::{Freeze, Model, PrefixDType, Result, Shape};
use std::sync::Arc;

/// Frozen prefixes that are compiled already. Where the same layers are wanted, with weights that nobody has set since, the one
/// that is there is taken: nothing of it is folded, calibrated or hashed again.
#[derive(Clone, Debug, Default)]
pub struct Prefixes(Vec<Arc<Frozen>>);

impl FromIterator<Arc<Frozen>> for Prefixes {
    fn from_iter<I: IntoIterator<Item = Arc<Frozen>>>(prefixes: I) -> Self {
        Self(prefixes.into_iter().collect())
    }
}

impl Prefixes {
    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// See [`compile`](super::compile).
    ///
    /// # Errors
    ///
    /// The shapes do not fit, a layer cannot be run, a weight is missing.
    pub fn compile(
        &self,
        dtype: &PrefixDType,
        model: &Model,
        freeze: Freeze,
        inputs: &[Shape],
        batch: usize,
        statistics: Statistics,
    ) -> Result<Compiled> {
        let (frozen, mut suffix) = self.halves(dtype, model, &freeze, inputs)?;
        fuse::fuse_trainable(&mut suffix);
        let weights = weights_of(model, &suffix)?;
        let plan = Plan {
            multiply_adds: [frozen.program().multiply_adds(), suffix.multiply_adds()],
            prefix: frozen.bind(),
            suffix: Suffix::new(suffix, weights, batch, statistics),
            freeze,
            boundary: frozen.boundary().to_vec(),
        };
        Ok(Compiled { plan, frozen })
    }

    /// See [`compile_frozen`](super::compile_frozen).
    ///
    /// # Errors
    ///
    /// See [`Prefixes::compile`].
    pub fn compile_frozen(
        &self,
        dtype: &PrefixDType,
        model: &Model,
        freeze: &Freeze,
        inputs: &[Shape],
    ) -> Result<Arc<Frozen>> {
        Ok(self.halves(dtype, model, freeze, inputs)?.0)
    }

    /// What lies below the boundary, folded and fused, and what lies above it.
    fn halves(
        &self,
        dtype: &PrefixDType,
        model: &Model,
        freeze: &Freeze,
        inputs: &[Shape],
    ) -> Result<(Arc<Frozen>, Program)> {
        let program = lower::lower(&model.graph, freeze, inputs)?;
        let partition::Partition { prefix, suffix, boundary } = partition::partition(&program);
        Ok((self.frozen(dtype, model, prefix, boundary)?, suffix))
    }

    /// What lies below the boundary, folded and fused.
    pub(super) fn frozen(
        &self,
        dtype: &PrefixDType,
        model: &Model,
        mut prefix: Program,
        boundary: Vec<String>,
    ) -> Result<Arc<Frozen>> {
        let origin = origin(dtype, model, &prefix)?;
        if let Some(known) = self.0.iter().find(|known| known.is_from(origin)) {
            return Ok(known.clone());
        }
        let mut constants = prefix
            .params
            .iter()
            .map(|param| checked(model, &param.path, &param.shape))
            .collect::<Result<Constants>>()?;
        fold::fold(&mut prefix, &mut constants);
        fuse::fuse(&mut prefix);
        Ok(Arc::new(Frozen::new(dtype, prefix, constants, boundary, origin)))
    }
}

/// The present values of a suffix's weights.
pub(super) fn weights_of(model: &Model, suffix: &Program) -> Result<Vec<Vec<f32>>> {
    suffix.params.iter().map(|param| Ok(checked(model, &param.path, &param.shape)?.data)).collect()
}

/// What a prefix is compiled from, before it is folded and fused: prefixes of one origin are the same. Weights are known by
/// their versions, which are read before the weights are: one that is set in between makes an origin that is never met again.
fn origin(dtype: &PrefixDType, model: &Model, prefix: &Program) -> Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{} {prefix:?}", dtype.dtype()).as_bytes());
    if let PrefixDType::Int8(images) = dtype {
        hasher.update(bytemuck::cast_slice(images));
    }
    for param in &prefix.params {
        hasher.update(&model.weights.get(&param.path)?.version().to_le_bytes());
    }
    Ok(hasher.finalize())
}
