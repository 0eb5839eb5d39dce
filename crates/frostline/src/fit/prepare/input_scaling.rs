//! What a model does to its input before its first kernel, found by its values: the layers below that kernel are run on
//! constant images. Which layers they are (`Rescaling`, `Normalization`, `BatchNormalization`, arithmetic of any kind) does
//! not matter.

use frostline_data::Preprocess;
use frostline_engine::compile::compile_inference;
use frostline_graph::{
    Body, Extents, Graph, Keep, Model, PrefixDType, Result, Shape, TensorId, Transfer, join,
};
use std::collections::BTreeSet;

/// The constant images: no light, half of it and all of it, as pixels of 0 to 255.
const LEVELS: [f32; 3] = [0.0, 127.5, 255.0];
/// More places where a first kernel may stand are not looked at.
const MOST_PLACES: usize = 8;
/// Factors and summands that differ by less are the same: BatchNormalization that has learned nothing divides by
/// `sqrt(1 + epsilon)`.
const SAME: f32 = 2e-3;

/// What happens to the input before the first kernel.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fit) enum InputScaling {
    /// Nothing, or what comes to nothing.
    Nothing,
    /// The input is scaled, which tells what range it is wanted in.
    Expects {
        /// What turns pixels of 0 to 255 into that range.
        preprocess: Preprocess,
        /// The highest layer before the first kernel.
        path: String,
    },
    /// The input is changed in a way that does not tell.
    Unclear {
        /// The highest layer before the first kernel.
        path: String,
        /// What it does, in words.
        what: String,
    },
}

/// `x · factor + summand`
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    factor: f32,
    summand: f32,
}

/// What a model with one input does to it before its first kernel.
pub(in crate::fit) fn input_scaling(model: &Model) -> InputScaling {
    let below = below_first_kernels(model);
    if let Some((path, class)) = below.blocked {
        return InputScaling::Unclear { path, what: format!("a `{class}`, which cannot be run here") };
    }
    let mut found: Option<InputScaling> = None;
    for path in below.paths.iter().take(MOST_PLACES) {
        let here = match path {
            None => InputScaling::Nothing,
            Some(path) => at(model, path),
        };
        match &found {
            Some(before) if !agree(before, &here) => {
                let path = path.clone().unwrap_or_default();
                let what = "other numbers than another branch does".to_owned();
                return InputScaling::Unclear { path, what };
            }
            Some(_) => {}
            None => found = Some(here),
        }
    }
    found.unwrap_or(InputScaling::Nothing)
}

fn agree(one: &InputScaling, other: &InputScaling) -> bool {
    let wants = |scaling: &InputScaling| match scaling {
        InputScaling::Expects { preprocess, .. } => Some(preprocess.clone()),
        _ => None,
    };
    std::mem::discriminant(one) == std::mem::discriminant(other) && wants(one) == wants(other)
}

/// What all layers up to `path` do.
fn at(model: &Model, path: &str) -> InputScaling {
    let unclear = |what: &str| InputScaling::Unclear { path: path.to_owned(), what: what.to_owned() };
    let Ok(lines) = lines(model, path) else {
        return unclear("something that cannot be run by itself");
    };
    let Some(lines) = lines else { return unclear("something that is no multiplication and addition") };
    if lines.iter().all(|line| (line.factor - 1.0).abs() < SAME && line.summand.abs() < SAME) {
        return InputScaling::Nothing;
    }
    match wanted(&lines) {
        Some(preprocess) => InputScaling::Expects { preprocess, path: path.to_owned() },
        None => {
            let Line { factor, summand } = mean(&lines);
            unclear(&format!("x · {factor:.4} + {summand:.4}, which suits no range of pixels"))
        }
    }
}

fn mean(lines: &[Line]) -> Line {
    let mean = |of: fn(&Line) -> f32| lines.iter().map(of).sum::<f32>() / lines.len().max(1) as f32;
    Line { factor: mean(|line| line.factor.abs()), summand: mean(|line| line.summand) }
}

