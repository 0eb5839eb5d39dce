//! A model that is differentiated by the output of one of its layers.

use super::partition::{Partition, partition_at};
use super::prefixes::{Prefixes, weights_of};
use super::{fuse, lower};
use crate::{Plan, Suffix};
use frostline_graph::{Error, Freeze, Model, PrefixDType, Result, Shape};

/// Compiles a model of which nothing trains, cut at the output of the layer (or nested model) at `path`: the suffix is what
/// depends on that, which is the first of the boundary's values. After a backward pass [`Suffix::boundary_gradient`] tells the
/// gradient by it, and no other is computed. Of a layer that is called several times the last call counts.
///
/// # Errors
///
/// There is no such layer, or it has several outputs; else see [`compile`](super::compile).
pub fn compile_above(model: &Model, path: &str, inputs: &[Shape], batch: usize) -> Result<Plan> {
    let freeze = Freeze::everything(&model.graph);
    let mut found = None;
    let program = lower::lower_telling(&model.graph, &freeze, inputs, &mut |other, outputs| {
        if other == path {
            found = Some(outputs.to_vec());
        }
    })?;
    let value = match found.as_deref() {
        Some([value]) => *value,
        Some(_) => {
            return Err(Error::shape(path, "it has several outputs\nhelp: name a layer above or below it"));
        }
        None => {
            return Err(Error::shape(
                path,
                "there is no such layer\nhelp: `frostline inspect` lists the layers",
            ));
        }
    };
    let Partition { prefix, mut suffix, boundary } = partition_at(&program, value);
    let frozen = Prefixes::default().frozen(&PrefixDType::F32, model, prefix, boundary)?;
    fuse::fuse_trainable(&mut suffix);
    let weights = weights_of(model, &suffix)?;
    Ok(Plan {
        multiply_adds: [frozen.program().multiply_adds(), suffix.multiply_adds()],
        prefix: frozen.bind(),
        suffix: Suffix::by_boundary(suffix, weights, batch),
        freeze,
        boundary: frozen.boundary().to_vec(),
    })
}
