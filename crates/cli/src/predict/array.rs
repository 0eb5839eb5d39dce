//! Batches of arrays.

use super::{Answers, CHUNK};
use crate::Failure;
use frostline::Shape;
use frostline::compile::compile_inference;
use frostline::data::npy::{self, Batch};
use frostline::data::{Channels, ValueRange};
use frostline::fit::{check_numbers, preprocess_of, takes_sequences};
use frostline::graph::Model;
use std::path::Path;

/// Predicts a batch in the model's own input layout.
pub(super) fn predict_array(model: &Model, path: &Path, answers: &mut Answers<'_>) -> Result<(), Failure> {
    let mut arrays = npy::batches(path)?;
    let wanted = model.graph.inputs.len();
    let mut inputs: Vec<Batch> =
        (0..wanted).map_while(|index| arrays.remove(&format!("input_{index}"))).collect();
    if inputs.is_empty() && wanted == 1 {
        let only =
            if arrays.len() == 1 { arrays.pop_first().map(|(_, array)| array) } else { arrays.remove("x") };
        inputs.extend(only);
    }
    if answers.command.arrays.channels == Channels::First {
        inputs = inputs.into_iter().map(Batch::with_channels_last).collect();
    }
    let images = inputs.first().and_then(|input| input.shape.first()).copied().unwrap_or(0);
    if inputs.len() != wanted || images == 0 || inputs.iter().any(|input| input.shape[0] != images) {
        let dataset = ["x_test", "x_train"].into_iter().find(|name| arrays.contains_key(*name));
        if let Some(name) = dataset {
            return Err(format!(
                "`{}` holds the data of a training, not one batch\nhelp: save `{name}` alone, in the layout and range of the model's input; `frostline evaluate` takes the file as it is",
                path.display()
            )
            .into());
        }
        return Err(format!(
            "`{}` does not hold {wanted} batches of one length\nhelp: name the model's inputs `input_0`, `input_1`, … (one input may have any name)",
            path.display()
        )
        .into());
    }
    let mut ranges = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let values = input.values();
        ranges.push(ValueRange::of_finite(values).map_err(|at| {
            format!(
                "`{}`: row {} of input {index} holds {}, which is no finite number\nhelp: mend or remove that row",
                path.display(),
                at / (values.len() / images).max(1),
                values[at]
            )
        })?);
    }
    for (index, ValueRange { min, max }) in ranges.iter().enumerate() {
        check_numbers(model, index, *min, *max)
            .map_err(|error| format!("`{}`: {}", path.display(), error.message()))?;
    }
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
    refuse_channels_first(model, path, &shapes)?;
    if let Ok((preprocess, _)) = preprocess_of(model)
        && !takes_sequences(model)
        && shapes[0].len() >= 2
        && let expected = preprocess.range().unwrap_or(ValueRange::BYTES)
        && let Some(warning) = ranges[0].warning(expected)
    {
        answers.console.warn(format_args!("`{}`: {warning}", path.display()));
    }
    let mut plan = compile_inference(
        &answers.command.storage.precision.unwrap_or_default().try_into()?,
        model,
        &shapes,
    )?;
    let mut rows = Vec::new();
    for start in (0..images).step_by(CHUNK) {
        let end = images.min(start + CHUNK);
        let names: Vec<String> = (start..end).map(|image| format!("{}[{image}]", path.display())).collect();
        if let [only] = inputs.as_slice() {
            let len = only.values().len() / images;
            answers.take(model, &mut plan, &shapes, &names, &only.values()[start * len..end * len])?;
            continue;
        }
        rows.clear();
        for image in start..end {
            for input in &inputs {
                let len = input.values().len() / images;
                rows.extend_from_slice(&input.values()[image * len..][..len]);
            }
        }
        answers.take(model, &mut plan, &shapes, &names, &rows)?;
    }
    Ok(())
}

/// Errors where an array fits the model once its channels come last.
fn refuse_channels_first(model: &Model, path: &Path, shapes: &[Shape]) -> Result<(), Failure> {
    let fits = |shape: &[usize], wanted: &[Option<usize>]| {
        shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(extent, wanted)| wanted.is_none_or(|wanted| wanted == *extent))
    };
    for (shape, wanted) in shapes.iter().zip(model.graph.input_shapes()) {
        let [channels, height, width] = *shape.as_slice() else { continue };
        if !fits(shape, &wanted) && fits(&[height, width, channels], &wanted) {
            return Err(format!(
                "`{}` has images of {channels} x {height} x {width}, and the model takes height x width x channels\nhelp: give --channels first, or save it as `x.transpose(0, 2, 3, 1)`",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}
