//! ShuffleNet V2. Source: Ma et al. 2018, table 5.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, torchvision};
use frostline_graph::TensorId;
use serde_json::json;

/// The channels of the stem, of each stage and of the last convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShuffleNet {
    channels: [usize; 5],
}

const BLOCKS: [usize; 3] = [4, 8, 4];
const FUNCTION: &str = "relu";

pub(super) const TABLE: &[Row<ShuffleNet>] = &[
    torchvision("shufflenet_v2_x0_5", ShuffleNet { channels: [24, 48, 96, 192, 1024] }),
    torchvision("shufflenet_v2_x1_0", ShuffleNet { channels: [24, 116, 232, 464, 1024] }),
    torchvision("shufflenet_v2_x1_5", ShuffleNet { channels: [24, 176, 352, 704, 1024] }),
    torchvision("shufflenet_v2_x2_0", ShuffleNet { channels: [24, 244, 488, 976, 2048] }),
];

impl Network for ShuffleNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let [stem, stages @ .., top] = self.channels;
        let x = b.conv_bn_act(["conv1.0", "conv1.1"], x, Conv::new(stem, 3).stride(2), FUNCTION);
        let mut x = b.max_pool("maxpool", x, 3, 2);
        for (stage, (blocks, channels)) in BLOCKS.into_iter().zip(stages).enumerate() {
            for index in 0..blocks {
                x = unit(b, &format!("stage{}.{index}", stage + 2), x, channels, index == 0);
            }
        }
        let x = b.conv_bn_act(["conv5.0", "conv5.1"], x, Conv::pointwise(top), FUNCTION);
        let x = b.pooled("avgpool", x);
        b.classifier("fc", x)
    }
}

/// Half the channels go through a branch; the first unit of a stage halves the image, and both of its branches see all.
fn unit(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize, halves: bool) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let (half, stride) = (channels / 2, if halves { 2 } else { 1 });
    let [left, right] = match halves {
        true => [x, x],
        false => b.parts(&child("parts"), x),
    };
    let left = match halves {
        true => {
            let y = b.depthwise(&child("branch1.0"), left, 3, stride);
            let y = b.batch_norm(&child("branch1.1"), y);
            b.conv_bn_act([&child("branch1.2"), &child("branch1.3")], y, Conv::pointwise(half), FUNCTION)
        }
        false => left,
    };
    let y = b.conv_bn_act([&child("branch2.0"), &child("branch2.1")], right, Conv::pointwise(half), FUNCTION);
    let y = b.depthwise(&child("branch2.3"), y, 3, stride);
    let y = b.batch_norm(&child("branch2.4"), y);
    let y = b.conv_bn_act([&child("branch2.5"), &child("branch2.6")], y, Conv::pointwise(half), FUNCTION);
    let x = b.joined(&child("concat"), &[left, y], -1);
    // one of each half in turns
    let order: Vec<usize> = (0..channels).map(|at| at % 2 * half + at / 2).collect();
    let order = json!({"array": order, "dtype": "int32"});
    b.operation(&child("shuffle"), "Take", json!({"axis": -1}), &[x], &[order])
}
