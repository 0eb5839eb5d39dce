//! Batches of arrays in a model's own input layout.

use crate::fit::{check_numbers, preprocess_of, takes_sequences};
use frostline_data::ValueRange;
use frostline_graph::{Error, Model, Result, Shape};

/// A batch for one input of a model, in its own layout: nothing is resized, nothing scaled.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Extents, that of the batch first.
    pub shape: &'a [usize],
    /// The values, row-major.
    pub values: &'a [f32],
}

impl Rows<'_> {
    pub(super) fn row_shape(&self) -> Shape {
        self.shape[1..].to_vec()
    }
}

/// The number of rows of batches for all inputs of a model; none where they are not batches of one length, one an input.
pub(super) fn count(model: &Model, inputs: &[Rows<'_>]) -> Option<usize> {
    let rows = inputs.first().and_then(|input| input.shape.first()).copied().unwrap_or(0);
    let is_whole = |input: &Rows<'_>| {
        let len = input.shape.iter().try_fold(1usize, |len, extent| len.checked_mul(*extent));
        input.shape.first() == Some(&rows) && len == Some(input.values.len())
    };
    (rows > 0 && inputs.len() == model.graph.inputs.len() && inputs.iter().all(is_whole)).then_some(rows)
}

/// What its user should know of a batch called `name`.
///
/// Errors: it holds what no prediction can be made of.
pub(super) fn check(model: &Model, name: &str, inputs: &[Rows<'_>]) -> Result<Option<String>> {
    let wanted = model.graph.inputs.len();
    let Some(rows) = count(model, inputs) else {
        return Err(Error::data(format!(
            "`{name}` does not hold {wanted} batches of one length\nhelp: give one for each of the model's inputs, in their order"
        )));
    };
    let mut ranges = Vec::new();
    for (index, Rows { values, .. }) in inputs.iter().enumerate() {
        ranges.push(ValueRange::of_finite(values).map_err(|at| {
            Error::data(format!(
                "`{name}`: row {} of input {index} holds {}, which is no finite number\nhelp: mend or remove that row",
                at / (values.len() / rows).max(1),
                values[at]
            ))
        })?);
    }
    for (index, ValueRange { min, max }) in ranges.iter().enumerate() {
        check_numbers(model, index, *min, *max)
            .map_err(|error| Error::data(format!("`{name}`: {}", error.message())))?;
    }
    let shapes: Vec<Shape> = inputs.iter().map(Rows::row_shape).collect();
    refuse_channels_first(model, name, &shapes)?;
    if let Ok((preprocess, _)) = preprocess_of(model)
        && !takes_sequences(model)
        && shapes[0].len() >= 2
    {
        let expected = preprocess.range().unwrap_or(ValueRange::BYTES);
        return Ok(ranges[0].warning(expected).map(|warning| format!("`{name}`: {warning}")));
    }
    Ok(None)
}

/// Errors where an array fits the model once its channels come last.
fn refuse_channels_first(model: &Model, name: &str, shapes: &[Shape]) -> Result<()> {
    let fits = |shape: &[usize], wanted: &[Option<usize>]| {
        shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(extent, wanted)| wanted.is_none_or(|wanted| wanted == *extent))
    };
    for (shape, wanted) in shapes.iter().zip(model.graph.input_shapes()) {
        let [channels, height, width] = *shape.as_slice() else { continue };
        if !fits(shape, &wanted) && fits(&[height, width, channels], &wanted) {
            return Err(Error::data(format!(
                "`{name}` has images of {channels} x {height} x {width}, and the model takes height x width x channels\nhelp: give the setting `channels = first`, or save it as `x.transpose(0, 2, 3, 1)`"
            )));
        }
    }
    Ok(())
}
