//! Compares a model with what another framework computed: outputs, loss, gradients.

use crate::fit::{Loss, LossSetting, Outputs, Scored, Targets};
use frostline_data::npy::{self, NpyArray, NpyValues};
use frostline_engine::compile::{Statistics, compile, compile_inference};
use frostline_graph::{Error, Freeze, Model, PrefixDType, Result, Shape, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Reference arrays by name: `input_0`…, `output_0`…, and for gradients `target_0`, `loss` and `grad/PATH`.
pub type Reference = BTreeMap<String, Tensor>;

/// How the reference's loss was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradientSetting {
    /// The loss; `None` takes the one that suits the model's last activation and the targets.
    pub loss: Option<Loss>,
    /// Whether BatchNormalization used the batch's statistics (`training=True`).
    pub statistics: Statistics,
}

/// Reads a reference from an `.npz`. How its loss was computed may be said in it: `loss_name`, a loss by its Keras
/// name, and `training`, 1 where BatchNormalization used the batch's statistics.
pub fn read_reference(path: &Path) -> Result<(Reference, GradientSetting)> {
    let mut arrays = npy::read(path)?;
    let mut setting = GradientSetting { loss: None, statistics: Statistics::Moving };
    if let Some(NpyArray { values: NpyValues::Text(text), .. }) = arrays.remove("loss_name")
        && let Some(name) = text.first()
    {
        setting.loss = Some(name.parse().map_err(Error::data)?);
    }
    if let Some(flag) = arrays.remove("training").and_then(NpyArray::into_tensor)
        && flag.data.first() == Some(&1.0)
    {
        setting.statistics = Statistics::Batch;
    }
    let numbers = |(name, array): (String, NpyArray)| Some((name, array.into_tensor()?));
    Ok((arrays.into_iter().filter_map(numbers).collect(), setting))
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The reference's name.
    pub name: String,
    /// For outputs and the loss the largest difference as a share of the largest value; for gradients the norm of
    /// the difference as a share of the norm.
    pub relative: f64,
}

/// Compares everything that the reference holds.
pub fn verify(model: &Model, reference: &Reference, setting: GradientSetting) -> Result<Vec<Difference>> {
    let inputs: Vec<&Tensor> = numbered(reference, "input_");
    let wanted = model.graph.inputs.len();
    let images = inputs.first().and_then(|input| input.shape.first()).copied().unwrap_or(0);
    if inputs.len() != wanted
        || images == 0
        || inputs.iter().any(|input| input.shape.first() != Some(&images))
    {
        return Err(Error::data(format!(
            "the reference holds {} inputs of {images} images, the model wants {wanted}\nhelp: name them `input_0`, `input_1`, …",
            inputs.len()
        )));
    }
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
    let rows = interleave(&inputs, images);
    let outputs = compile_inference(&PrefixDType::F32, model, &shapes)?.predict(&rows, images);
    let mut found = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let name = format!("output_{index}");
        if let Some(expected) = reference.get(&name) {
            found.push(Difference { relative: relative_max(&name, output, &expected.data)?, name });
        }
    }
    if let Some(target) = reference.get("target_0") {
        compare_gradients(model, reference, setting, &shapes, &rows, images, target, &mut found)?;
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::data(
            "the reference holds nothing to compare\nhelp: name outputs `output_0`, `output_1`, …".to_owned(),
        )),
    }
}

