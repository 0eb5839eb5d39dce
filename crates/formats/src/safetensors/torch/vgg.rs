//! VGG and AlexNet. Source: Simonyan and Zisserman 2014, table 1; Krizhevsky 2014.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, both, torchvision};
use frostline_graph::TensorId;
use serde_json::json;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vgg {
    /// Convolutions in each stage.
    layers: [usize; 5],
    norm: bool,
}

const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];
const HIDDEN: usize = 4096;
const FUNCTION: &str = "relu";
/// The only size of images whose features the fully connected layers read: torchvision averages others to it first, with
/// windows that depend on the size.
const IMAGE_SIZE: [usize; 2] = [224, 224];
/// Of torchvision's hidden layers; timm has less.
const DROPOUT: f64 = 0.5;
const TIMM_DROPOUT: f64 = 0.2;

const fn vgg(layers: [usize; 5]) -> Vgg {
    Vgg { layers, norm: false }
}

const fn vgg_bn(layers: [usize; 5]) -> Vgg {
    Vgg { layers, norm: true }
}

pub(super) const TABLE: &[Row<Vgg>] = &[
    both("vgg11", vgg([1, 1, 2, 2, 2])),
    both("vgg11_bn", vgg_bn([1, 1, 2, 2, 2])),
    both("vgg13", vgg([2, 2, 2, 2, 2])),
    both("vgg13_bn", vgg_bn([2, 2, 2, 2, 2])),
    both("vgg16", vgg([2, 2, 3, 3, 3])),
    both("vgg16_bn", vgg_bn([2, 2, 3, 3, 3])),
    both("vgg19", vgg([2, 2, 4, 4, 4])),
    both("vgg19_bn", vgg_bn([2, 2, 4, 4, 4])),
];

/// The modules of the two hidden layers, of their dropout, and the classifier.
struct Names {
    hidden: [&'static str; 2],
    dropout: [&'static str; 2],
    classifier: &'static str,
}

impl Network for Vgg {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let (names, rates) = match library {
            Library::Torchvision => (
                Names {
                    hidden: ["classifier.0", "classifier.3"],
                    dropout: ["classifier.2", "classifier.5"],
                    classifier: "classifier.6",
                },
                [DROPOUT; 2],
            ),
            Library::Timm => (
                Names {
                    hidden: ["pre_logits.fc1", "pre_logits.fc2"],
                    dropout: ["pre_logits.drop", "head.drop"],
                    classifier: "head.fc",
                },
                [TIMM_DROPOUT, 0.0],
            ),
        };
        let mut x = images(b, names.hidden[0]);
        let mut number = 0;
        for (layers, channels) in self.layers.into_iter().zip(CHANNELS) {
            for _ in 0..layers {
                let name = format!("features.{number}");
                x = b.conv(&name, x, Conv::new(channels, 3).bias());
                number += 1;
                if self.norm {
                    x = b.batch_norm(&format!("features.{number}"), x);
                    number += 1;
                }
                x = b.activation(&name, FUNCTION, x);
                number += 1;
            }
            x = b.max_pool_valid(&format!("features.{number}"), x, 2, 2);
            number += 1;
        }
        top(b, x, &names, rates, 7)
    }
}

/// Of any size, if the fully connected layers are not there.
fn images(b: &mut Builder<'_>, hidden: &str) -> TensorId {
    match b.units(hidden) {
        Some(_) => b.images_of(IMAGE_SIZE),
        None => b.images(),
    }
}

/// The hidden layers, of which the first is a convolution over the whole image, and the classifier; without them the pooled
/// features.
fn top(b: &mut Builder<'_>, x: TensorId, names: &Names, rates: [f64; 2], size: usize) -> TensorId {
    if b.units(names.hidden[0]).is_none() {
        return b.pooled("avgpool", x);
    }
    let mut x = b.conv(names.hidden[0], x, Conv::new(HIDDEN, size).bias().valid());
    x = b.activation(names.hidden[0], FUNCTION, x);
    x = b.layer("flatten", "Flatten", json!({}), &[x]);
    x = b.dropout(names.dropout[0], x, rates[0]);
    x = b.linear(names.hidden[1], x, HIDDEN);
    x = b.activation(names.hidden[1], FUNCTION, x);
    b.dropped_classifier([names.dropout[1], names.classifier], x, rates[1])
}

/// AlexNet, as torchvision has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AlexNet;

pub(super) const ALEXNETS: &[Row<AlexNet>] = &[torchvision("alexnet", AlexNet)];

impl Network for AlexNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let hidden = ["classifier.1", "classifier.4"];
        let x = images(b, hidden[0]);
        let padded = b.zeros("features.0", x, 2);
        let mut x = b.conv("features.0", padded, Conv::new(64, 11).stride(4).bias().valid());
        x = b.activation("features.0", FUNCTION, x);
        x = b.max_pool_valid("features.2", x, 3, 2);
        for (number, channels, kernel, pools) in
            [(3, 192, 5, true), (6, 384, 3, false), (8, 256, 3, false), (10, 256, 3, true)]
        {
            let name = format!("features.{number}");
            x = b.conv(&name, x, Conv::new(channels, kernel).bias());
            x = b.activation(&name, FUNCTION, x);
            if pools {
                x = b.max_pool_valid(&format!("features.{}", number + 2), x, 3, 2);
            }
        }
        if b.units(hidden[0]).is_none() {
            return b.pooled("avgpool", x);
        }
        x = b.dropout("classifier.0", x, DROPOUT);
        x = b.conv(hidden[0], x, Conv::new(HIDDEN, 6).bias().valid());
        x = b.activation(hidden[0], FUNCTION, x);
        x = b.layer("flatten", "Flatten", json!({}), &[x]);
        x = b.dropout("classifier.3", x, DROPOUT);
        x = b.linear(hidden[1], x, HIDDEN);
        x = b.activation(hidden[1], FUNCTION, x);
        b.classifier("classifier.6", x)
    }
}
