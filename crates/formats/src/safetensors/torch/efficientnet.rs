//! EfficientNet-B0. Source: Tan and Le 2019, table 1.

use super::Library;
use super::builder::{BatchNorm, Builder, Conv};
use super::inverted_residual::{Block, Names, Squeeze, classified};
use frostline_graph::{Graph, Result};

/// Expansion, kernel, stride of the first, channels, repeats.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];
const STEM: Conv = Conv { filters: 32, kernel: 3, stride: 2 };
const TOP: Conv = Conv { filters: 1280, kernel: 1, stride: 1 };
const FUNCTION: &str = "silu";
/// Of torchvision's classifier, and the chance that its last block is left out; it rises from 0 block by block. timm has
/// neither unless it is asked for.
const DROPOUT: f64 = 0.2;
const STOCHASTIC_DEPTH: f64 = 0.2;

/// The graph. `units`: the outputs of a linear layer, where the file has it.
pub(super) fn build(name: &str, library: Library, units: impl Fn(&str) -> Option<usize>) -> Result<Graph> {
    let (mut b, x) = Builder::new(name, BatchNorm::DEFAULT);
    let (stem, top) = match library {
        Library::Torchvision => (["features.0.0", "features.0.1"], ["features.8.0", "features.8.1"]),
        Library::Timm => (["conv_stem", "bn1"], ["conv_head", "bn2"]),
    };
    let mut x = b.conv_bn_act(stem, x, STEM, FUNCTION);
    let (mut input, mut number) = (STEM.filters, 0);
    let total: usize = STAGES.iter().map(|(.., repeats)| repeats).sum();
    for (stage, (expansion, kernel, stride, output, repeats)) in STAGES.into_iter().enumerate() {
        for index in 0..repeats {
            let block = Block {
                input,
                expanded: expansion * input,
                output,
                kernel,
                stride: if index == 0 { stride } else { 1 },
                function: FUNCTION,
                squeeze: Some(Squeeze { width: input / 4, function: FUNCTION, gate: "sigmoid" }),
                drop_rate: match library {
                    Library::Torchvision => STOCHASTIC_DEPTH * number as f64 / total as f64,
                    Library::Timm => 0.0,
                },
            };
            (input, number) = (output, number + 1);
            let path = match library {
                Library::Torchvision => format!("features.{}.{index}", stage + 1),
                Library::Timm => format!("blocks.{stage}.{index}"),
            };
            x = block.build(&mut b, &path, &Names::new(library, &path, &block), x);
        }
    }
    let x = b.conv_bn_act(top, x, TOP, FUNCTION);
    classified(b, x, library, DROPOUT, units)
}
