//! The pipeline of a model that is used as it is.

use crate::Failure;
use crate::args::{Images, Labels, ModelFile};
use crate::console::Console;
use frostline::data::{Dataset, Pipeline};
use frostline::fit::ImageSize;
use frostline::formats::{self, LoadOptions, LoadReport};
use frostline::graph::Model;
use frostline::report::Provenance;
use std::path::{Path, PathBuf};

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
    if let Some(held) = &file.held {
        held.report.told(&file.path).iter().for_each(|note| console.warn(note));
        return Ok((held.model.clone(), held.report.clone()));
    }
    let image_size = image_size.map(|ImageSize(size)| size);
    let loaded = formats::load_with(&file.path, &LoadOptions { image_size, ..file.options() })?;
    loaded.report.told(&file.path).iter().for_each(|note| console.warn(note));
    Ok((loaded.model, loaded.report))
}

/// Where a model and its data came from.
pub(crate) fn provenance(
    file: &ModelFile,
    data: &Path,
    labels: &Labels,
    console: &Console,
) -> frostline::Result<Provenance> {
    let (reading, threads) = (labels.reading(), rayon::current_num_threads());
    let mut found = match &file.held {
        Some(held) => Provenance::in_memory(&held.model, &file.path, data, reading, threads),
        None => Provenance::new(&file.path, file.arch, data, reading, threads)?,
    };
    // a copy is of this machine alone
    let named = |path: &Path| -> PathBuf {
        path.to_str().map_or_else(|| path.to_path_buf(), |text| console.named(text.to_owned()).into())
    };
    (found.model, found.data) = (named(&found.model), named(&found.data));
    found.reading.root = found.reading.root.as_deref().map(named);
    Ok(found)
}

/// How images become the inputs of a model: as its flags say, else as the model and the range of arrays say.
pub(crate) fn pipeline(
    model: &Model,
    images: &Images,
    dataset: Option<&Dataset>,
    console: &Console,
) -> Result<Pipeline, Failure> {
    let (pipeline, notes) = images.settings().pipeline(model, dataset)?;
    notes.iter().for_each(|note| console.warn(note));
    Ok(pipeline)
}
