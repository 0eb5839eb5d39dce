//! ResNet and what came of it, as torchvision and timm have them: wide ones, ResNeXt, ResNet-D, squeeze and excitation,
//! efficient channel attention, ResNet-RS. Source: He et al. 2015, table 1; the stride of a bottleneck is in its 3 x 3
//! convolution. Zagoruyko and Komodakis 2016; Xie et al. 2016; Hu et al. 2017; He et al. 2018; Wang et al. 2019; Bello et
//! al. 2021.

use super::builder::Builder;
use super::modules::{Conv, Squeeze, rounded};
use super::row::{Library, Network, Row, both, timm};
use frostline_graph::TensorId;
use serde_json::json;

/// The channels of the four stages, inside a block.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
const FUNCTION: &str = "relu";

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResNet {
    block: Block,
    /// Blocks in each stage.
    layers: [usize; 4],
    /// Groups of the 3 x 3 convolution, and its channels in each for every 64 of a stage.
    cardinality: usize,
    base_width: usize,
    stem: Stem,
    /// What stands between the stem and the stages.
    pool: Pool,
    shortcut: Shortcut,
    attention: Attention,
    /// Whether blocks that halve the image smooth it first, by the means of 2 x 2 pixels.
    smooths: bool,
    /// What the first convolution of a block has less of than the second.
    reduce_first: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Block {
    /// 3 x 3, 3 x 3.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1 to four times the channels.
    Bottleneck,
}

#[derive(Clone, Copy, Debug)]
enum Stem {
    /// One convolution of 7 x 7.
    Seven,
    /// Three of 3 x 3, with these channels.
    Deep([usize; 3]),
}

#[derive(Clone, Copy, Debug)]
enum Pool {
    Max,
    /// A convolution with a stride.
    Convolution,
    /// The means of 2 x 2 pixels.
    Average,
}

#[derive(Clone, Copy, Debug)]
enum Shortcut {
    /// A convolution with a stride, of this size.
    Convolution(usize),
    /// The means of 2 x 2 pixels, and a 1 x 1 convolution.
    Average,
}

#[derive(Clone, Copy, Debug)]
enum Attention {
    None,
    /// Squeeze and excitation, with this share of the channels between.
    Squeeze(f64),
    /// Efficient channel attention.
    Channels,
}

const fn basic(layers: [usize; 4]) -> ResNet {
    ResNet { block: Block::Basic, ..bottleneck(layers) }
}

const fn bottleneck(layers: [usize; 4]) -> ResNet {
    ResNet {
        block: Block::Bottleneck,
        layers,
        cardinality: 1,
        base_width: 64,
        stem: Stem::Seven,
        pool: Pool::Max,
        shortcut: Shortcut::Convolution(1),
        attention: Attention::None,
        smooths: false,
        reduce_first: 1,
    }
}

impl ResNet {
    const fn groups(self, cardinality: usize, base_width: usize) -> Self {
        Self { cardinality, base_width, ..self }
    }

    const fn deep(self, width: usize) -> Self {
        Self { stem: Stem::Deep([width, width, 2 * width]), ..self }
    }

    /// ResNet-D.
    const fn d(self) -> Self {
        Self { shortcut: Shortcut::Average, ..self.deep(32) }
    }

    /// ResNet-D with a narrower first convolution.
    const fn t(self) -> Self {
        Self { shortcut: Shortcut::Average, stem: Stem::Deep([24, 32, 64]), ..self }
    }

    const fn squeezed(self) -> Self {
        Self { attention: Attention::Squeeze(1.0 / 16.0), ..self }
    }

    const fn eca(self) -> Self {
        Self { attention: Attention::Channels, ..self }
    }

    /// ResNet-RS.
    const fn rs(self) -> Self {
        Self { pool: Pool::Convolution, attention: Attention::Squeeze(0.25), ..self.d() }
    }

    /// Smoothed before it is halved.
    const fn aa(self) -> Self {
        Self { pool: Pool::Average, smooths: true, ..self }
    }
}

pub(super) const TABLE: &[Row<ResNet>] = &[
    both("resnet18", basic([2, 2, 2, 2])),
    both("resnet34", basic([3, 4, 6, 3])),
    both("resnet50", bottleneck([3, 4, 6, 3])),
    both("resnet101", bottleneck([3, 4, 23, 3])),
    both("resnet152", bottleneck([3, 8, 36, 3])),
    both("wide_resnet50_2", bottleneck([3, 4, 6, 3]).groups(1, 128)),
    both("wide_resnet101_2", bottleneck([3, 4, 23, 3]).groups(1, 128)),
    both("resnext50_32x4d", bottleneck([3, 4, 6, 3]).groups(32, 4)),
    both("resnext101_32x8d", bottleneck([3, 4, 23, 3]).groups(32, 8)),
    both("resnext101_64x4d", bottleneck([3, 4, 23, 3]).groups(64, 4)),
    timm("resnet10t", basic([1, 1, 1, 1]).t()),
    timm("resnet14t", bottleneck([1, 1, 1, 1]).t()),
    timm("resnet18d", basic([2, 2, 2, 2]).d()),
    timm("resnet26", bottleneck([2, 2, 2, 2])),
    timm("resnet26d", bottleneck([2, 2, 2, 2]).d()),
    timm("resnet26t", bottleneck([2, 2, 2, 2]).t()),
    timm("resnet34d", basic([3, 4, 6, 3]).d()),
    timm("resnet50c", bottleneck([3, 4, 6, 3]).deep(32)),
    timm("resnet50d", bottleneck([3, 4, 6, 3]).d()),
    timm("resnet50s", bottleneck([3, 4, 6, 3]).deep(64)),
    timm("resnet50t", bottleneck([3, 4, 6, 3]).t()),
    timm("resnet101c", bottleneck([3, 4, 23, 3]).deep(32)),
    timm("resnet101d", bottleneck([3, 4, 23, 3]).d()),
    timm("resnet101s", bottleneck([3, 4, 23, 3]).deep(64)),
    timm("resnet152c", bottleneck([3, 8, 36, 3]).deep(32)),
    timm("resnet152d", bottleneck([3, 8, 36, 3]).d()),
    timm("resnet152s", bottleneck([3, 8, 36, 3]).deep(64)),
    timm("resnet200", bottleneck([3, 24, 36, 3])),
    timm("resnet200d", bottleneck([3, 24, 36, 3]).d()),
    timm("resnetaa34d", basic([3, 4, 6, 3]).d().aa()),
    timm("resnetaa50", bottleneck([3, 4, 6, 3]).aa()),
    timm("resnetaa50d", bottleneck([3, 4, 6, 3]).d().aa()),
    timm("resnetaa101d", bottleneck([3, 4, 23, 3]).d().aa()),
    timm("resnetrs50", bottleneck([3, 4, 6, 3]).rs()),
    timm("resnetrs101", bottleneck([3, 4, 23, 3]).rs()),
    timm("resnetrs152", bottleneck([3, 8, 36, 3]).rs()),
    timm("resnetrs200", bottleneck([3, 24, 36, 3]).rs()),
    timm("resnetrs270", bottleneck([4, 29, 53, 4]).rs()),
    timm("resnetrs350", bottleneck([4, 36, 72, 4]).rs()),
    timm("resnetrs420", bottleneck([4, 44, 87, 4]).rs()),
    timm("resnext50d_32x4d", bottleneck([3, 4, 6, 3]).d().groups(32, 4)),
    timm("resnext101_32x4d", bottleneck([3, 4, 23, 3]).groups(32, 4)),
    timm("resnext101_32x16d", bottleneck([3, 4, 23, 3]).groups(32, 16)),
    timm("resnext101_32x32d", bottleneck([3, 4, 23, 3]).groups(32, 32)),
    timm("seresnet18", basic([2, 2, 2, 2]).squeezed()),
    timm("seresnet34", basic([3, 4, 6, 3]).squeezed()),
    timm("seresnet50", bottleneck([3, 4, 6, 3]).squeezed()),
    timm("seresnet50t", bottleneck([3, 4, 6, 3]).t().squeezed()),
    timm("seresnet101", bottleneck([3, 4, 23, 3]).squeezed()),
    timm("seresnet152", bottleneck([3, 8, 36, 3]).squeezed()),
    timm("seresnet152d", bottleneck([3, 8, 36, 3]).d().squeezed()),
    timm("seresnet200d", bottleneck([3, 24, 36, 3]).d().squeezed()),
    timm("seresnet269d", bottleneck([3, 30, 48, 8]).d().squeezed()),
    timm("seresnetaa50d", bottleneck([3, 4, 6, 3]).d().aa().squeezed()),
    timm("seresnext26d_32x4d", bottleneck([2, 2, 2, 2]).d().groups(32, 4).squeezed()),
    timm("seresnext26t_32x4d", bottleneck([2, 2, 2, 2]).t().groups(32, 4).squeezed()),
    timm("seresnext50_32x4d", bottleneck([3, 4, 6, 3]).groups(32, 4).squeezed()),
    timm("seresnext101_32x4d", bottleneck([3, 4, 23, 3]).groups(32, 4).squeezed()),
    timm("seresnext101_32x8d", bottleneck([3, 4, 23, 3]).groups(32, 8).squeezed()),
    timm("seresnext101_64x4d", bottleneck([3, 4, 23, 3]).groups(64, 4).squeezed()),
    timm("seresnext101d_32x8d", bottleneck([3, 4, 23, 3]).d().groups(32, 8).squeezed()),
    timm("seresnextaa101d_32x8d", bottleneck([3, 4, 23, 3]).d().aa().groups(32, 8).squeezed()),
    timm(
        "senet154",
        ResNet {
            reduce_first: 2,
            shortcut: Shortcut::Convolution(3),
            ..bottleneck([3, 8, 36, 3]).deep(64).groups(64, 4).squeezed()
        },
    ),
    timm("ecaresnet26t", bottleneck([2, 2, 2, 2]).t().eca()),
    timm("ecaresnet50d", bottleneck([3, 4, 6, 3]).d().eca()),
    timm("ecaresnet50t", bottleneck([3, 4, 6, 3]).t().eca()),
    timm("ecaresnet101d", bottleneck([3, 4, 23, 3]).d().eca()),
    timm("ecaresnet200d", bottleneck([3, 24, 36, 3]).d().eca()),
    timm("ecaresnet269d", bottleneck([3, 30, 48, 8]).d().eca()),
    timm("ecaresnetlight", ResNet { shortcut: Shortcut::Average, ..bottleneck([1, 1, 11, 3]).eca() }),
    timm("ecaresnext26t_32x4d", bottleneck([2, 2, 2, 2]).t().groups(32, 4).eca()),
    timm("ecaresnext50t_32x4d", bottleneck([3, 4, 6, 3]).t().groups(32, 4).eca()),
];

impl Network for ResNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let (x, mut input) = self.stem(b, x);
        let mut x = match self.pool {
            Pool::Max => b.max_pool("maxpool", x, 3, 2),
            Pool::Average => b.average_pool("maxpool", x, [2, 2], "valid"),
            Pool::Convolution => {
                b.conv_bn_act(["maxpool.0", "maxpool.1"], x, Conv::new(input, 3).stride(2), FUNCTION)
            }
        };
        for (stage, (width, blocks)) in WIDTHS.into_iter().zip(self.layers).enumerate() {
            for index in 0..blocks {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                x = self.block(b, &format!("layer{}.{index}", stage + 1), x, [input, width], stride);
                input = self.outputs(width);
            }
        }
        let x = b.pooled("avgpool", x);
        b.classifier("fc", x)
    }
}

