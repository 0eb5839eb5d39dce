//! From a graph and a freeze setting to a [`Plan`]: lower, cut at the boundary, fold and fuse.

mod above;
mod fold;
mod frozen;
mod fuse;
mod lower;
mod partition;
mod prefixes;

pub use crate::Statistics;
pub use above::compile_above;
pub use frozen::Frozen;
pub use prefixes::Prefixes;

use crate::Plan;
use frostline_graph::{Error, Freeze, Model, PrefixDType, Result, Shape, Tensor};
use std::sync::Arc;

/// A plan, and what its prefix was bound from.
#[derive(Debug)]
pub struct Compiled {
    /// Ready to run.
    pub plan: Plan,
    /// What lies below the boundary.
    pub frozen: Arc<Frozen>,
}

/// Compiles a model for inputs of these shapes and batches of up to `batch` images, with the frozen prefix in `dtype`. The plan
/// owns its freeze setting: to train other layers, compile again.
///
/// # Errors
///
/// The shapes do not fit, a layer cannot be run, a weight is missing.
pub fn compile(
    dtype: &PrefixDType,
    model: &Model,
    freeze: Freeze,
    inputs: &[Shape],
    batch: usize,
    statistics: Statistics,
) -> Result<Compiled> {
    Prefixes::default().compile(dtype, model, freeze, inputs, batch, statistics)
}

/// What lies below the boundary alone: what another stage's passes over the images will want.
///
/// # Errors
///
/// See [`compile`].
pub fn compile_frozen(
    dtype: &PrefixDType,
    model: &Model,
    freeze: &Freeze,
    inputs: &[Shape],
) -> Result<Arc<Frozen>> {
    Prefixes::default().compile_frozen(dtype, model, freeze, inputs)
}

/// Compiles a model for prediction, in `dtype`: everything is frozen.
///
/// # Errors
///
/// See [`compile`].
pub fn compile_inference(dtype: &PrefixDType, model: &Model, inputs: &[Shape]) -> Result<Plan> {
    let freeze = Freeze::everything(&model.graph);
    Ok(compile(dtype, model, freeze, inputs, 0, Statistics::Moving)?.plan)
}

fn checked(model: &Model, path: &str, shape: &Shape) -> Result<Tensor> {
    let tensor = model.weights.get(path)?.get();
    // ops take some weights with neighbouring axes as one, or with more axes of extent 1
    if is_same_but_for_merged_axes(&tensor.shape, shape) {
        return Ok(Tensor { shape: shape.clone(), data: tensor.data });
    }
    Err(Error::weights(format!("weight `{path}` has shape {:?}, the layer wants {shape:?}", tensor.shape)))
}

/// Whether the axes of `merged` are those of `shape`, or products of neighbours.
fn is_same_but_for_merged_axes(shape: &[usize], merged: &[usize]) -> bool {
    let mut axes = shape.iter();
    let is_made = |extent: &usize| {
        let mut product = 1;
        while product < *extent {
            match axes.next() {
                Some(axis) if *axis > 0 => product *= axis,
                _ => return false,
            }
        }
        product == *extent
    };
    merged.iter().all(is_made) && axes.all(|axis| *axis == 1)
}
