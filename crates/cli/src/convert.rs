//! `frostline convert`.

use crate::Failure;
use crate::args::Convert;
use crate::console::Console;
use crate::images::load;
use frostline::data::{Preprocess, Resize};
use frostline::fit::{input_shape, preprocess_of, resize_of};
use frostline::formats::{self, EmbeddedPreprocessing};
use frostline::graph::Model;
use frostline::ops::ResizeMethod;

pub(crate) fn run(command: &Convert, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    if let Some(weights) = &command.weights {
        let report = formats::load_weights(weights, &model)?;
        if !report.unused.is_empty() {
            let unused = formats::few(&report.unused);
            console.warn(format_args!("`{}`: not used: {unused}", weights.display()));
        }
    }
    match command.embed_preprocessing {
        true => formats::save_with_preprocessing(&model, &command.output, &preprocessing(command, &model)?)?,
        false => formats::save(&model, &command.output)?,
    }
    let tensors = model.weights.len();
    match command.json {
        true => console.print(serde_json::json!({ "model": command.output, "tensors": tensors })),
        false => console.print(format_args!("{}: {tensors} tensors", command.output.display())),
    }
}

/// What comes before the model, as it says itself or as the flags say.
fn preprocessing(command: &Convert, model: &Model) -> Result<EmbeddedPreprocessing, Failure> {
    let shape = input_shape(model, command.image_size, None)?;
    let [height, width, channels] = shape.as_slice() else {
        return Err(format!(
            "the model's input {shape:?} is no image\nhelp: leave --embed-preprocessing out"
        )
        .into());
    };
    let preprocess = match command.preprocess.as_str() {
        "auto" => preprocess_of(model)
            .map(|(preprocess, _)| preprocess)
            .map_err(|why| format!("{why}\nhelp: give --preprocess tf, unit, caffe, torch or none"))?,
        name => name.parse::<Preprocess>()?,
    };
    preprocess.check_channels(*channels)?;
    let method = match resize_of(model) {
        Resize::TfBilinear => ResizeMethod::Bilinear,
        Resize::TfNearest => ResizeMethod::Nearest,
        other => {
            return Err(format!(
                "the model was trained on images resized by `{other}`, which ONNX has no operator for\nhelp: leave --embed-preprocessing out and resize before the model, or train with `--resize tf-bilinear`"
            )
            .into());
        }
    };
    let affine = preprocess.as_affine();
    Ok(EmbeddedPreprocessing {
        size: [*height, *width],
        method,
        reverse_channels: affine.reverse_channels,
        scale: affine.scale,
        offset: affine.offset,
    })
}
