//! State dicts of torchvision and timm: the architecture that the user names is built as a graph of Keras layers with the
//! names of PyTorch's modules, and each weight is found by its layer's name.
//!
//! To add an architecture: a table in its family's file, a case of [`Architecture`], and a golden file.

mod builder;
mod convnext;
mod efficientnet;
mod inverted_residual;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
mod source;
mod twins;

pub(super) use source::source;

use super::assign::{COUNTERS, assign, left_over, misfit, report};
use super::file::Tensors;
use crate::{Loaded, few};
use frostline_graph::{Error, Graph, Model, ModelInfo, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use twins::Twins;

/// The size of images that all of these were trained on.
const IMAGE_SIZE: [usize; 2] = [224, 224];

/// The architectures whose state dicts can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// He et al. 2015.
    ResNet18,
    /// He et al. 2015.
    ResNet34,
    /// He et al. 2015, with the stride in the 3 x 3 convolution of a block.
    ResNet50,
    /// Sandler et al. 2018.
    MobileNetV2,
    /// Howard et al. 2019.
    MobileNetV3Large,
    /// Howard et al. 2019.
    MobileNetV3Small,
    /// Tan and Le 2019.
    EfficientNetB0,
    /// Liu et al. 2022.
    ConvNeXtTiny,
}

/// torchvision's name of each, and timm's where it differs.
const NAMES: &[(Architecture, &str, &str)] = &[
    (Architecture::ResNet18, "resnet18", "resnet18"),
    (Architecture::ResNet34, "resnet34", "resnet34"),
    (Architecture::ResNet50, "resnet50", "resnet50"),
    (Architecture::MobileNetV2, "mobilenet_v2", "mobilenetv2_100"),
    (Architecture::MobileNetV3Large, "mobilenet_v3_large", "mobilenetv3_large_100"),
    (Architecture::MobileNetV3Small, "mobilenet_v3_small", "mobilenetv3_small_100"),
    (Architecture::EfficientNetB0, "efficientnet_b0", "efficientnet_b0"),
    (Architecture::ConvNeXtTiny, "convnext_tiny", "convnext_tiny"),
];

/// Whose names and settings the modules have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Torchvision,
    Timm,
}

impl Architecture {
    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        NAMES.iter().map(|(_, name, _)| *name).collect()
    }

    /// The library that a state dict of this architecture comes from, by the name of its first layer. The two name the
    /// modules of ResNets alike.
    fn library(self, tensors: &Tensors<'_>) -> Library {
        let first = match self {
            Self::ConvNeXtTiny => "stem.0.weight",
            _ => "conv_stem.weight",
        };
        match tensors.shape(first) {
            Some(_) => Library::Timm,
            None => Library::Torchvision,
        }
    }

    /// The graph that a state dict of this architecture fills, with as many classes as the classifier in it has.
    fn graph(self, tensors: &Tensors<'_>) -> Result<Graph> {
        let (name, library) = (format!("torch_{self}"), self.library(tensors));
        let units = |layer: &str| tensors.shape(&format!("{layer}.weight"))?.first().copied();
        match self {
            Self::ResNet18 => resnet::build(&name, &resnet::RESNET_18, units),
            Self::ResNet34 => resnet::build(&name, &resnet::RESNET_34, units),
            Self::ResNet50 => resnet::build(&name, &resnet::RESNET_50, units),
            Self::MobileNetV2 => mobilenet_v2::build(&name, library, units),
            Self::MobileNetV3Large => mobilenet_v3::build(&name, &mobilenet_v3::LARGE, library, units),
            Self::MobileNetV3Small => mobilenet_v3::build(&name, &mobilenet_v3::SMALL, library, units),
            Self::EfficientNetB0 => efficientnet::build(&name, library, units),
            Self::ConvNeXtTiny => convnext::build(&name, library, units),
        }
    }

    /// How the pretrained weights of a library were shown their images.
    fn info(self, library: Library) -> ModelInfo {
        let bicubic = library == Library::Timm || self == Self::EfficientNetB0;
        ModelInfo {
            preprocess: Some("torch".into()),
            image_size: Some(IMAGE_SIZE),
            resize: Some(if bicubic { "pil-bicubic" } else { "pil-bilinear" }.to_owned()),
            ..ModelInfo::default()
        }
    }

    /// The tensors of the file that the architecture leaves, where it finds all that it needs in their shapes.
    fn leaves(self, tensors: &Tensors<'_>) -> Option<Vec<String>> {
        let graph = self.graph(tensors).ok()?;
        let wanted = graph.weight_specs(&graph.stand_in_shapes()).ok()?;
        let mut used = BTreeSet::new();
        for wanted in &wanted {
            let source = source(wanted);
            if misfit(tensors, wanted, source.as_ref()).is_some() {
                return None;
            }
            used.extend(source.map(|source| source.name));
        }
        Some(sorted(tensors).into_iter().filter(|name| !used.contains(name)).collect())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(known, ..)| known == self).map_or("", |(_, name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(_, name, timm)| [*name, *timm].contains(&text));
        known.map(|(architecture, ..)| *architecture).ok_or_else(|| {
            format!(
                "`{text}` is no architecture that is known here: write one of {}",
                Self::names().join(", ")
            )
        })
    }
}

