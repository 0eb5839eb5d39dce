//! The names of the modules in torchvision and timm.

use super::notation::Kind;
use super::{Library, Style};

/// How the modules are named.
pub(super) struct Names {
    library: Library,
    style: Style,
    stages: usize,
    /// The blocks that were named: torchvision's MobileNets count on.
    blocks: usize,
}

/// The names of a block's parts: a convolution and its normalisation each. Those that a block does not have are not used.
pub(super) struct Parts {
    pub(super) start: [String; 2],
    pub(super) expand: [String; 2],
    pub(super) middle: [String; 2],
    /// The path of squeeze and excitation, and the names of its convolutions.
    pub(super) squeeze: (String, [&'static str; 2]),
    pub(super) project: [String; 2],
}

impl Names {
    pub(super) fn new(library: Library, style: Style, stages: usize) -> Self {
        Self { library, style, stages, blocks: 0 }
    }

    pub(super) fn stem(&self) -> [&'static str; 2] {
        match (self.library, self.style) {
            (Library::Timm, _) => ["conv_stem", "bn1"],
            (Library::Torchvision, Style::Mnasnet) => ["layers.0", "layers.1"],
            (Library::Torchvision, _) => ["features.0.0", "features.0.1"],
        }
    }

    /// The last convolution.
    pub(super) fn top(&self) -> [String; 2] {
        let pair = |path: String| [0, 1].map(|part| format!("{path}.{part}"));
        match (self.library, self.style) {
            (Library::Timm, _) => ["conv_head", "bn2"].map(str::to_owned),
            (Library::Torchvision, Style::Mnasnet) => ["layers.14", "layers.15"].map(str::to_owned),
            (Library::Torchvision, Style::EfficientNet) => pair(format!("features.{}", self.stages + 1)),
            (Library::Torchvision, _) => pair(format!("features.{}", self.blocks + 1)),
        }
    }

    /// Dropout and the classifier.
    pub(super) fn classifier(&self) -> [&'static str; 2] {
        match (self.library, self.style) {
            (Library::Timm, _) => ["dropout", "classifier"],
            (Library::Torchvision, Style::MobileNetV3) => ["classifier.2", "classifier.3"],
            (Library::Torchvision, _) => ["classifier.0", "classifier.1"],
        }
    }

    /// The path of a block: its stage, which of the stage it is, and which of all.
    pub(super) fn path(&mut self, stage: usize, index: usize, number: usize) -> String {
        self.blocks = number + 1;
        match (self.library, self.style) {
            (Library::Timm, _) => format!("blocks.{stage}.{index}"),
            (Library::Torchvision, Style::EfficientNet) => format!("features.{}.{index}", stage + 1),
            // the first block is written out: two convolutions among those of the stem
            (Library::Torchvision, Style::Mnasnet) if stage == 0 => "layers".to_owned(),
            (Library::Torchvision, Style::Mnasnet) => format!("layers.{}.{index}.layers", stage + 7),
            (Library::Torchvision, _) => format!("features.{}", number + 1),
        }
    }

    /// The parts of a block.
    pub(super) fn parts(&self, path: &str, kind: Kind, squeezes: bool) -> Parts {
        match self.library {
            Library::Timm => timm(path, kind),
            Library::Torchvision => self.torchvision(path, kind, squeezes),
        }
    }

    /// torchvision counts the parts that there are.
    fn torchvision(&self, path: &str, kind: Kind, squeezes: bool) -> Parts {
        let at = |number: usize| match self.style {
            Style::EfficientNet | Style::MobileNetV3 => {
                [0, 1].map(|part| format!("{path}.block.{number}.{part}"))
            }
            Style::MobileNetV2 => [0, 1].map(|part| format!("{path}.conv.{number}.{part}")),
            // convolution, normalisation, activation
            Style::Mnasnet if path == "layers" => [3, 4].map(|part| format!("{path}.{}", part + 3 * number)),
            Style::Mnasnet => [0, 1].map(|part| format!("{path}.{}", part + 3 * number)),
        };
        let depthwise = usize::from(kind == Kind::Inverted);
        let squeeze = (format!("{path}.block.{}", depthwise + 1), ["fc1", "fc2"]);
        let project = match (kind, self.style) {
            (Kind::Convolution, Style::MobileNetV3) => [0, 1].map(|part| format!("{path}.{part}")),
            (Kind::Convolution, _) => at(0),
            (Kind::Fused, _) => at(1),
            // an older way: what has an activation is a module of two, the projection is two modules
            (_, Style::MobileNetV2) => [1, 2].map(|part| format!("{path}.conv.{}", depthwise + part)),
            _ => at(depthwise + 1 + usize::from(squeezes)),
        };
        Parts { start: at(0), expand: at(0), middle: at(depthwise), squeeze, project }
    }
}

fn timm(path: &str, kind: Kind) -> Parts {
    let pair = |first: &str, second: &str| [format!("{path}.{first}"), format!("{path}.{second}")];
    let part = |name: &str| [format!("{path}.{name}.conv"), format!("{path}.{name}.bn")];
    let squeeze = (format!("{path}.se"), ["conv_reduce", "conv_expand"]);
    let (expand, middle, project) = match kind {
        Kind::Convolution => (pair("conv", "bn1"), pair("conv", "bn1"), pair("conv", "bn1")),
        Kind::Separable | Kind::SeparableActivated => {
            (pair("conv_dw", "bn1"), pair("conv_dw", "bn1"), pair("conv_pw", "bn2"))
        }
        Kind::Inverted => (pair("conv_pw", "bn1"), pair("conv_dw", "bn2"), pair("conv_pwl", "bn3")),
        Kind::Fused => (pair("conv_exp", "bn1"), pair("conv_exp", "bn1"), pair("conv_pwl", "bn2")),
        Kind::Universal => (part("pw_exp"), part("dw_mid"), part("pw_proj")),
    };
    Parts { start: part("dw_start"), expand, middle, squeeze, project }
}
