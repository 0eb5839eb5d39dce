//! MobileNetV3. Source: Howard et al. 2019, tables 1 and 2.

use super::Library;
use super::builder::{BatchNorm, Builder, Conv};
use super::inverted_residual::{Block, Names, Squeeze};
use frostline_graph::{Graph, Result};
use serde_json::json;

/// What differs between large and small.
pub(super) struct Table {
    blocks: &'static [Row],
    /// The channels of the last convolution, and of the layer below the classifier.
    top: [usize; 2],
}

/// Kernel, expanded channels, output channels, squeeze or not, activation, stride.
type Row = (usize, usize, usize, bool, &'static str, usize);

const STEM: Conv = Conv { filters: 16, kernel: 3, stride: 2 };
const RE: &str = "relu";
const HS: &str = "hard_silu";
/// Of torchvision's classifier.
const DROPOUT: f64 = 0.2;

pub(super) const LARGE: Table = Table {
    blocks: &[
        (3, 16, 16, false, RE, 1),
        (3, 64, 24, false, RE, 2),
        (3, 72, 24, false, RE, 1),
        (5, 72, 40, true, RE, 2),
        (5, 120, 40, true, RE, 1),
        (5, 120, 40, true, RE, 1),
        (3, 240, 80, false, HS, 2),
        (3, 200, 80, false, HS, 1),
        (3, 184, 80, false, HS, 1),
        (3, 184, 80, false, HS, 1),
        (3, 480, 112, true, HS, 1),
        (3, 672, 112, true, HS, 1),
        (5, 672, 160, true, HS, 2),
        (5, 960, 160, true, HS, 1),
        (5, 960, 160, true, HS, 1),
    ],
    top: [960, 1280],
};

pub(super) const SMALL: Table = Table {
    blocks: &[
        (3, 16, 16, true, RE, 2),
        (3, 72, 24, false, RE, 2),
        (3, 88, 24, false, RE, 1),
        (5, 96, 40, true, HS, 2),
        (5, 240, 40, true, HS, 1),
        (5, 240, 40, true, HS, 1),
        (5, 120, 48, true, HS, 1),
        (5, 144, 48, true, HS, 1),
        (5, 288, 96, true, HS, 2),
        (5, 576, 96, true, HS, 1),
        (5, 576, 96, true, HS, 1),
    ],
    top: [576, 1024],
};

/// The graph. `units`: the outputs of a linear layer, where the file has it.
pub(super) fn build(
    name: &str,
    table: &Table,
    library: Library,
    units: impl Fn(&str) -> Option<usize>,
) -> Result<Graph> {
    let norm = match library {
        Library::Torchvision => BatchNorm::MOBILENET_V3,
        Library::Timm => BatchNorm::DEFAULT,
    };
    let (mut b, x) = Builder::new(name, norm);
    let stem = match library {
        Library::Torchvision => ["features.0.0", "features.0.1"],
        Library::Timm => ["conv_stem", "bn1"],
    };
    let mut x = b.conv_bn_act(stem, x, STEM, HS);
    let mut input = STEM.filters;
    // timm counts a new stage where the channels change
    let (mut stage, mut index) = (0, 0);
    for (number, &(kernel, expanded, output, squeezes, function, stride)) in table.blocks.iter().enumerate() {
        let width = make_divisible(expanded / 4);
        let squeeze = squeezes.then_some(Squeeze { width, function: RE, gate: "hard_sigmoid" });
        let block = Block { input, expanded, output, kernel, stride, function, squeeze, drop_rate: 0.0 };
        if number > 0 {
            (stage, index) = if output == input { (stage, index + 1) } else { (stage + 1, 0) };
        }
        input = output;
        let path = match library {
            Library::Torchvision => format!("features.{}", number + 1),
            Library::Timm => format!("blocks.{stage}.{index}"),
        };
        x = block.build(&mut b, &path, &Names::new(library, &path, &block), x);
    }
    let [channels, hidden] = table.top;
    let top = match library {
        Library::Torchvision => [0, 1].map(|part| format!("features.{}.{part}", table.blocks.len() + 1)),
        Library::Timm => ["conv", "bn1"].map(|part| format!("blocks.{}.0.{part}", stage + 1)),
    };
    x = b.conv_bn_act([&top[0], &top[1]], x, Conv::pointwise(channels), HS);
    match library {
        Library::Torchvision => {
            x = b.pooled("avgpool", x);
            if units("classifier.0").is_some() {
                x = b.linear("classifier.0", x, hidden);
                x = b.activation("classifier.0", HS, x);
            }
            if let Some(classes) = units("classifier.3") {
                x = b.dropout("classifier.2", x, DROPOUT);
                x = b.linear("classifier.3", x, classes);
            }
        }
        Library::Timm => {
            x = b.layer("global_pool", "GlobalAveragePooling2D", json!({"keepdims": true}), &[x]);
            x = b.pointwise_with_bias("conv_head", x, hidden);
            x = b.activation("conv_head", HS, x);
            x = b.layer("flatten", "Flatten", json!({}), &[x]);
            if let Some(classes) = units("classifier") {
                x = b.linear("classifier", x, classes);
            }
        }
    }
    b.finish(x)
}

/// The nearest multiple of 8, at least 8 and never below nine tenths.
fn make_divisible(width: usize) -> usize {
    let rounded = ((width + 4) / 8 * 8).max(8);
    if 10 * rounded < 9 * width { rounded + 8 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::make_divisible;

    #[test]
    fn widths_are_rounded_as_torchvision_does() {
        // torchvision.models._utils._make_divisible(v, 8)
        for (width, rounded) in [(4, 8), (18, 24), (30, 32), (24, 24), (60, 64), (72, 72), (36, 40)] {
            assert_eq!(make_divisible(width), rounded, "{width}");
        }
    }
}
