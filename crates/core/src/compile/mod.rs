//! From a graph and a freeze setting to a [`Plan`]: lower, cut at the boundary, fold and fuse.

mod fold;
mod fuse;
mod lower;
mod partition;

pub use crate::engine::Statistics;
pub use partition::Partition;

use crate::engine::{Constants, Plan, Prefix, Suffix};
use crate::freeze::Freeze;
use crate::graph::Model;
use crate::{Error, Precision, Result, Shape, Tensor};

/// Compiles a model for inputs of these shapes and batches of up to `batch` images. The plan owns its freeze
/// setting: to train other layers, compile again.
///
/// Errors: the shapes do not fit, a layer cannot be run, a weight is missing.
pub fn compile(
    model: &Model,
    freeze: Freeze,
    inputs: &[Shape],
    batch: usize,
    statistics: Statistics,
) -> Result<Plan> {
    compile_in(Precision::F32, model, freeze, inputs, batch, statistics)
}

/// [`compile`] with the frozen prefix in a precision.
pub fn compile_in(
    precision: Precision,
    model: &Model,
    freeze: Freeze,
    inputs: &[Shape],
    batch: usize,
    statistics: Statistics,
) -> Result<Plan> {
    let program = lower::lower(&model.graph, &freeze, inputs)?;
    let Partition { mut prefix, mut suffix, boundary } = partition::partition(&program);
    let mut constants = prefix
        .params
        .iter()
        .map(|param| checked(model, &param.path, &param.shape))
        .collect::<Result<Constants>>()?;
    fold::fold(&mut prefix, &mut constants);
    fuse::fuse(&mut prefix);
    fuse::fuse_trainable(&mut suffix);
    let weights = suffix
        .params
        .iter()
        .map(|param| Ok(checked(model, &param.path, &param.shape)?.data))
        .collect::<Result<Vec<_>>>()?;
    let multiply_adds = [prefix.multiply_adds(), suffix.multiply_adds()];
    Ok(Plan {
        multiply_adds,
        prefix: match precision {
            Precision::F32 => Prefix::new(prefix, constants),
            Precision::Bf16 => {
                let parts = partition::split_vectors(&prefix);
                Prefix::in_bf16(prefix, parts, constants)
            }
            Precision::Int8 => return Err(Error::Setting(NOT_CALIBRATED.to_owned())),
        },
        suffix: Suffix::new(suffix, weights, batch, statistics),
        freeze,
        boundary,
    })
}

const NOT_CALIBRATED: &str = "int8 needs images to measure ranges on, which it has in training alone
help: write f32 or bf16";

/// The plan with its frozen prefix in int8, instead of f32. The ranges of the bytes are measured on `images`, `[images,
/// all inputs of an image]`, which should be such as will come.
pub fn quantize(plan: Plan, images: &[f32]) -> Result<Plan> {
    if plan.prefix.precision() != Precision::F32 || images.is_empty() {
        return Err(Error::Setting(NOT_CALIBRATED.to_owned()));
    }
    let parts = partition::split_vectors(plan.prefix.program());
    Ok(Plan { prefix: plan.prefix.in_int8(parts, images), ..plan })
}

/// Compiles a model for prediction: everything is frozen.
pub fn compile_inference(model: &Model, inputs: &[Shape]) -> Result<Plan> {
    compile_inference_in(Precision::F32, model, inputs)
}

/// [`compile_inference`] in a precision.
pub fn compile_inference_in(precision: Precision, model: &Model, inputs: &[Shape]) -> Result<Plan> {
    compile_in(precision, model, Freeze::everything(&model.graph), inputs, 0, Statistics::Moving)
}

fn checked(model: &Model, path: &str, shape: &Shape) -> Result<Tensor> {
    let tensor = model.weights.get(path)?.get();
    if tensor.shape == *shape {
        return Ok(tensor);
    }
    Err(Error::Weights(format!("weight `{path}` has shape {:?}, the layer wants {shape:?}", tensor.shape)))
}
