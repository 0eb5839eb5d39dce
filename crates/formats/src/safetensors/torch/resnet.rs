//! ResNet, as torchvision and timm have it. Source: He et al. 2015, table 1; the stride of a bottleneck is in its 3 x 3
//! convolution.

use super::builder::{BatchNorm, Builder, Conv};
use frostline_graph::{Graph, Result, TensorId};
use serde_json::json;

/// The channels of the four stages, inside a block.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// What differs from depth to depth.
pub(super) struct Table {
    block: Block,
    /// Blocks in each stage.
    repeats: [usize; 4],
}

#[derive(Clone, Copy, PartialEq)]
enum Block {
    /// 3 x 3, 3 x 3.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1 to four times the channels.
    Bottleneck,
}

pub(super) const RESNET_18: Table = Table { block: Block::Basic, repeats: [2, 2, 2, 2] };
pub(super) const RESNET_34: Table = Table { block: Block::Basic, repeats: [3, 4, 6, 3] };
pub(super) const RESNET_50: Table = Table { block: Block::Bottleneck, repeats: [3, 4, 6, 3] };

/// The graph. `units`: the outputs of a linear layer, where the file has it.
pub(super) fn build(name: &str, table: &Table, units: impl Fn(&str) -> Option<usize>) -> Result<Graph> {
    let (mut b, x) = Builder::new(name, BatchNorm::DEFAULT);
    let x = b.conv_bn_act(["conv1", "bn1"], x, Conv { filters: 64, kernel: 7, stride: 2 }, "relu");
    // no value is below zero here, so that zeros around the image never are the largest
    let x = b.zeros("maxpool", x, 1);
    let mut x = b.layer("maxpool", "MaxPooling2D", json!({"pool_size": 3, "strides": 2}), &[x]);
    for (stage, (width, repeats)) in WIDTHS.into_iter().zip(table.repeats).enumerate() {
        for index in 0..repeats {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            // the first block changes the channels, but for the first stage of basic blocks
            let projects = index == 0 && (stage > 0 || table.block == Block::Bottleneck);
            x = block(
                &mut b,
                &format!("layer{}.{index}", stage + 1),
                x,
                table.block,
                width,
                stride,
                projects,
            );
        }
    }
    let mut x = b.pooled("avgpool", x);
    if let Some(classes) = units("fc") {
        x = b.linear("fc", x, classes);
    }
    b.finish(x)
}

fn block(
    b: &mut Builder,
    path: &str,
    x: TensorId,
    block: Block,
    width: usize,
    stride: usize,
    projects: bool,
) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let steps = match block {
        Block::Basic => {
            vec![Conv { filters: width, kernel: 3, stride }, Conv { filters: width, kernel: 3, stride: 1 }]
        }
        Block::Bottleneck => vec![
            Conv::pointwise(width),
            Conv { filters: width, kernel: 3, stride },
            Conv::pointwise(4 * width),
        ],
    };
    let filters = steps.last().map_or(width, |last| last.filters);
    let mut y = x;
    for (index, conv) in steps.iter().enumerate() {
        let norm = child(&format!("bn{}", index + 1));
        y = b.conv_bn([&child(&format!("conv{}", index + 1)), &norm], y, *conv);
        if index + 1 < steps.len() {
            y = b.activation(&norm, "relu", y);
        }
    }
    let shortcut = match projects {
        true => {
            let names = [child("downsample.0"), child("downsample.1")];
            b.conv_bn([&names[0], &names[1]], x, Conv { filters, kernel: 1, stride })
        }
        false => x,
    };
    let sum = b.add(&child("add"), y, shortcut);
    b.activation(path, "relu", sum)
}
