//! Networks that mix patches without attention: MLP-Mixer, ResMLP, ConvMixer. Source: Tolstikhin et al. 2021; Touvron et al.
//! 2021; Trockman and Kolter 2022.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, timm};
use frostline_graph::TensorId;
use serde_json::json;

/// MLP-Mixer and ResMLP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixer {
    patch: usize,
    blocks: usize,
    channels: usize,
    /// ResMLP: patches are mixed by one linear layer, and factors and summands stand for normalisation.
    linear: bool,
}

/// The side of the images: the layers over patches know how many there are.
const IMAGE: usize = 224;
const EPSILON: f64 = 1e-6;
const LAYER_SCALE: f64 = 1e-4;

const fn mixer(patch: usize, blocks: usize, channels: usize) -> Mixer {
    Mixer { patch, blocks, channels, linear: false }
}

const fn resmlp(patch: usize, blocks: usize, channels: usize) -> Mixer {
    Mixer { linear: true, ..mixer(patch, blocks, channels) }
}

pub(super) const TABLE: &[Row<Mixer>] = &[
    timm("mixer_s32_224", mixer(32, 8, 512)),
    timm("mixer_s16_224", mixer(16, 8, 512)),
    timm("mixer_b32_224", mixer(32, 12, 768)),
    timm("mixer_b16_224", mixer(16, 12, 768)),
    timm("mixer_l32_224", mixer(32, 24, 1024)),
    timm("mixer_l16_224", mixer(16, 24, 1024)),
    timm("resmlp_12_224", resmlp(16, 12, 384)),
    timm("resmlp_24_224", resmlp(16, 24, 384)),
    timm("resmlp_36_224", resmlp(16, 36, 384)),
    timm("resmlp_big_24_224", resmlp(8, 24, 768)),
];

impl Network for Mixer {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images_of([IMAGE; 2]);
        let x = b.conv("stem.proj", x, Conv::patches(self.channels, self.patch));
        let mut x = b.reshaped("patches", x, &[-1, self.channels as i64]);
        for index in 0..self.blocks {
            x = self.block(b, &format!("blocks.{index}"), x);
        }
        let x = self.norm(b, "norm", x);
        let x = b.layer("mean", "GlobalAveragePooling1D", json!({}), &[x]);
        b.classifier("head", x)
    }
}

impl Mixer {
    fn block(&self, b: &mut Builder<'_>, path: &str, x: TensorId) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        let patches = (IMAGE / self.patch).pow(2);
        let y = self.norm(b, &child("norm1"), x);
        let y = b.permuted(&child("patches_last"), y, &[2, 1]);
        let y = match self.linear {
            true => b.linear(&child("linear_tokens"), y, patches),
            false => mlp(b, &child("mlp_tokens"), y, [self.channels / 2, patches]),
        };
        let y = b.permuted(&child("channels_last"), y, &[2, 1]);
        let y = self.scaled(b, &child("ls1"), y);
        let x = b.add(&child("add1"), x, y);
        let y = self.norm(b, &child("norm2"), x);
        let y = mlp(b, &child("mlp_channels"), y, [4 * self.channels, self.channels]);
        let y = self.scaled(b, &child("ls2"), y);
        b.add(&child("add2"), x, y)
    }

    fn norm(&self, b: &mut Builder<'_>, path: &str, x: TensorId) -> TensorId {
        if !self.linear {
            return b.layer_norm(path, x, EPSILON);
        }
        let own = self.channels;
        let y = b.layer_scale(&format!("{path}.alpha"), x, own, 1.0);
        let beta = b.parameter(&format!("{path}.beta"), (x, 3), &[1, 1, own], &[1, own]);
        b.operation(&format!("{path}.add"), "Add", json!({}), &[y, beta], &[])
    }

    fn scaled(&self, b: &mut Builder<'_>, name: &str, x: TensorId) -> TensorId {
        if self.linear { b.layer_scale(name, x, self.channels, LAYER_SCALE) } else { x }
    }
}

fn mlp(b: &mut Builder<'_>, path: &str, x: TensorId, [hidden, output]: [usize; 2]) -> TensorId {
    let expand = format!("{path}.fc1");
    let x = b.linear(&expand, x, hidden);
    let x = b.activation(&expand, "gelu", x);
    b.linear(&format!("{path}.fc2"), x, output)
}

/// ConvMixer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvMixer {
    channels: usize,
    depth: usize,
    kernel: usize,
    patch: usize,
    function: &'static str,
}

pub(super) const CONV_MIXERS: &[Row<ConvMixer>] = &[
    timm("convmixer_768_32", ConvMixer { channels: 768, depth: 32, kernel: 7, patch: 7, function: "relu" }),
    timm(
        "convmixer_1024_20_ks9_p14",
        ConvMixer { channels: 1024, depth: 20, kernel: 9, patch: 14, function: "gelu" },
    ),
    timm("convmixer_1536_20", ConvMixer { channels: 1536, depth: 20, kernel: 9, patch: 7, function: "gelu" }),
];

impl Network for ConvMixer {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let x = b.conv("stem.0", x, Conv::patches(self.channels, self.patch));
        let mut x = self.activated(b, "stem.0", "stem.2", x);
        for index in 0..self.depth {
            let child = |name: &str| format!("blocks.{index}.{name}");
            let y = b.depthwise_with_bias(&child("0.fn.0"), x, self.kernel);
            let y = self.activated(b, &child("0.fn.0"), &child("0.fn.2"), y);
            let y = b.add(&child("add"), x, y);
            let y = b.conv(&child("1"), y, Conv::pointwise(self.channels).bias());
            x = self.activated(b, &child("1"), &child("3"), y);
        }
        let x = b.pooled("avgpool", x);
        b.classifier("head", x)
    }
}

impl ConvMixer {
    /// The activation stands before the normalisation.
    fn activated(&self, b: &mut Builder<'_>, name: &str, norm: &str, x: TensorId) -> TensorId {
        let x = b.activation(name, self.function, x);
        b.batch_norm(norm, x)
    }
}
