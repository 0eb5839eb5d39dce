//! GoogLeNet and Inception V3. Source: Szegedy et al. 2014, table 1; Szegedy et al. 2015, table 1.

use super::builder::Builder;
use super::modules::{BatchNorm, Conv};
use super::row::{Library, Network, Row, both, torchvision};
use frostline_graph::TensorId;

const FUNCTION: &str = "relu";
const DROPOUT: f64 = 0.2;
const V3_DROPOUT: f64 = 0.5;
const AUXILIARY: &str = "only training uses the auxiliary classifiers";

/// A convolution with its normalisation and activation, as modules of torchvision call them.
fn basic(b: &mut Builder<'_>, path: &str, x: TensorId, conv: Conv) -> TensorId {
    let names = [format!("{path}.conv"), format!("{path}.bn")];
    b.conv_bn_act([&names[0], &names[1]], x, conv, FUNCTION)
}

/// GoogLeNet, as torchvision has it: with normalisation, and 3 x 3 where the paper has 5 x 5.
#[derive(Clone, Copy, Debug)]
pub(super) struct GoogLeNet;

pub(super) const GOOGLENETS: &[Row<GoogLeNet>] = &[torchvision("googlenet", GoogLeNet)];

/// The name of a block, and the channels of its branches.
type Block = (&'static str, [usize; 6]);

const THIRD: &[Block] =
    &[("inception3a", [64, 96, 128, 16, 32, 32]), ("inception3b", [128, 128, 192, 32, 96, 64])];
const FOURTH: &[Block] = &[
    ("inception4a", [192, 96, 208, 16, 48, 64]),
    ("inception4b", [160, 112, 224, 24, 64, 64]),
    ("inception4c", [128, 128, 256, 24, 64, 64]),
    ("inception4d", [112, 144, 288, 32, 64, 64]),
    ("inception4e", [256, 160, 320, 32, 128, 128]),
];
const FIFTH: &[Block] =
    &[("inception5a", [256, 160, 320, 32, 128, 128]), ("inception5b", [384, 192, 384, 48, 128, 128])];

impl Network for GoogLeNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        b.norm = BatchNorm::TENSORFLOW;
        let x = b.images();
        let x = basic(b, "conv1", x, Conv::new(64, 7).stride(2));
        let x = b.max_pool_ceil("maxpool1", x, 3);
        let x = basic(b, "conv2", x, Conv::pointwise(64));
        let x = basic(b, "conv3", x, Conv::new(192, 3));
        let mut x = b.max_pool_ceil("maxpool2", x, 3);
        for (blocks, pool) in [(THIRD, Some(("maxpool3", 3))), (FOURTH, Some(("maxpool4", 2))), (FIFTH, None)]
        {
            for (path, channels) in blocks {
                x = block(b, path, x, *channels);
            }
            if let Some((name, size)) = pool {
                x = b.max_pool_ceil(name, x, size);
            }
        }
        let x = b.pooled("avgpool", x);
        b.dropped_classifier(["dropout", "fc"], x, DROPOUT)
    }

    fn only_trained(&self) -> &'static [(&'static str, &'static str)] {
        &[("aux1.", AUXILIARY), ("aux2.", AUXILIARY)]
    }
}

fn block(b: &mut Builder<'_>, path: &str, x: TensorId, channels: [usize; 6]) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let [one, before_three, three, before_five, five, pooled] = channels;
    let first = basic(b, &child("branch1"), x, Conv::pointwise(one));
    let second = basic(b, &child("branch2.0"), x, Conv::pointwise(before_three));
    let second = basic(b, &child("branch2.1"), second, Conv::new(three, 3));
    let third = basic(b, &child("branch3.0"), x, Conv::pointwise(before_five));
    let third = basic(b, &child("branch3.1"), third, Conv::new(five, 3));
    let fourth = b.max_pool(&child("branch4.0"), x, 3, 1);
    let fourth = basic(b, &child("branch4.1"), fourth, Conv::pointwise(pooled));
    b.joined(&child("concat"), &[first, second, third, fourth], -1)
}

/// Inception V3.
#[derive(Clone, Copy, Debug)]
pub(super) struct InceptionV3;

pub(super) const TABLE: &[Row<InceptionV3>] = &[both("inception_v3", InceptionV3)];

