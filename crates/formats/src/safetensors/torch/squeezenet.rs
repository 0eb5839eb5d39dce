//! SqueezeNet. Source: Iandola et al. 2016, table 1.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, torchvision};
use frostline_graph::TensorId;

/// The modules behind each other, with torchvision's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqueezeNet {
    /// Channels and size of the first convolution.
    stem: [usize; 2],
    modules: &'static [Module],
}

#[derive(Clone, Copy, Debug)]
enum Module {
    Pool,
    /// Channels between, and of each of the two halves that come out.
    Fire(usize, usize),
}

use Module::{Fire, Pool};

const FUNCTION: &str = "relu";
const DROPOUT: f64 = 0.5;
/// The modules before the first of the table: the convolution and its activation.
const FIRST: usize = 2;

pub(super) const TABLE: &[Row<SqueezeNet>] = &[
    torchvision(
        "squeezenet1_0",
        SqueezeNet {
            stem: [96, 7],
            modules: &[
                Pool,
                Fire(16, 64),
                Fire(16, 64),
                Fire(32, 128),
                Pool,
                Fire(32, 128),
                Fire(48, 192),
                Fire(48, 192),
                Fire(64, 256),
                Pool,
                Fire(64, 256),
            ],
        },
    ),
    torchvision(
        "squeezenet1_1",
        SqueezeNet {
            stem: [64, 3],
            modules: &[
                Pool,
                Fire(16, 64),
                Fire(16, 64),
                Pool,
                Fire(32, 128),
                Fire(32, 128),
                Pool,
                Fire(48, 192),
                Fire(48, 192),
                Fire(64, 256),
                Fire(64, 256),
            ],
        },
    ),
];

impl Network for SqueezeNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let [channels, size] = self.stem;
        let mut x = activated(b, "features.0", x, Conv::new(channels, size).stride(2).valid());
        for (number, module) in self.modules.iter().enumerate() {
            let path = format!("features.{}", number + FIRST);
            x = match module {
                Pool => b.max_pool_ceil(&path, x, 3),
                Fire(between, half) => fire(b, &path, x, *between, *half),
            };
        }
        // the classifier is a convolution, and its outputs have an activation before they are averaged
        match b.units("classifier.1") {
            Some(classes) => {
                x = b.dropout("classifier.0", x, DROPOUT);
                x = activated(b, "classifier.1", x, Conv::pointwise(classes));
                b.pooled("classifier.3", x)
            }
            None => b.pooled("avgpool", x),
        }
    }
}

fn fire(b: &mut Builder<'_>, path: &str, x: TensorId, between: usize, half: usize) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let x = activated(b, &child("squeeze"), x, Conv::pointwise(between));
    let small = activated(b, &child("expand1x1"), x, Conv::pointwise(half));
    let large = activated(b, &child("expand3x3"), x, Conv::new(half, 3));
    b.joined(&child("concat"), &[small, large], -1)
}

fn activated(b: &mut Builder<'_>, name: &str, x: TensorId, conv: Conv) -> TensorId {
    let x = b.conv(name, x, conv.bias());
    b.activation(name, FUNCTION, x)
}
