//! The pipeline of a model that is used as it is.

use crate::Failure;
use crate::args::{Images, ModelFile};
use crate::console::Console;
use frostline::data::{Augment, Dataset, Pipeline, Preprocess, Resize};
use frostline::fit::{input_shape, preprocess_of, resize_of, scaled_decode_of};
use frostline::formats::{self, LoadReport};
use frostline::graph::Model;
use std::path::Path;

/// Loads a model and tells what the load report says.
pub(crate) fn load(file: &ModelFile, console: &Console) -> Result<(Model, LoadReport), Failure> {
    let loaded = formats::load_as(&file.path, file.arch)?;
    if !loaded.report.unused.is_empty() {
        console.warn(format_args!(
            "`{}`: {} of {} tensors belong to no layer: {}",
            file.path.display(),
            loaded.report.unused.len(),
            loaded.report.tensors,
            loaded.report.unused.join(", ")
        ));
    }
    warn_of_lost_weights(&file.path, &loaded.model, console);
    Ok((loaded.model, loaded.report))
}

/// Names the layers whose weights are no numbers: whatever passes through them is none either.
pub(crate) fn warn_of_lost_weights(path: &Path, model: &Model, console: &Console) {
    const NAMED: usize = 5;
    let lost = model.layers_not_finite();
    if !lost.is_empty() {
        let more = if lost.len() > NAMED { ", …" } else { "" };
        console.warn(format_args!(
            "`{}`: weights of {} layers hold NaN or infinity, and so may all that the model puts out: `{}`{more}",
            path.display(),
            lost.len(),
            lost[..lost.len().min(NAMED)].join("`, `"),
        ));
    }
}

/// How images become the inputs of a model: as its flags say, else as the model says. Floats of an `.npz` are taken as
/// preprocessed already.
pub(crate) fn pipeline(
    model: &Model,
    images: &Images,
    dataset: Option<&Dataset>,
    console: &Console,
) -> Result<Pipeline, Failure> {
    let shape = input_shape(model, images.image_size, dataset)?;
    let resize: Resize = images.resize.unwrap_or_else(|| resize_of(model));
    let scaled = images.scaled_decode.unwrap_or_else(|| scaled_decode_of(model));
    let floats = dataset
        .and_then(|dataset| dataset.array(frostline::data::Split::Train))
        .is_some_and(|array| array.holds_floats());
    let preprocess = match images.preprocess.as_str() {
        "auto" if floats => Preprocess::None,
        "auto" => match preprocess_of(model) {
            Some((preprocess, _)) => preprocess,
            None => {
                console.warn("nothing is known of the model's preprocessing: pixels go in as 0 to 255; give --preprocess tf, unit, caffe or torch");
                Preprocess::None
            }
        },
        name => name.parse()?,
    };
    Ok(Pipeline::new(&shape, resize, Augment::default(), preprocess)?.scaled(scaled))
}