/// A convolution of a branch: the last part of its name, its channels, height and width, and whether it halves the image.
type Step = (&'static str, usize, [usize; 2], bool);

const fn step(name: &'static str, channels: usize, kernel: [usize; 2]) -> Step {
    (name, channels, kernel, false)
}

/// Without padding, with a stride.
const fn half(name: &'static str, channels: usize) -> Step {
    (name, channels, [3, 3], true)
}

impl Network for InceptionV3 {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        b.norm = BatchNorm::TENSORFLOW;
        let x = b.images();
        let x = basic(b, "Conv2d_1a_3x3", x, Conv::new(32, 3).stride(2).valid());
        let x = basic(b, "Conv2d_2a_3x3", x, Conv::new(32, 3).valid());
        let x = basic(b, "Conv2d_2b_3x3", x, Conv::new(64, 3));
        let x = b.max_pool_valid("maxpool1", x, 3, 2);
        let x = basic(b, "Conv2d_3b_1x1", x, Conv::pointwise(80));
        let x = basic(b, "Conv2d_4a_3x3", x, Conv::new(192, 3).valid());
        let mut x = b.max_pool_valid("maxpool2", x, 3, 2);
        for (path, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            x = block_a(b, path, x, pooled);
        }
        let halving: &[&[Step]] = &[
            &[half("branch3x3", 384)],
            &[
                step("branch3x3dbl_1", 64, [1, 1]),
                step("branch3x3dbl_2", 96, [3, 3]),
                half("branch3x3dbl_3", 96),
            ],
        ];
        x = halved(b, "Mixed_6a", x, halving);
        for (path, channels) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            x = block_c(b, path, x, channels);
        }
        let halving: &[&[Step]] = &[
            &[step("branch3x3_1", 192, [1, 1]), half("branch3x3_2", 320)],
            &[
                step("branch7x7x3_1", 192, [1, 1]),
                step("branch7x7x3_2", 192, [1, 7]),
                step("branch7x7x3_3", 192, [7, 1]),
                half("branch7x7x3_4", 192),
            ],
        ];
        x = halved(b, "Mixed_7a", x, halving);
        for path in ["Mixed_7b", "Mixed_7c"] {
            x = block_e(b, path, x);
        }
        let x = b.pooled("avgpool", x);
        let rate = if library == Library::Torchvision { V3_DROPOUT } else { 0.0 };
        b.dropped_classifier(["dropout", "fc"], x, rate)
    }

    fn only_trained(&self) -> &'static [(&'static str, &'static str)] {
        &[("AuxLogits.", AUXILIARY)]
    }
}

/// Convolutions behind each other.
fn branch(b: &mut Builder<'_>, path: &str, x: TensorId, steps: &[Step]) -> TensorId {
    steps.iter().fold(x, |x, (name, channels, kernel, halves)| {
        let conv = Conv { kernel: *kernel, ..Conv::new(*channels, 1) };
        let conv = if *halves { conv.stride(2).valid() } else { conv };
        basic(b, &format!("{path}.{name}"), x, conv)
    })
}

/// The means of 3 x 3 places, with zeros around the image, and a convolution.
fn pooled(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let name = format!("{path}.avgpool");
    let x = b.zeros(&name, x, 1);
    let x = b.average_pool(&name, x, [3, 1], "valid");
    basic(b, &format!("{path}.branch_pool"), x, Conv::pointwise(channels))
}

fn block_a(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let first = branch(b, path, x, &[step("branch1x1", 64, [1, 1])]);
    let second = branch(b, path, x, &[step("branch5x5_1", 48, [1, 1]), step("branch5x5_2", 64, [5, 5])]);
    let third = [
        step("branch3x3dbl_1", 64, [1, 1]),
        step("branch3x3dbl_2", 96, [3, 3]),
        step("branch3x3dbl_3", 96, [3, 3]),
    ];
    let third = branch(b, path, x, &third);
    let fourth = pooled(b, path, x, channels);
    b.joined(&format!("{path}.concat"), &[first, second, third, fourth], -1)
}

fn block_c(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let first = branch(b, path, x, &[step("branch1x1", 192, [1, 1])]);
    let second = [
        step("branch7x7_1", channels, [1, 1]),
        step("branch7x7_2", channels, [1, 7]),
        step("branch7x7_3", 192, [7, 1]),
    ];
    let second = branch(b, path, x, &second);
    let third = [
        step("branch7x7dbl_1", channels, [1, 1]),
        step("branch7x7dbl_2", channels, [7, 1]),
        step("branch7x7dbl_3", channels, [1, 7]),
        step("branch7x7dbl_4", channels, [7, 1]),
        step("branch7x7dbl_5", 192, [1, 7]),
    ];
    let third = branch(b, path, x, &third);
    let fourth = pooled(b, path, x, 192);
    b.joined(&format!("{path}.concat"), &[first, second, third, fourth], -1)
}

fn block_e(b: &mut Builder<'_>, path: &str, x: TensorId) -> TensorId {
    let first = branch(b, path, x, &[step("branch1x1", 320, [1, 1])]);
    let second = branch(b, path, x, &[step("branch3x3_1", 384, [1, 1])]);
    let second = both_ways(b, path, second, ["branch3x3_2a", "branch3x3_2b"]);
    let third =
        branch(b, path, x, &[step("branch3x3dbl_1", 448, [1, 1]), step("branch3x3dbl_2", 384, [3, 3])]);
    let third = both_ways(b, path, third, ["branch3x3dbl_3a", "branch3x3dbl_3b"]);
    let fourth = pooled(b, path, x, 192);
    b.joined(&format!("{path}.concat"), &[first, second, third, fourth], -1)
}

/// 1 x 3 and 3 x 1 beside each other.
fn both_ways(b: &mut Builder<'_>, path: &str, x: TensorId, [wide, high]: [&'static str; 2]) -> TensorId {
    let left = branch(b, path, x, &[step(wide, 384, [1, 3])]);
    let right = branch(b, path, x, &[step(high, 384, [3, 1])]);
    b.joined(&format!("{path}.{wide}.concat"), &[left, right], -1)
}

/// Branches that halve the image, and what is largest of 3 x 3 places.
fn halved(b: &mut Builder<'_>, path: &str, x: TensorId, branches: &[&[Step]]) -> TensorId {
    let mut parts: Vec<TensorId> = branches.iter().map(|steps| branch(b, path, x, steps)).collect();
    parts.push(b.max_pool_valid(&format!("{path}.maxpool"), x, 3, 2));
    b.joined(&format!("{path}.concat"), &parts, -1)
}
