//! The pipeline of a model that is used as it is.

use crate::Failure;
use crate::args::{Images, ModelFile};
use crate::console::Console;
use frostline::data::{Augment, Dataset, Pipeline, Resize};
use frostline::fit::{Applied, ImageSize, fit_of, input_shape, resize_of, scaled_decode_of};
use frostline::formats::{self, LoadOptions, LoadReport};
use frostline::graph::Model;

/// Loads a model and tells what the load report says.
pub(crate) fn load(file: &ModelFile, console: &Console) -> Result<(Model, LoadReport), Failure> {
    load_for(file, None, console)
}

/// [`load`], for images of a size that the user gives: a state dict whose positions are those of another is brought to it.
pub(crate) fn load_for(
    file: &ModelFile,
    image_size: Option<ImageSize>,
    console: &Console,
) -> Result<(Model, LoadReport), Failure> {
    let image_size = image_size.map(|ImageSize(size)| size);
    let loaded = formats::load_with(&file.path, &LoadOptions { image_size, ..file.options() })?;
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
    warn_of_others(model, images, console);
    let resize: Resize = images.kernel().unwrap_or_else(|| resize_of(model));
    let fit = images.fit().unwrap_or_else(|| fit_of(model));
    let scaled = images.scaled_decode.unwrap_or_else(|| scaled_decode_of(model));
    let applied = Applied::to(model, &images.preprocess, dataset, &shape)?;
    applied.notes.iter().for_each(|note| console.warn(note));
    let pipeline = Pipeline::new(&shape, resize, Augment::default(), applied.preprocess)?;
    Ok(pipeline.fitted(fit).scaled(scaled).of_arrays(applied.arrays))
}

/// Says where images are shown to a model otherwise than those that it was trained on.
fn warn_of_others(model: &Model, images: &Images, console: &Console) {
    // a model that says how its images were resized was trained here, and says the rest too
    let is_known = model.info.resize.is_some();
    let kernel = images.kernel().map(|given| ("--resize", given.name(), resize_of(model).name()));
    let fit = images.fit().map(|given| ("--fit", given.name(), fit_of(model).name()));
    for (flag, given, own) in [kernel, fit].into_iter().flatten().filter(|(_, given, own)| given != own) {
        if is_known {
            console.warn(format_args!(
                "{flag} {given} shows the model other images than it was trained on: with them it was {flag} {own}\nhelp: leave {flag} out"
            ));
        }
    }
}
