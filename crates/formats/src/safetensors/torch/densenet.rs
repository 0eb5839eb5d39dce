//! DenseNet. Source: Huang et al. 2016, table 1.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, both, timm};
use frostline_graph::TensorId;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct DenseNet {
    /// What each layer adds.
    growth: usize,
    /// The channels below the first block.
    stem: usize,
    /// Whether the stem is three convolutions of 3 x 3 in the place of one of 7 x 7.
    deep_stem: bool,
    /// Layers in each block.
    layers: [usize; 4],
}

const FUNCTION: &str = "relu";

const fn densenet(growth: usize, layers: [usize; 4]) -> DenseNet {
    DenseNet { growth, stem: 2 * growth, deep_stem: false, layers }
}

pub(super) const TABLE: &[Row<DenseNet>] = &[
    both("densenet121", densenet(32, [6, 12, 24, 16])),
    both("densenet161", densenet(48, [6, 12, 36, 24])),
    both("densenet169", densenet(32, [6, 12, 32, 32])),
    both("densenet201", densenet(32, [6, 12, 48, 32])),
    timm("densenet264d", DenseNet { deep_stem: true, ..densenet(48, [6, 12, 64, 48]) }),
];

impl Network for DenseNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let x = self.stem(b, x);
        let mut x = b.max_pool("features.pool0", x, 3, 2);
        let mut channels = self.stem;
        for (block, layers) in self.layers.into_iter().enumerate() {
            for layer in 0..layers {
                let path = format!("features.denseblock{}.denselayer{}", block + 1, layer + 1);
                x = self.layer(b, &path, x);
            }
            channels += layers * self.growth;
            if block + 1 < self.layers.len() {
                channels /= 2;
                x = transition(b, &format!("features.transition{}", block + 1), x, channels);
            }
        }
        let x = b.batch_norm("features.norm5", x);
        let x = b.activation("features.norm5", FUNCTION, x);
        let x = b.pooled("avgpool", x);
        b.classifier("classifier", x)
    }
}

impl DenseNet {
    fn stem(&self, b: &mut Builder<'_>, x: TensorId) -> TensorId {
        let mut names = (0..3).map(|at| [format!("features.conv{at}"), format!("features.norm{at}")]);
        let mut step = |b: &mut Builder<'_>, x: TensorId, conv: Conv| match names.next() {
            Some([conv_name, norm]) => b.conv_bn_act([&conv_name, &norm], x, conv, FUNCTION),
            None => x,
        };
        if !self.deep_stem {
            return step(b, x, Conv::new(self.stem, 7).stride(2));
        }
        let x = step(b, x, Conv::new(self.growth, 3).stride(2));
        let x = step(b, x, Conv::new(self.growth, 3));
        step(b, x, Conv::new(self.stem, 3))
    }

    /// All channels so far, and what is made of them.
    fn layer(&self, b: &mut Builder<'_>, path: &str, x: TensorId) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        let y = b.batch_norm(&child("norm1"), x);
        let y = b.activation(&child("norm1"), FUNCTION, y);
        let y =
            b.conv_bn_act([&child("conv1"), &child("norm2")], y, Conv::pointwise(4 * self.growth), FUNCTION);
        let y = b.conv(&child("conv2"), y, Conv::new(self.growth, 3));
        b.joined(&child("concat"), &[x, y], -1)
    }
}

/// Half the channels and half the size.
fn transition(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let x = b.batch_norm(&child("norm"), x);
    let x = b.activation(&child("norm"), FUNCTION, x);
    let x = b.conv(&child("conv"), x, Conv::pointwise(channels));
    b.average_pool(&child("pool"), x, [2, 2], "valid")
}
