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
    /// The number of its first row: not 0 for a piece of a larger batch.
    pub first: usize,
}

impl<'a> Rows<'a> {
    /// A whole batch.
    pub fn new(shape: &'a [usize], values: &'a [f32]) -> Self {
        Self { shape, values, first: 0 }
    }

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

/// What is found in a batch that is looked at piece by piece. See [`Predictor::row_check`](super::Predictor::row_check).
#[derive(Debug)]
pub struct RowCheck<'a> {
    model: &'a Model,
    name: &'a str,
    /// By input.
    ranges: Vec<ValueRange>,
    shapes: Vec<Shape>,
}

impl<'a> RowCheck<'a> {
    pub(super) fn new(model: &'a Model, name: &'a str) -> Self {
        Self { model, name, ranges: vec![ValueRange::of(&[]); model.graph.inputs.len()], shapes: Vec::new() }
    }

    /// Looks at one more piece.
    ///
    /// # Errors
    ///
    /// It is none for all inputs, or holds what no prediction can be made of.
    pub fn add(&mut self, inputs: &[Rows<'_>]) -> Result<()> {
        let (name, wanted) = (self.name, self.ranges.len());
        let Some(rows) = count(self.model, inputs) else {
            return Err(Error::data(format!(
                "`{name}` does not hold {wanted} batches of one length\nhelp: give one for each of the model's inputs, in their order"
            )));
        };
        for (index, Rows { values, first, .. }) in inputs.iter().enumerate() {
            let range = ValueRange::of_finite(values).map_err(|at| {
                Error::data(format!(
                    "`{name}`: row {} of input {index} holds {}, which is no finite number\nhelp: mend or remove that row",
                    first + at / (values.len() / rows).max(1),
                    values[at]
                ))
            })?;
            self.ranges[index] = self.ranges[index].or(range);
        }
        self.shapes = inputs.iter().map(Rows::row_shape).collect();
        Ok(())
    }

    /// What its user should know of the whole batch.
    ///
    /// # Errors
    ///
    /// No prediction can be made of its numbers or its shape.
    pub fn finish(self) -> Result<Option<String>> {
        let Self { model, name, ranges, shapes } = self;
        for (index, ValueRange { min, max }) in ranges.iter().enumerate() {
            check_numbers(model, index, *min, *max)
                .map_err(|error| Error::data(format!("`{name}`: {}", error.message())))?;
        }
        refuse_channels_first(model, name, &shapes)?;
        if let Ok((preprocess, _)) = preprocess_of(model)
            && !takes_sequences(model)
            && shapes.first().is_some_and(|shape| shape.len() >= 2)
        {
            let expected = preprocess.range().unwrap_or(ValueRange::BYTES);
            return Ok(ranges[0].warning(expected).map(|warning| format!("`{name}`: {warning}")));
        }
        Ok(None)
    }
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
