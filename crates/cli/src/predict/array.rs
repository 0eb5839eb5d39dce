//! Batches of arrays.

use super::{Answers, CHUNK};
use crate::Failure;
use frostline::Shape;
use frostline::data::Channels;
use frostline::data::npy::{self, Batch};
use frostline::predict::{Predictor, Rows};
use std::ops::Range;
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
        inputs = inputs.into_iter().map(Batch::with_channels_last).collect::<Result<_, _>>()?;
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
    let name = path.display().to_string();
    let pieces = || (0..images).step_by(CHUNK).map(|start| start..images.min(start + CHUNK));
    let mut check = predictor.row_check(&name);
    pieces().try_for_each(|piece| with_rows(&inputs, piece, |rows| Ok(check.add(rows)?)))?;
    if let Some(warning) = check.finish()? {
        answers.console.warn(warning);
    }
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
    answers.begin(predictor, &shapes)?;
    pieces().try_for_each(|piece| {
        let found = with_rows(&inputs, piece.clone(), |rows| {
            Ok(predictor.predict_rows(&name, rows, 0..piece.len())?)
        })?;
        found.into_iter().try_for_each(|one| answers.take(one))
    })
}

/// Does something with some rows of all inputs.
fn with_rows<T>(
    inputs: &[Batch],
    piece: Range<usize>,
    work: impl FnOnce(&[Rows<'_>]) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let of_piece = |input: &Batch| [&[piece.len()], &input.shape[1..]].concat();
    let shapes: Vec<Shape> = inputs.iter().map(of_piece).collect();
    let values: Vec<_> = inputs.iter().map(|input| input.rows(piece.clone())).collect::<Result<_, _>>()?;
    let rows = shapes.iter().zip(&values).map(|(shape, values)| Rows { shape, values, first: piece.start });
    work(&rows.collect::<Vec<_>>())
}
