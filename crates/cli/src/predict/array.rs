//! Batches of arrays.

use super::{Answers, CHUNK};
use crate::Failure;
use frostline::Shape;
use frostline::data::Channels;
use frostline::data::npy::{self, Batch};
use frostline::predict::{Predictor, Rows};
use std::path::Path;

/// Predicts a batch in the model's own input layout.
pub(super) fn predict_array(
    predictor: &mut Predictor,
    path: &Path,
    answers: &mut Answers<'_>,
) -> Result<(), Failure> {
    let mut arrays = npy::batches(path)?;
    let wanted = predictor.model().graph.inputs.len();
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
    if inputs.len() != wanted
        || images == 0
        || inputs.iter().any(|input| input.shape.first() != Some(&images))
    {
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
    let rows: Vec<Rows<'_>> =
        inputs.iter().map(|input| Rows { shape: &input.shape, values: input.values() }).collect();
    let name = path.display().to_string();
    if let Some(warning) = predictor.check_rows(&name, &rows)? {
        answers.console.warn(warning);
    }
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
    answers.begin(predictor, &shapes)?;
    for start in (0..images).step_by(CHUNK) {
        for found in predictor.predict_rows(&name, &rows, start..images.min(start + CHUNK))? {
            answers.take(found)?;
        }
    }
    Ok(())
}
