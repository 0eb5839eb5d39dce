//! `frostline convert`.

use crate::Failure;
use crate::args::Convert;
use crate::console::Console;
use crate::images::load;
use frostline::data::{Fit, Preprocess, Resize, View, path_text};
use frostline::fit::{fit_of, input_shape, preprocess_of, resize_of};
use frostline::formats::{
    self, EmbeddedFit, EmbeddedKernel, EmbeddedPreprocessing, EmbeddedSize, Format, Misfits, WeightsOptions,
};
use frostline::graph::Model;

pub(crate) fn run(command: &Convert, console: &Console) -> Result<(), Failure> {
    let (mut model, _) = load(&command.model, console)?;
    command.views.onto(&mut model);
    if let Some(weights) = &command.weights {
        let misfits = if command.skip_mismatch { Misfits::Kept } else { Misfits::Refused };
        let options = WeightsOptions { by: command.weights_by, misfits };
        let report = formats::load_weights_with(weights, &model, options)?;
        if !report.kept.is_empty() {
            console.warn(format_args!(
                "`{}` does not fill {} of {} weights, which stay what they are in `{}`:\n  {}",
                weights.display(),
                report.kept.len(),
                model.weights.len(),
                command.model.path.display(),
                report.kept.join("\n  ")
            ));
        }
        if !report.unused.is_empty() {
            let unused = formats::few(&report.unused);
            console.warn(format_args!("`{}`: not used: {unused}", weights.display()));
        }
    }
    let views = model.info.views.len();
    if views > 1 && !command.embed_preprocessing && Format::of(&command.output)? == Format::Onnx {
        console.warn(format_args!(
            "the model's predictions average {views} views of an image, and this graph takes one at a time: --embed-preprocessing makes all of them in the graph"
        ));
    }
    match command.embed_preprocessing {
        true => formats::save_with_preprocessing(&model, &command.output, &preprocessing(command, &model)?)?,
        false => formats::save(&model, &command.output)?,
    }
    let tensors = model.weights.len();
    match command.json {
        true => console.print(serde_json::json!({ "model": path_text(&command.output), "tensors": tensors })),
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
    let kernel = match resize_of(model) {
        Resize::TfBilinear => EmbeddedKernel::Bilinear,
        Resize::TfNearest => EmbeddedKernel::Nearest,
        Resize::PilBilinear => EmbeddedKernel::AveragedBilinear,
        Resize::PilBicubic => EmbeddedKernel::AveragedBicubic,
        other => {
            return Err(format!(
                "the model was trained on images resized by `{other}`, which ONNX has no operator for\nhelp: leave --embed-preprocessing out and resize before the model, or train with `--resize pil-bilinear`"
            )
            .into());
        }
    };
    let affine = preprocess.as_affine();
    Ok(EmbeddedPreprocessing {
        size: [*height, *width],
        views: views(model)?,
        kernel,
        fit: match fit_of(model) {
            Fit::Squash => EmbeddedFit::Squash,
            Fit::Crop => EmbeddedFit::Crop,
            Fit::Pad => EmbeddedFit::Pad,
        },
        reverse_channels: affine.reverse_channels,
        scale: affine.scale,
        offset: affine.offset,
    })
}

/// The sizes at which the model sees an image.
fn views(model: &Model) -> Result<Vec<EmbeddedSize>, Failure> {
    let size = |text: &String| {
        Ok(match text.parse::<View>()? {
            View::Own => EmbeddedSize::Own,
            View::Shape(scale) => {
                EmbeddedSize::Shape { scale: f64::from(scale), step: View::STEP, longest: View::LONGEST }
            }
        })
    };
    match model.info.views.as_slice() {
        [] => Ok(vec![EmbeddedSize::Own]),
        saved => saved.iter().map(size).collect(),
    }
}
