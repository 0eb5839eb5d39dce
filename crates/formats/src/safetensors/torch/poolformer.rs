//! PoolFormer. Source: Yu et al. 2022, section 3.

use super::builder::Builder;
use super::modules::Conv;
use super::row::{Library, Network, Row, timm};
use frostline_graph::TensorId;
use serde_json::json;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolFormer {
    depths: [usize; 4],
    channels: [usize; 4],
}

const LAYER_SCALE: f64 = 1e-5;
const EPSILON: f64 = 1e-5;
/// Of the normalisation of the pooled features.
const HEAD_EPSILON: f64 = 1e-6;
const SMALL: [usize; 4] = [64, 128, 320, 512];
const MEDIUM: [usize; 4] = [96, 192, 384, 768];

const fn poolformer(depths: [usize; 4], channels: [usize; 4]) -> PoolFormer {
    PoolFormer { depths, channels }
}

pub(super) const TABLE: &[Row<PoolFormer>] = &[
    timm("poolformer_s12", poolformer([2, 2, 6, 2], SMALL)),
    timm("poolformer_s24", poolformer([4, 4, 12, 4], SMALL)),
    timm("poolformer_s36", poolformer([6, 6, 18, 6], SMALL)),
    timm("poolformer_m36", poolformer([6, 6, 18, 6], MEDIUM)),
    timm("poolformer_m48", poolformer([8, 8, 24, 8], MEDIUM)),
];

impl Network for PoolFormer {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let padded = b.zeros("stem.conv", x, 2);
        let mut x = b.conv("stem.conv", padded, Conv::new(self.channels[0], 7).stride(4).bias().valid());
        for (stage, (depth, channels)) in self.depths.into_iter().zip(self.channels).enumerate() {
            if stage > 0 {
                let name = format!("stages.{stage}.downsample.conv");
                x = b.conv(&name, x, Conv::new(channels, 3).stride(2).bias());
            }
            for index in 0..depth {
                x = block(b, &format!("stages.{stage}.blocks.{index}"), x, channels);
            }
        }
        let mut x = b.pooled("avgpool", x);
        if b.units("head.norm").is_some() {
            x = b.layer_norm("head.norm", x, HEAD_EPSILON);
        }
        b.classifier("head.fc", x)
    }
}

fn block(b: &mut Builder<'_>, path: &str, x: TensorId, channels: usize) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let norm = json!({"groups": 1, "axis": -1, "epsilon": EPSILON});
    let y = b.layer(&child("norm1"), "GroupNormalization", norm.clone(), &[x]);
    let pooled = b.average_pool(&child("token_mixer"), y, [3, 1], "same");
    let y = b.layer(&child("subtract"), "Subtract", json!({}), &[pooled, y]);
    let y = b.layer_scale(&child("layer_scale1.scale"), y, channels, LAYER_SCALE);
    let x = b.add(&child("add1"), x, y);
    let y = b.layer(&child("norm2"), "GroupNormalization", norm, &[x]);
    let expand = child("mlp.fc1");
    let y = b.linear(&expand, y, 4 * channels);
    let y = b.activation(&expand, "gelu", y);
    let y = b.linear(&child("mlp.fc2"), y, channels);
    let y = b.layer_scale(&child("layer_scale2.scale"), y, channels, LAYER_SCALE);
    b.add(&child("add2"), x, y)
}