impl ResNet {
    fn outputs(&self, width: usize) -> usize {
        if self.block == Block::Bottleneck { 4 * width } else { width }
    }

    fn stem(&self, b: &mut Builder<'_>, x: TensorId) -> (TensorId, usize) {
        match self.stem {
            Stem::Seven => (b.conv_bn_act(["conv1", "bn1"], x, Conv::new(64, 7).stride(2), FUNCTION), 64),
            Stem::Deep([first, second, third]) => {
                let x = b.conv_bn_act(["conv1.0", "conv1.1"], x, Conv::new(first, 3).stride(2), FUNCTION);
                let x = b.conv_bn_act(["conv1.3", "conv1.4"], x, Conv::new(second, 3), FUNCTION);
                (b.conv_bn_act(["conv1.6", "bn1"], x, Conv::new(third, 3), FUNCTION), third)
            }
        }
    }

    fn block(
        &self,
        b: &mut Builder<'_>,
        path: &str,
        x: TensorId,
        [input, width]: [usize; 2],
        stride: usize,
    ) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        let outputs = self.outputs(width);
        let own_stride = if self.smooths { 1 } else { stride };
        // the convolutions, and behind which of them a block that halves the image smooths it
        let (steps, halves) = match self.block {
            Block::Basic => {
                let first = Conv::new(width / self.reduce_first, 3).stride(own_stride);
                (vec![first, Conv::new(outputs, 3)], 0)
            }
            Block::Bottleneck => {
                let inner = width * self.base_width / 64 * self.cardinality;
                let middle = Conv::new(inner, 3).stride(own_stride).groups(self.cardinality);
                let first = Conv::pointwise(inner / self.reduce_first);
                (vec![first, middle, Conv::pointwise(outputs)], 1)
            }
        };
        let mut y = x;
        for (index, conv) in steps.iter().enumerate() {
            let norm = child(&format!("bn{}", index + 1));
            y = b.conv_bn([&child(&format!("conv{}", index + 1)), &norm], y, *conv);
            if index + 1 < steps.len() {
                y = b.activation(&norm, FUNCTION, y);
            }
            if self.smooths && stride > 1 && index == halves {
                y = b.average_pool(&child("aa"), y, [2, 2], "valid");
            }
        }
        y = match self.attention {
            Attention::None => y,
            Attention::Squeeze(share) => {
                let width = rounded(outputs as f64 * share, 8, 0.0);
                let squeeze = Squeeze {
                    names: ["fc1", "fc2"],
                    channels: outputs,
                    width,
                    function: FUNCTION,
                    gate: "sigmoid",
                };
                b.squeeze(&child("se"), y, &squeeze)
            }
            Attention::Channels => channel_attention(b, &child("se"), y, outputs),
        };
        let shortcut = match stride > 1 || input != outputs {
            true => self.shortcut(b, &child("downsample"), x, outputs, stride),
            false => x,
        };
        let sum = b.add(&child("add"), y, shortcut);
        b.activation(path, FUNCTION, sum)
    }

    fn shortcut(
        &self,
        b: &mut Builder<'_>,
        path: &str,
        x: TensorId,
        outputs: usize,
        stride: usize,
    ) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        match self.shortcut {
            Shortcut::Convolution(size) => {
                let size = if stride == 1 { 1 } else { size };
                b.conv_bn([&child("0"), &child("1")], x, Conv::new(outputs, size).stride(stride))
            }
            Shortcut::Average => {
                let x = match stride {
                    1 => x,
                    _ => b.average_pool(&child("0"), x, [2, stride], "same"),
                };
                b.conv_bn([&child("1"), &child("2")], x, Conv::pointwise(outputs))
            }
        }
    }
}

/// A factor for each channel from the means of those beside it.
fn channel_attention(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let half = (((channels as f64).log2() + 1.0) / 2.0) as usize;
    let size = (half + (half + 1) % 2).max(3);
    let y = b.pooled(&child("avgpool"), x);
    let y = b.reshaped(&child("line"), y, &[channels as i64, 1]);
    let config = json!({"filters": 1, "kernel_size": size, "padding": "same", "use_bias": false});
    let y = b.layer(&child("conv"), "Conv1D", config, &[y]);
    let y = b.activation(&child("conv"), "sigmoid", y);
    let y = b.reshaped(&child("channels"), y, &[1, 1, channels as i64]);
    b.layer(&child("multiply"), "Multiply", json!({}), &[x, y])
}