/// What turns pixels of 0 to 255 into the range that is wanted, judged by what becomes 0 (the mean that is taken away) and by
/// the factor. Networks are fed numbers of about 1, or pixels less their mean: a mean beyond 1 is one of pixels of 0 to 255
/// (123.7, 127.5), and so is a factor that makes 255 small (1/255, 1/127.5). A mean between 0 and 1 (.485) with a factor of 1
/// or more is one of pixels of 0 to 1, and -1 with a factor of half a byte's range (127.5) one of -1 to 1. What lies between
/// is not guessed.
fn wanted(lines: &[Line]) -> Option<Preprocess> {
    /// 255 times this is 25, beyond what a normalised pixel can be.
    const SMALL: f32 = 0.1;
    /// Half of the range of 0 to 1 comes to at least a quarter.
    const LARGE: f32 = 0.5;
    let of_line = |line: &Line| {
        let factor = line.factor.abs();
        let zero = -line.summand / line.factor;
        if factor <= SMALL || zero > 1.5 {
            (zero > -LARGE * 255.0 && zero < 1.5 * 255.0).then_some(Preprocess::None)
        } else if factor < LARGE {
            None
        } else if (-1.2..=-0.8).contains(&zero) {
            Some(Preprocess::Tf)
        } else {
            (-0.2..=1.2).contains(&zero).then_some(Preprocess::Unit)
        }
    };
    let mut all = lines.iter().map(of_line);
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// The line that each channel goes through; `None` where it is none.
fn lines(model: &Model, path: &str) -> Result<Option<Vec<Line>>> {
    let below = model.keep_with(&Keep::Layer(path.to_owned()), Transfer::Share)?;
    let shapes = below.graph.stand_in_shapes();
    let mut plan = compile_inference(&PrefixDType::F32, &below, &shapes)?;
    let len: usize = shapes.iter().map(|shape| shape.elements()).sum();
    let shape = output_shape(&below.graph, &shapes)?;
    let [dark, half, light] = LEVELS.map(|level| middle(&plan.predict(&vec![level; len], 1)[0], &shape));
    let mut lines = Vec::new();
    for ((dark, half), light) in dark.iter().zip(&half).zip(&light) {
        let width = light - dark;
        let is_line = (half - (dark + light) / 2.0).abs() <= 1e-3 * width.abs().max(1e-6);
        if !is_line || width == 0.0 || !width.is_finite() {
            return Ok(None);
        }
        lines.push(Line { factor: width / (LEVELS[2] - LEVELS[0]), summand: *dark });
    }
    Ok((!lines.is_empty()).then_some(lines))
}

fn output_shape(graph: &Graph, inputs: &[Shape]) -> Result<Shape> {
    let shapes = graph.infer_shapes(inputs)?;
    Ok(graph.outputs.first().map(|id| shapes[id.call][id.output].clone()).unwrap_or_default())
}

/// The values in the middle of an image, away from padding: one a channel. Of what is no image one value in the middle.
fn middle(values: &[f32], shape: &[usize]) -> Vec<f32> {
    match *shape {
        [height, width, channels] => {
            let at = ((height / 2) * width + width / 2) * channels;
            values.get(at..at + channels).map(<[f32]>::to_vec).unwrap_or_default()
        }
        _ => values.get(values.len() / 2).copied().into_iter().collect(),
    }
}

/// The layers right below a graph's first kernels.
#[derive(Default)]
struct Below {
    /// Their paths; `None` where a kernel reads the input itself.
    paths: BTreeSet<Option<String>>,
    /// A layer that cannot be run and comes before a kernel: path and class.
    blocked: Option<(String, String)>,
}

fn below_first_kernels(model: &Model) -> Below {
    let mut below = Below::default();
    let given = vec![Reached::Input; model.graph.inputs.len()];
    walk(&model.graph, "", &given, &model.layers_with_kernels(), &mut below);
    below
}

/// How a value comes from the input.
#[derive(Clone, Debug, PartialEq)]
enum Reached {
    /// It is the input.
    Input,
    /// Through layers without kernels, the last of them at this path.
    Through(String),
    /// Through a kernel.
    Kernel,
}

/// What the outputs of `graph` are, whose inputs are `given`.
fn walk(
    graph: &Graph,
    group: &str,
    given: &[Reached],
    kernels: &BTreeSet<&str>,
    below: &mut Below,
) -> Vec<Reached> {
    let mut reached: Vec<Vec<Reached>> = Vec::with_capacity(graph.calls.len());
    for (index, call) in graph.calls.iter().enumerate() {
        let layer = &graph.layers[call.layer];
        let path = join(group, &layer.name);
        let reached_from =
            |id: &TensorId| reached[id.call].get(id.output).cloned().unwrap_or(Reached::Kernel);
        let inputs: Vec<Reached> = call.inputs.iter().map(reached_from).collect();
        let is_before = !inputs.is_empty() && inputs.iter().all(|input| *input != Reached::Kernel);
        let found = match &layer.body {
            Body::Kind(_) if call.inputs.is_empty() => {
                let position = graph.inputs.iter().position(|id| id.call == index);
                vec![position.and_then(|at| given.get(at)).cloned().unwrap_or(Reached::Kernel)]
            }
            Body::Kind(_) if kernels.contains(path.as_str()) => {
                below.paths.extend(inputs.iter().filter_map(|input| match input {
                    Reached::Input => Some(None),
                    Reached::Through(path) => Some(Some(path.clone())),
                    Reached::Kernel => None,
                }));
                vec![Reached::Kernel]
            }
            Body::Kind(_) if is_before => vec![Reached::Through(path)],
            Body::Model(inner) => walk(inner, &path, &inputs, kernels, below),
            Body::Unsupported { class_name, .. } if is_before => {
                below.blocked.get_or_insert((path, class_name.clone()));
                vec![Reached::Kernel]
            }
            Body::Kind(_) | Body::Unsupported { .. } => vec![Reached::Kernel],
        };
        reached.push(found);
    }
    let reached_from = |id: &TensorId| reached[id.call].get(id.output).cloned().unwrap_or(Reached::Kernel);
    graph.outputs.iter().map(reached_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(factor: f32, zero: f32) -> Line {
        Line { factor, summand: -factor * zero }
    }

    #[test]
    fn the_mean_and_the_factor_tell_which_pixels_are_wanted() {
        let all = [
            (1.0 / 255.0, 0.0, Some(Preprocess::None)),
            (1.0 / 127.5, 127.5, Some(Preprocess::None)),
            (1.0, 123.68, Some(Preprocess::None)),
            (1.0 / 58.4, 123.68, Some(Preprocess::None)),
            (-1.0, 255.0, Some(Preprocess::None)),
            (1.0 / 0.229, 0.485, Some(Preprocess::Unit)),
            (1.0 / 0.3081, 0.1307, Some(Preprocess::Unit)),
            (2.0, 0.5, Some(Preprocess::Unit)),
            (1.0, 0.5, Some(Preprocess::Unit)),
            (255.0, 0.0, Some(Preprocess::Unit)),
            (127.5, -1.0, Some(Preprocess::Tf)),
            (0.458, 0.0655, None), // torchvision's transform_input, on images that are normalised already
            (1.0, -3.0, None),
        ];
        for (factor, zero, expected) in all {
            assert_eq!(wanted(&[line(factor, zero)]), expected, "(x - {zero}) * {factor}");
        }
        // channels that disagree
        assert_eq!(wanted(&[line(1.0, 123.7), line(4.0, 0.4)]), None);
    }
}
