//! ConvNeXt-Tiny. Source: Liu et al. 2022, section 2 and table 9.

use super::Library;
use super::builder::{BatchNorm, Builder};
use frostline_graph::{Graph, Result, TensorId};
use serde_json::json;

/// Blocks and channels of each stage.
const STAGES: [(usize, usize); 4] = [(3, 96), (3, 192), (9, 384), (3, 768)];
/// The patches that the image is cut into, and those between stages.
const STEM: usize = 4;
const BETWEEN: usize = 2;
const EPSILON: f64 = 1e-6;
const LAYER_SCALE: f64 = 1e-6;
/// The chance that torchvision's last block is left out; it rises from 0 block by block. timm has none unless it is asked
/// for.
const STOCHASTIC_DEPTH: f64 = 0.1;

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

/// The graph. `units`: the outputs of a layer, where the file has it.
pub(super) fn build(name: &str, library: Library, units: impl Fn(&str) -> Option<usize>) -> Result<Graph> {
    let (mut b, x) = Builder::new(name, BatchNorm::DEFAULT);
    let (stem, names) = match library {
        Library::Torchvision => (["features.0.0", "features.0.1"], TORCHVISION),
        Library::Timm => (["stem.0", "stem.1"], TIMM),
    };
    let [(_, first), ..] = STAGES;
    let x = b.patches(stem[0], x, first, STEM);
    let mut x = b.layer_norm(stem[1], x, EPSILON);
    let last: usize = STAGES.iter().map(|(blocks, _)| blocks).sum::<usize>() - 1;
    let mut number = 0;
    for (stage, (blocks, channels)) in STAGES.into_iter().enumerate() {
        let (down, path) = match library {
            Library::Torchvision => {
                (format!("features.{}", 2 * stage), format!("features.{}", 2 * stage + 1))
            }
            Library::Timm => (format!("stages.{stage}.downsample"), format!("stages.{stage}.blocks")),
        };
        if stage > 0 {
            x = b.layer_norm(&format!("{down}.0"), x, EPSILON);
            x = b.patches(&format!("{down}.1"), x, channels, BETWEEN);
        }
        for index in 0..blocks {
            let rate = match library {
                Library::Torchvision => STOCHASTIC_DEPTH * number as f64 / last as f64,
                Library::Timm => 0.0,
            };
            x = block(&mut b, &format!("{path}.{index}"), &names, channels, rate, x);
            number += 1;
        }
    }
    let mut x = b.pooled("avgpool", x);
    let (norm, classifier) = match library {
        Library::Torchvision => ("classifier.0", "classifier.2"),
        Library::Timm => ("head.norm", "head.fc"),
    };
    if units(norm).is_some() {
        x = b.layer_norm(norm, x, EPSILON);
    }
    if let Some(classes) = units(classifier) {
        x = b.linear(classifier, x, classes);
    }
    b.finish(x)
}

fn block(b: &mut Builder, path: &str, names: &Names, channels: usize, rate: f64, x: TensorId) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let y = b.depthwise_with_bias(&child(names.depthwise), x, 7);
    let y = b.layer_norm(&child(names.norm), y, EPSILON);
    let y = b.linear(&child(names.expand), y, 4 * channels);
    let y = b.activation(&child(names.expand), "gelu", y);
    let y = b.linear(&child(names.project), y, channels);
    let scale = json!({"init_values": LAYER_SCALE, "projection_dim": channels});
    let y = b.layer(&child(names.scale), "LayerScale", scale, &[y]);
    let y = b.stochastic_depth(&child("stochastic_depth"), y, rate);
    b.add(&child("add"), x, y)
}