/// The architecture whose tensors these are, by their names and shapes: all of them, and none besides.
fn guess(tensors: &Tensors<'_>) -> Option<Architecture> {
    let mut known = NAMES.iter().map(|(known, ..)| *known);
    known.find(|known| known.leaves(tensors).is_some_and(|left| left.is_empty()))
}

/// The largest architecture that is a part of what the file holds, and the tensors that it leaves.
fn part(tensors: &Tensors<'_>) -> Option<(Architecture, Vec<String>)> {
    let parts = NAMES.iter().filter_map(|(known, ..)| Some((*known, known.leaves(tensors)?)));
    parts.min_by_key(|(_, left)| left.len())
}

/// What can be done with an architecture that is not known.
fn elsewhere() -> String {
    format!(
        "export the model as ONNX, which says its architecture itself; for the setting `arch` known here are {}",
        Architecture::names().join(", ")
    )
}

/// The error for a state dict whose architecture the user did not name.
pub(super) fn unnamed(path: &Path, tensors: &Tensors<'_>) -> Error {
    let names = Architecture::names().join(", ");
    let help = match guess(tensors) {
        Some(known) => match Twins::of(known, known.library(tensors)).said_beside(path) {
            Some(said) => format!("{said}: {}", elsewhere()),
            None => {
                let twins = Twins::of(known, known.library(tensors)).in_words();
                let twins = twins.map(|twins| format!(", or of {twins}, which cannot be told apart"));
                format!(
                    "its tensors are those of `{known}`{}: give the setting `arch = {known}` (known are {names})",
                    twins.unwrap_or_default()
                )
            }
        },
        None => {
            let all = sorted(tensors);
            let begin = match part(tensors) {
                Some((known, left)) => {
                    format!("it holds all tensors of `{known}`, and others besides: {}", few(&left))
                }
                None if all.is_empty() => "it holds no tensor".to_owned(),
                None => format!("its tensors begin with {}", few(&all[..all.len().min(3)])),
            };
            format!("no architecture that is known here has its tensors ({begin}): {}", elsewhere())
        }
    };
    Error::format(path, format!("the file holds weights alone, no architecture\nhelp: {help}"))
}

fn sorted(tensors: &Tensors<'_>) -> Vec<String> {
    let mut names = tensors.names();
    names.retain(|name| name.rsplit('.').next() != Some(COUNTERS));
    names.sort();
    names
}

/// Builds the architecture and fills it. A part of another architecture is not taken for the whole of this one.
pub(super) fn load(path: &Path, tensors: &Tensors<'_>, architecture: Architecture) -> Result<Loaded> {
    let filled = architecture.graph(tensors).and_then(|graph| {
        let (weights, used) = assign(path, tensors, &graph, source)?;
        Ok((graph, weights, report(tensors, &used)))
    });
    if filled.as_ref().map_or(true, |(.., report)| !report.unused.is_empty())
        && let Some(other) = guess(tensors).filter(|other| *other != architecture)
    {
        return Err(Error::format(
            path,
            format!(
                "its tensors are those of `{other}`, not of `{architecture}`\nhelp: give the setting `arch = {other}`"
            ),
        ));
    }
    let (graph, weights, mut report) = filled?;
    if !report.unused.is_empty() {
        let help = format!(
            "it is a larger architecture than `{architecture}`, or the file holds more than a state dict: {}",
            elsewhere()
        );
        return Err(left_over(path, &report.unused, &format!("`{architecture}`"), &help));
    }
    let library = architecture.library(tensors);
    let twins = Twins::of(architecture, library);
    if let Some(said) = twins.said_beside(path) {
        let help = format!("{}; if it is a `{architecture}` after all, that name is wrong", elsewhere());
        return Err(Error::format(path, format!("{said}\nhelp: {help}")));
    }
    report.warnings.extend(twins.warning(path));
    let info = architecture.info(library);
    Ok(Loaded { model: Model { graph, weights, info }, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_timms_are_known_too() {
        for (architecture, torchvision, timm) in NAMES {
            assert_eq!(architecture.to_string(), *torchvision);
            assert_eq!(torchvision.parse(), Ok(*architecture));
            assert_eq!(timm.parse(), Ok(*architecture));
        }
        let error = "resnet19".parse::<Architecture>().expect_err("unknown");
        assert!(error.contains("resnet19") && error.contains("resnet18, resnet34"), "{error}");
    }
}
