//! RepVGG, with the branches that training has. Source: Ding et al. 2021, table 2.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, timm};
use frostline_graph::TensorId;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepVgg {
    depths: [usize; 4],
    stem: usize,
    channels: [usize; 4],
}

const FUNCTION: &str = "relu";

const fn a(stem: usize, channels: [usize; 4]) -> RepVgg {
    RepVgg { depths: [2, 4, 14, 1], stem, channels }
}

const fn b(channels: [usize; 4]) -> RepVgg {
    RepVgg { depths: [4, 6, 16, 1], stem: 64, channels }
}

pub(super) const TABLE: &[Row<RepVgg>] = &[
    timm("repvgg_a0", a(48, [48, 96, 192, 1280])),
    timm("repvgg_a1", a(64, [64, 128, 256, 1280])),
    timm("repvgg_a2", a(64, [96, 192, 384, 1408])),
    timm("repvgg_b0", b([64, 128, 256, 1280])),
    timm("repvgg_b1", b([128, 256, 512, 2048])),
    timm("repvgg_b2", b([160, 320, 640, 2560])),
    timm("repvgg_b3", b([192, 384, 768, 2560])),
];

impl Network for RepVgg {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let mut x = block(b, "stem", x, self.stem, 2, false);
        let mut input = self.stem;
        for (stage, (depth, channels)) in self.depths.into_iter().zip(self.channels).enumerate() {
            for index in 0..depth {
                let stride = if index == 0 { 2 } else { 1 };
                let identity = stride == 1 && input == channels;
                x = block(b, &format!("stages.{stage}.{index}"), x, channels, stride, identity);
                input = channels;
            }
        }
        let x = b.pooled("avgpool", x);
        b.classifier("head.fc", x)
    }
}

/// 3 x 3, 1 x 1 and, where it fits, what comes in, each normalised.
fn block(
    b: &mut Builder<'_>,
    path: &str,
    x: TensorId,
    channels: usize,
    stride: usize,
    identity: bool,
) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let mut branch = |name: &str, size: usize| {
        let names = [child(&format!("{name}.conv")), child(&format!("{name}.bn"))];
        b.conv_bn([&names[0], &names[1]], x, Conv::new(channels, size).stride(stride))
    };
    let [large, small] = [branch("conv_kxk", 3), branch("conv_1x1", 1)];
    let mut y = b.add(&child("add"), large, small);
    if identity {
        let own = b.batch_norm(&child("identity"), x);
        y = b.add(&child("add_identity"), y, own);
    }
    b.activation(path, FUNCTION, y)
}
