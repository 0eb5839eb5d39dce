//! Which tensor of a state dict a weight comes from: the layer has the module's name, and each kind of layer has its
//! variables' names and layouts.

use crate::safetensors::assign::Source;
use crate::safetensors::layout::Layout;
use frostline_graph::WantedWeight;
use frostline_graph::layers::Kind;

/// OIHW to HWIO.
const CONVOLUTION: Layout = Layout::Permuted(&[2, 3, 1, 0]);
/// `[channels, 1, height, width]` to `[height, width, channels, 1]`.
const DEPTHWISE: Layout = Layout::Permuted(&[2, 3, 0, 1]);
/// `[outputs, inputs]` to `[inputs, outputs]`.
const LINEAR: Layout = Layout::Permuted(&[1, 0]);

/// The tensor of a weight; `None` for kinds of layers that no architecture here has.
pub(in crate::safetensors) fn source(wanted: &WantedWeight) -> Option<Source> {
    let (module, variable) = wanted.path.rsplit_once('/')?;
    let (parameter, layout) = match (&wanted.kind, variable) {
        (Kind::Conv2D(_), "kernel") => ("weight", CONVOLUTION),
        (Kind::DepthwiseConv2D(_), "kernel") => ("weight", DEPTHWISE),
        (Kind::Dense(_), "kernel") => ("weight", LINEAR),
        // a parameter by itself, of the shape [channels] in timm and [channels, 1, 1] in torchvision
        (Kind::LayerScale(_), "gamma") => {
            return Some(Source { name: module.to_owned(), layout: Layout::Vector });
        }
        (Kind::BatchNormalization(_) | Kind::LayerNormalization(_), "gamma") => ("weight", Layout::Same),
        (Kind::BatchNormalization(_) | Kind::LayerNormalization(_), "beta") => ("bias", Layout::Same),
        (Kind::BatchNormalization(_), "moving_mean") => ("running_mean", Layout::Same),
        (Kind::BatchNormalization(_), "moving_variance") => ("running_var", Layout::Same),
        (Kind::Conv2D(_) | Kind::DepthwiseConv2D(_) | Kind::Dense(_), "bias") => ("bias", Layout::Same),
        _ => return None,
    };
    Some(Source { name: format!("{module}.{parameter}"), layout })
}
