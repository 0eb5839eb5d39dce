//! The pipeline of a model that is used as it is.

use crate::Failure;
use crate::args::{Images, ModelFile};
use crate::console::Console;
use frostline::data::{Augment, Dataset, Pipeline, Resize};
use frostline::fit::{Applied, input_shape, resize_of, scaled_decode_of};
use frostline::formats::{self, LoadReport};
use frostline::graph::Model;

/// Loads a model and tells what the load report says.
pub(crate) fn load(file: &ModelFile, console: &Console) -> Result<(Model, LoadReport), Failure> {
    let loaded = formats::load_with(&file.path, &file.options())?;
    let LoadReport { unused, tensors, unsupported, .. } = &loaded.report;
    if !unused.is_empty() {
        let why = match unsupported.is_empty() {
            true => "belong to no layer",
            false => "are not read, as those of layers that cannot be run here, or lie above one,",
        };
        console.warn(format_args!(
            "`{}`: {} of {tensors} tensors {why}: {}",
            file.path.display(),
            unused.len(),
            formats::few(unused)
        ));
    }
    for warning in &loaded.report.warnings {
        console.warn(format_args!("`{}`: {warning}", file.path.display()));
    }
    Ok((loaded.model, loaded.report))
}

/// How images become the inputs of a model: as its flags say, else as the model and the range of arrays say.
pub(crate) fn pipeline(
    model: &Model,
    images: &Images,
    dataset: Option<&Dataset>,
    console: &Console,
) -> Result<Pipeline, Failure> {
    let shape = input_shape(model, images.image_size, dataset)?;
    let resize: Resize = images.resize.unwrap_or_else(|| resize_of(model));
    let scaled = images.scaled_decode.unwrap_or_else(|| scaled_decode_of(model));
    let applied = Applied::to(model, &images.preprocess, dataset, &shape)?;
    applied.notes.iter().for_each(|note| console.warn(note));
    let pipeline = Pipeline::new(&shape, resize, Augment::default(), applied.preprocess)?;
    Ok(pipeline.scaled(scaled).of_arrays(applied.arrays))
}