fn compare_gradients(
    model: &Model,
    reference: &Reference,
    setting: GradientSetting,
    shapes: &[Shape],
    rows: &[f32],
    images: usize,
    target: &Tensor,
    found: &mut Vec<Difference>,
) -> Result<()> {
    let mut plan =
        compile(&PrefixDType::F32, model, Freeze::nothing(), shapes, images, setting.statistics)?.plan;
    let mut boundary = vec![0.0; images * plan.prefix().feature_len()];
    plan.prefix().run(rows, &mut boundary);
    let suffix = plan.suffix();
    if suffix.is_empty() {
        return Ok(()); // nothing in the model could train
    }
    suffix.forward_training(&boundary, images, 0);
    let width = suffix.output(images).len() / images;
    let classes: Vec<u32> = target.data.iter().map(|value| *value as u32).collect();
    let targets = match target.data.len() == images * width {
        true => Targets::Values(&target.data),
        false => Targets::Classes(&classes),
    };
    let loss = setting.loss.unwrap_or_else(|| suits(&targets, suffix.logits(images).is_some(), width));
    let Scored { values, outputs, input } = loss.scored(suffix, images, Outputs::Probabilities);
    let mut gradient = vec![0.0; values.len()];
    let loss = LossSetting { loss, label_smoothing: 0.0 };
    let value = loss.evaluate(values, outputs, width, &targets, None, Some(&mut gradient));
    if let Some(expected) = reference.get("loss").and_then(|loss| loss.data.first()) {
        let relative = (value - f64::from(*expected)).abs() / f64::from(expected.abs()).max(1e-6);
        found.push(Difference { name: "loss".to_owned(), relative });
    }
    suffix.backward(images, input, |grad| grad.copy_from_slice(&gradient));
    let own: BTreeMap<String, Vec<f32>> =
        suffix.trained().map(|(path, _, gradient)| (path.to_owned(), gradient.to_vec())).collect();
    let all: f64 = reference
        .iter()
        .filter(|(name, _)| name.starts_with("grad/"))
        .map(|(_, tensor)| norm(&tensor.data))
        .sum();
    for (name, expected) in reference {
        let Some(path) = name.strip_prefix("grad/") else { continue };
        let gradient =
            own.get(path).filter(|gradient| gradient.len() == expected.data.len()).ok_or_else(|| {
                Error::data(format!(
                    "the model has no gradient of {} numbers for `{path}`",
                    expected.data.len()
                ))
            })?;
        let difference: Vec<f32> =
            gradient.iter().zip(&expected.data).map(|(own, expected)| own - expected).collect();
        // a gradient that is zero but for rounding (a bias before a BatchNormalization) is measured against the others
        let scale = norm(&expected.data).max(1e-3 * all).max(f64::MIN_POSITIVE);
        found.push(Difference { name: name.clone(), relative: norm(&difference) / scale });
    }
    Ok(())
}

/// The loss that a model with such outputs is usually trained with.
fn suits(targets: &Targets<'_>, squashes: bool, width: usize) -> Loss {
    match (targets, squashes, width) {
        (_, true, 1) => Loss::BinaryCrossentropy,
        (Targets::Classes(_), ..) => Loss::SparseCategoricalCrossentropy,
        (_, true, _) => Loss::CategoricalCrossentropy,
        _ => Loss::MeanSquaredError,
    }
}

fn numbered<'a>(reference: &'a Reference, prefix: &str) -> Vec<&'a Tensor> {
    (0..).map_while(|index| reference.get(&format!("{prefix}{index}"))).collect()
}

/// One image's inputs behind each other, image by image.
fn interleave(inputs: &[&Tensor], images: usize) -> Vec<f32> {
    let image_values = |image: usize| {
        inputs.iter().flat_map(move |input| {
            let len = input.data.len() / images;
            &input.data[image * len..][..len]
        })
    };
    (0..images).flat_map(image_values).copied().collect()
}

fn relative_max(name: &str, found: &[f32], expected: &[f32]) -> Result<f64> {
    if found.len() != expected.len() {
        return Err(Error::data(format!(
            "`{name}` has {} numbers, the model gives {}",
            expected.len(),
            found.len()
        )));
    }
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0, |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) })
    };
    let difference = largest(&mut found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs())));
    Ok(difference / largest(&mut expected.iter().map(|b| f64::from(b.abs()))).max(f64::MIN_POSITIVE))
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt()
}
