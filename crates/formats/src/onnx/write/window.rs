//! The geometry of a sliding window as attributes of ONNX.

use super::emit::{Attribute, Value};
use frostline_graph::ops::{Padding, Sliding};

/// Attributes of a convolution, or of a pooling, which has no dilation.
pub(super) fn window(
    x: &Value,
    size: [usize; 2],
    Sliding { strides, dilation, padding }: Sliding,
) -> Vec<(&'static str, Attribute<'static>)> {
    let pair = |pair: [usize; 2]| Attribute::Ints(pair.iter().map(|extent| *extent as i64).collect());
    let mut attributes = vec![("kernel_shape", pair(size)), ("strides", pair(strides))];
    if dilation != [1, 1] {
        attributes.push(("dilations", pair(dilation)));
    }
    if padding == Padding::Same {
        let sides = [0, 1].map(|axis| same(x, axis, size[axis], strides[axis], dilation[axis]));
        attributes.push(match sides {
            [Some([top, bottom]), Some([left, right])] => {
                ("pads", Attribute::Ints(vec![top, left, bottom, right]))
            }
            // where the image's size is open, the runtime computes it
            _ => ("auto_pad", Attribute::Text("SAME_UPPER")),
        });
    }
    attributes
}

/// What `same` puts before and behind an axis, where its extent is not open.
pub(super) fn same(x: &Value, axis: usize, size: usize, stride: usize, dilation: usize) -> Option<[i64; 2]> {
    let reach = (size - 1) * dilation + 1;
    x.known(axis).map(|extent| {
        let covered = extent.div_ceil(stride).saturating_sub(1) * stride + reach;
        let all = covered.saturating_sub(extent) as i64;
        [all / 2, all - all / 2]
    })
}
