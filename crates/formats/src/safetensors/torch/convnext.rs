//! ConvNeXt and ConvNeXt V2. Source: Liu et al. 2022, section 2 and table 9; Woo et al. 2023, section 3.

use super::builder::Builder;
use super::modules::{Conv, divisible};
use super::row::{Library, Network, Row, both, timm};
use frostline_graph::TensorId;
use serde_json::json;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvNeXt {
    /// Blocks and channels of each stage.
    blocks: [usize; 4],
    channels: [usize; 4],
    epsilon: f64,
    /// V2: global response normalisation in the place of factors for the channels.
    responses: bool,
    stem: Stem,
    head: Head,
    /// The chance that torchvision's last block is left out; it rises from 0 block by block. timm has none unless it is asked
    /// for.
    stochastic_depth: f64,
}

#[derive(Clone, Copy, Debug)]
enum Stem {
    /// Patches of 4 x 4.
    Patches,
    /// Two convolutions of 3 x 3; whether the first has half the channels.
    Overlap { tiered: bool },
}

#[derive(Clone, Copy, Debug)]
enum Head {
    /// Normalisation of the pooled features.
    Pooled,
    /// And a hidden layer of so many units.
    Hidden(usize),
    /// Normalisation before pooling.
    First,
}

/// The patches between stages.
const BETWEEN: usize = 2;
const LAYER_SCALE: f64 = 1e-6;
const KERNEL: usize = 7;

const fn convnext(blocks: [usize; 4], width: usize, stochastic_depth: f64) -> ConvNeXt {
    ConvNeXt {
        blocks,
        channels: [width, 2 * width, 4 * width, 8 * width],
        epsilon: 1e-6,
        responses: false,
        stem: Stem::Patches,
        head: Head::Pooled,
        stochastic_depth,
    }
}

const fn small(blocks: [usize; 4], width: usize) -> ConvNeXt {
    convnext(blocks, width, 0.0)
}

impl ConvNeXt {
    const fn v2(self) -> Self {
        Self { responses: true, ..self }
    }

    const fn overlap(self, tiered: bool) -> Self {
        Self { stem: Stem::Overlap { tiered }, ..self }
    }
}

pub(super) const TABLE: &[Row<ConvNeXt>] = &[
    timm("convnext_atto", small([2, 2, 6, 2], 40)),
    timm("convnext_atto_ols", small([2, 2, 6, 2], 40).overlap(true)),
    timm("convnext_femto", small([2, 2, 6, 2], 48)),
    timm("convnext_femto_ols", small([2, 2, 6, 2], 48).overlap(true)),
    timm("convnext_pico", small([2, 2, 6, 2], 64)),
    timm("convnext_pico_ols", small([2, 2, 6, 2], 64).overlap(true)),
    timm("convnext_nano", small([2, 2, 8, 2], 80)),
    timm("convnext_nano_ols", small([2, 2, 8, 2], 80).overlap(false)),
    both("convnext_tiny", convnext([3, 3, 9, 3], 96, 0.1)),
    timm("convnext_tiny_hnf", ConvNeXt { head: Head::First, ..small([3, 3, 9, 3], 96) }),
    both("convnext_small", convnext([3, 3, 27, 3], 96, 0.4)),
    both("convnext_base", convnext([3, 3, 27, 3], 128, 0.5)),
    both("convnext_large", convnext([3, 3, 27, 3], 192, 0.5)),
    timm("convnext_large_mlp", ConvNeXt { head: Head::Hidden(1536), ..small([3, 3, 27, 3], 192) }),
    timm("convnext_xlarge", small([3, 3, 27, 3], 256)),
    timm("convnext_xxlarge", ConvNeXt { epsilon: 1e-5, ..small([3, 4, 30, 3], 384) }),
    timm("convnextv2_atto", small([2, 2, 6, 2], 40).v2()),
    timm("convnextv2_femto", small([2, 2, 6, 2], 48).v2()),
    timm("convnextv2_pico", small([2, 2, 6, 2], 64).v2()),
    timm("convnextv2_nano", small([2, 2, 8, 2], 80).v2()),
    timm("convnextv2_tiny", small([3, 3, 9, 3], 96).v2()),
    timm("convnextv2_small", small([3, 3, 27, 3], 96).v2()),
    timm("convnextv2_base", small([3, 3, 27, 3], 128).v2()),
    timm("convnextv2_large", small([3, 3, 27, 3], 192).v2()),
    timm("convnextv2_huge", small([3, 3, 27, 3], 352).v2()),
];

/// The names of a block's modules.
struct Names {
    depthwise: &'static str,
    norm: &'static str,
    expand: &'static str,
    project: &'static str,
    scale: &'static str,
}

const TORCHVISION: Names = Names {
    depthwise: "block.0",
    norm: "block.2",
    expand: "block.3",
    project: "block.5",
    scale: "layer_scale",
};
const TIMM: Names =
    Names { depthwise: "conv_dw", norm: "norm", expand: "mlp.fc1", project: "mlp.fc2", scale: "gamma" };

