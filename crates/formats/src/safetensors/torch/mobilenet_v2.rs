//! MobileNetV2. Source: Sandler et al. 2018, table 2.

use super::Library;
use super::builder::{BatchNorm, Builder, Conv};
use super::inverted_residual::{Block, Names, classified};
use frostline_graph::{Graph, Result};

/// Expansion, channels, repeats, stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
const STEM: Conv = Conv { filters: 32, kernel: 3, stride: 2 };
const TOP: Conv = Conv { filters: 1280, kernel: 1, stride: 1 };
const FUNCTION: &str = "relu6";
/// Of torchvision's classifier.
const DROPOUT: f64 = 0.2;

/// The graph. `units`: the outputs of a linear layer, where the file has it.
pub(super) fn build(name: &str, library: Library, units: impl Fn(&str) -> Option<usize>) -> Result<Graph> {
    let (mut b, x) = Builder::new(name, BatchNorm::DEFAULT);
    let (stem, top) = match library {
        Library::Torchvision => (["features.0.0", "features.0.1"], ["features.18.0", "features.18.1"]),
        Library::Timm => (["conv_stem", "bn1"], ["conv_head", "bn2"]),
    };
    let mut x = b.conv_bn_act(stem, x, STEM, FUNCTION);
    let (mut input, mut number) = (STEM.filters, 0);
    for (stage, (expansion, output, repeats, stride)) in STAGES.into_iter().enumerate() {
        for index in 0..repeats {
            let block = Block {
                input,
                expanded: expansion * input,
                output,
                kernel: 3,
                stride: if index == 0 { stride } else { 1 },
                function: FUNCTION,
                squeeze: None,
                drop_rate: 0.0,
            };
            (input, number) = (output, number + 1);
            let (path, names) = match library {
                Library::Torchvision => {
                    let path = format!("features.{number}");
                    let names = torchvision_names(&path, &block);
                    (path, names)
                }
                Library::Timm => {
                    let path = format!("blocks.{stage}.{index}");
                    let names = Names::new(library, &path, &block);
                    (path, names)
                }
            };
            x = block.build(&mut b, &path, &names, x);
        }
    }
    let x = b.conv_bn_act(top, x, TOP, FUNCTION);
    classified(b, x, library, DROPOUT, units)
}

/// torchvision's older way: what has an activation is a module of two, the projection is two modules.
fn torchvision_names(path: &str, block: &Block) -> Names {
    let first = usize::from(block.expands());
    let pair = |a: String, b: String| [format!("{path}.conv.{a}"), format!("{path}.conv.{b}")];
    let step = |number: usize| pair(format!("{number}.0"), format!("{number}.1"));
    Names {
        expand: step(0),
        depthwise: step(first),
        squeeze: Default::default(),
        project: pair(format!("{}", first + 1), format!("{}", first + 2)),
    }
}
