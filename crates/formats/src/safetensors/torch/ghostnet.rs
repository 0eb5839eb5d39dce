//! GhostNet. Source: Han et al. 2020, table 1.

use super::builder::Builder;
use super::modules::{Conv, Squeeze, rounded};
use super::row::{Library, Network, Row, timm};
use frostline_graph::TensorId;
use serde_json::json;

/// The factor of all widths.
#[derive(Clone, Copy, Debug)]
pub(super) struct GhostNet {
    width: f64,
}

/// Kernel, channels between, channels, squeeze and excitation or not, stride.
type Block = (usize, usize, usize, bool, usize);

const STAGES: &[&[Block]] = &[
    &[(3, 16, 16, false, 1)],
    &[(3, 48, 24, false, 2)],
    &[(3, 72, 24, false, 1)],
    &[(5, 72, 40, true, 2)],
    &[(5, 120, 40, true, 1)],
    &[(3, 240, 80, false, 2)],
    &[
        (3, 200, 80, false, 1),
        (3, 184, 80, false, 1),
        (3, 184, 80, false, 1),
        (3, 480, 112, true, 1),
        (3, 672, 112, true, 1),
    ],
    &[(5, 672, 160, true, 2)],
    &[(5, 960, 160, false, 1), (5, 960, 160, true, 1), (5, 960, 160, false, 1), (5, 960, 160, true, 1)],
];
const STEM: usize = 16;
const LAST: usize = 960;
const TOP: usize = 1280;
const FUNCTION: &str = "relu";

pub(super) const TABLE: &[Row<GhostNet>] = &[
    timm("ghostnet_050", GhostNet { width: 0.5 }),
    timm("ghostnet_100", GhostNet { width: 1.0 }),
    timm("ghostnet_130", GhostNet { width: 1.3 }),
];

impl Network for GhostNet {
    fn build(&self, b: &mut Builder<'_>, _: Library) -> TensorId {
        let x = b.images();
        let scaled = |width: usize| rounded(width as f64 * self.width, 4, 0.9);
        let mut input = scaled(STEM);
        let mut x = b.conv_bn_act(["conv_stem", "bn1"], x, Conv::new(input, 3).stride(2), FUNCTION);
        for (stage, blocks) in STAGES.iter().enumerate() {
            for (index, &(kernel, between, output, squeezes, stride)) in blocks.iter().enumerate() {
                let widths = [input, scaled(between), scaled(output)];
                x = bottleneck(b, &format!("blocks.{stage}.{index}"), x, widths, [kernel, stride], squeezes);
                input = scaled(output);
            }
        }
        let path = format!("blocks.{}.0", STAGES.len());
        let names = [format!("{path}.conv"), format!("{path}.bn1")];
        let x = b.conv_bn_act([&names[0], &names[1]], x, Conv::pointwise(scaled(LAST)), FUNCTION);
        let x = b.layer("global_pool", "GlobalAveragePooling2D", json!({"keepdims": true}), &[x]);
        let x = b.conv("conv_head", x, Conv::pointwise(TOP).bias());
        let x = b.activation("conv_head", FUNCTION, x);
        let x = b.layer("flatten", "Flatten", json!({}), &[x]);
        b.classifier("classifier", x)
    }
}

fn bottleneck(
    b: &mut Builder<'_>,
    path: &str,
    x: TensorId,
    [input, between, output]: [usize; 3],
    [kernel, stride]: [usize; 2],
    squeezes: bool,
) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let mut y = ghost(b, &child("ghost1"), x, between, true);
    if stride > 1 {
        y = b.depthwise(&child("conv_dw"), y, kernel, stride);
        y = b.batch_norm(&child("bn_dw"), y);
    }
    if squeezes {
        let width = rounded(between as f64 * 0.25, 4, 0.9);
        let settings = Squeeze {
            names: ["conv_reduce", "conv_expand"],
            channels: between,
            width,
            function: FUNCTION,
            gate: "hard_sigmoid",
        };
        y = b.squeeze(&child("se"), y, &settings);
    }
    let y = ghost(b, &child("ghost2"), y, output, false);
    let x = match stride > 1 || input != output {
        true => {
            let x = b.depthwise(&child("shortcut.0"), x, kernel, stride);
            let x = b.batch_norm(&child("shortcut.1"), x);
            b.conv_bn([&child("shortcut.2"), &child("shortcut.3")], x, Conv::pointwise(output))
        }
        false => x,
    };
    b.add(&child("add"), x, y)
}

/// Half the channels by a convolution, the rest from them, each by itself.
fn ghost(b: &mut Builder<'_>, path: &str, x: TensorId, output: usize, activates: bool) -> TensorId {
    let child = |name: &str| format!("{path}.{name}");
    let own = output.div_ceil(2);
    let step = |b: &mut Builder<'_>, norm: &str, x: TensorId| {
        let x = b.batch_norm(norm, x);
        if activates { b.activation(norm, FUNCTION, x) } else { x }
    };
    let x = b.conv(&child("primary_conv.0"), x, Conv::pointwise(own));
    let x = step(b, &child("primary_conv.1"), x);
    let y = b.depthwise(&child("cheap_operation.0"), x, 3, 1);
    let y = step(b, &child("cheap_operation.1"), y);
    let both = b.joined(&child("concat"), &[x, y], -1);
    match output % 2 {
        0 => both,
        _ => b.places(&child("outputs"), both, [4, 3], 0, Some(output)),
    }
}