impl Network for ConvNeXt {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let x = b.images();
        let names = match library {
            Library::Torchvision => TORCHVISION,
            Library::Timm => TIMM,
        };
        let mut x = self.stem(b, x, library);
        let last: usize = self.blocks.iter().sum::<usize>() - 1;
        let mut number = 0;
        for (stage, (blocks, channels)) in self.blocks.into_iter().zip(self.channels).enumerate() {
            let (down, path) = match library {
                Library::Torchvision => {
                    (format!("features.{}", 2 * stage), format!("features.{}", 2 * stage + 1))
                }
                Library::Timm => (format!("stages.{stage}.downsample"), format!("stages.{stage}.blocks")),
            };
            if stage > 0 {
                x = b.layer_norm(&format!("{down}.0"), x, self.epsilon);
                x = b.conv(&format!("{down}.1"), x, Conv::patches(channels, BETWEEN));
            }
            for index in 0..blocks {
                let rate = match library {
                    Library::Torchvision => self.stochastic_depth * number as f64 / last as f64,
                    Library::Timm => 0.0,
                };
                x = self.block(b, &format!("{path}.{index}"), &names, channels, rate, x);
                number += 1;
            }
        }
        self.head(b, x, library)
    }
}

impl ConvNeXt {
    fn stem(&self, b: &mut Builder<'_>, x: TensorId, library: Library) -> TensorId {
        let [channels, ..] = self.channels;
        let names = match library {
            Library::Torchvision => ["features.0.0", "features.0.1"],
            Library::Timm => ["stem.0", "stem.1"],
        };
        match self.stem {
            Stem::Patches => {
                let x = b.conv(names[0], x, Conv::patches(channels, 4));
                b.layer_norm(names[1], x, self.epsilon)
            }
            Stem::Overlap { tiered } => {
                let first = if tiered { divisible((channels / 2) as f64) } else { channels };
                let x = b.conv("stem.0", x, Conv::new(first, 3).stride(2).bias());
                let x = b.conv("stem.1", x, Conv::new(channels, 3).stride(2).bias());
                b.layer_norm("stem.2", x, self.epsilon)
            }
        }
    }

    fn block(
        &self,
        b: &mut Builder<'_>,
        path: &str,
        names: &Names,
        channels: usize,
        rate: f64,
        x: TensorId,
    ) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        let y = b.depthwise_with_bias(&child(names.depthwise), x, KERNEL);
        let y = b.layer_norm(&child(names.norm), y, self.epsilon);
        let y = b.linear(&child(names.expand), y, 4 * channels);
        let y = b.activation(&child(names.expand), "gelu", y);
        let y = if self.responses { responses(b, &child("mlp.grn"), y) } else { y };
        let y = b.linear(&child(names.project), y, channels);
        let y = match self.responses {
            true => y,
            false => b.layer_scale(&child(names.scale), y, channels, LAYER_SCALE),
        };
        let y = b.stochastic_depth(&child("stochastic_depth"), y, rate);
        b.add(&child("add"), x, y)
    }

    fn head(&self, b: &mut Builder<'_>, x: TensorId, library: Library) -> TensorId {
        let (norm, classifier) = match library {
            Library::Torchvision => ("classifier.0", "classifier.2"),
            Library::Timm => ("head.norm", "head.fc"),
        };
        let x = match self.head {
            Head::First => b.layer_norm("norm_pre", x, self.epsilon),
            Head::Pooled | Head::Hidden(_) => x,
        };
        let mut x = b.pooled("avgpool", x);
        if b.units(norm).is_some() {
            x = b.layer_norm(norm, x, self.epsilon);
        }
        if let Head::Hidden(units) = self.head
            && b.units("head.pre_logits.fc").is_some()
        {
            x = b.linear("head.pre_logits.fc", x, units);
            x = b.activation("head.pre_logits.fc", "gelu", x);
        }
        b.classifier(classifier, x)
    }
}

/// Global response normalisation: `x + bias + weight · x · n`, where `n` is the norm of a channel over the image by the mean of
/// all channels' norms. A depthwise convolution of 1 x 1 has weight and bias.
fn responses(b: &mut Builder<'_>, path: &str, x: TensorId) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let over = |axis| json!({"axis": axis, "keepdims": true});
    let squares = b.operation(&child("square"), "Square", json!({}), &[x], &[]);
    let sums = b.operation(&child("sum"), "Sum", over(json!([1, 2])), &[squares], &[]);
    let norms = b.operation(&child("norm"), "Sqrt", json!({}), &[sums], &[]);
    let mean = b.operation(&child("mean"), "Mean", over(json!(-1)), &[norms], &[]);
    let mean = b.operation(&child("epsilon"), "Add", json!({}), &[mean], &[json!(1e-6)]);
    let share = b.operation(&child("divide"), "Divide", json!({}), &[norms, mean], &[]);
    let y = b.layer(&child("multiply"), "Multiply", json!({}), &[x, share]);
    let y = b.depthwise_with_bias(path, y, 1);
    b.add(&child("add"), x, y)
}
