//! Which tensor of a state dict a weight comes from: the layer has the module's name, and each kind of layer has its
//! variables' names and layouts.

use crate::safetensors::assign::Source;
use crate::safetensors::layout::Layout;
use frostline_graph::WantedWeight;
use frostline_graph::layers::Kind;

/// OIHW to HWIO.
const CONVOLUTION: Layout = Layout::Permuted(&[2, 3, 1, 0]);
/// `[outputs, inputs, length]` to `[length, inputs, outputs]`.
const CONVOLUTION_OF_A_LINE: Layout = Layout::Permuted(&[2, 1, 0]);
/// `[channels, 1, height, width]` to `[height, width, channels, 1]`.
const DEPTHWISE: Layout = Layout::Permuted(&[2, 3, 0, 1]);
/// `[outputs, inputs]` to `[inputs, outputs]`.
const LINEAR: Layout = Layout::Permuted(&[1, 0]);

/// Parameters that no module holds, by the last part of their names; a Dense layer without bias has them.
const PARAMETERS: &[&str] = &[
    "beta",
    "class_token",
    "cls_token",
    "dist_token",
    "pos_embed",
    "pos_embedding",
    "reg_token",
    "relative_position_bias_table",
];

/// The tensor of a weight; `None` for kinds of layers that no architecture here has.
pub(in crate::safetensors) fn source(wanted: &WantedWeight) -> Option<Source> {
    let (module, variable) = wanted.path.rsplit_once('/')?;
    let last = module.rsplit('.').next().unwrap_or(module);
    let itself = |layout: Layout| Some(Source { name: module.to_owned(), layout });
    let (parameter, layout) = match (&wanted.kind, variable) {
        (Kind::Dense(_), "kernel") if PARAMETERS.contains(&last) => return itself(Layout::Row),
        // one parameter for queries, keys and values, which is no module of its own
        (Kind::Dense(_), _) if last == "in_proj" => {
            let (parameter, layout) =
                if variable == "kernel" { ("weight", LINEAR) } else { ("bias", Layout::Same) };
            return Some(Source { name: format!("{module}_{parameter}"), layout });
        }
        (Kind::Conv2D(_), "kernel") => ("weight", CONVOLUTION),
        (Kind::OneDimensional(_), "kernel") => ("weight", CONVOLUTION_OF_A_LINE),
        (Kind::DepthwiseConv2D(_), "kernel") => ("weight", DEPTHWISE),
        (Kind::Dense(_), "kernel") => ("weight", LINEAR),
        // a parameter by itself, of the shape [channels] in timm and [channels, 1, 1] in torchvision
        (Kind::LayerScale(_), "gamma") => return itself(Layout::Vector),
        (
            Kind::BatchNormalization(_) | Kind::GroupNormalization(_) | Kind::LayerNormalization(_),
            "gamma",
        ) => ("weight", Layout::Same),
        (Kind::BatchNormalization(_) | Kind::GroupNormalization(_) | Kind::LayerNormalization(_), "beta") => {
            ("bias", Layout::Same)
        }
        (Kind::BatchNormalization(_), "moving_mean") => ("running_mean", Layout::Same),
        (Kind::BatchNormalization(_), "moving_variance") => ("running_var", Layout::Same),
        (Kind::Conv2D(_) | Kind::DepthwiseConv2D(_) | Kind::Dense(_), "bias") => ("bias", Layout::Same),
        _ => return None,
    };
    Some(Source { name: format!("{module}.{parameter}"), layout })
}
