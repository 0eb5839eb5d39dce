//! The images on which the ranges of bytes are measured.

use frostline_data::{Dataset, Pipeline, spread};
use frostline_graph::{DType, Error, PrefixDType, Result};

/// How many. More of them widen the ranges, and with them the steps between two bytes; fewer cut off more of what comes.
const IMAGES: usize = 32;

/// A precision with what it needs: for int8 some of the training images, of all classes. Damaged ones, which are
/// not known of yet, do not count.
pub(in crate::fit) fn numbers(
    precision: DType,
    dataset: &Dataset,
    pipeline: &Pipeline,
) -> Result<PrefixDType> {
    if precision != DType::Int8 {
        return precision.try_into();
    }
    let examples = spread(&dataset.train, IMAGES, 0);
    let mut images = Vec::with_capacity(examples.len() * pipeline.input_len());
    let mut row = vec![0.0; pipeline.input_len()];
    for index in examples {
        if pipeline.load(dataset, &dataset.train[index], None, &mut row).is_ok() {
            images.extend_from_slice(&row);
        }
    }
    if images.is_empty() {
        return Err(Error::setting(format!(
            "int8 measures the ranges of its numbers on training images, and those that were tried in `{}` are all damaged\nhelp: repair the images, or give the setting `precision = f32`",
            dataset.source.display()
        )));
    }
    Ok(PrefixDType::Int8(images.into()))
}
