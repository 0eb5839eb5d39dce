//! Which axes of an input are the channels and the pixels.

use super::source::Source;
use super::value::plain;
use std::collections::BTreeMap;

/// Operators that pass an image on with its axes where they were.
const KEEP_AXES: &[&str] = &[
    "Abs",
    "Add",
    "Affine",
    "Cast",
    "Clip",
    "Concat",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Relu",
    "Resize",
    "Selu",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Split",
    "Sqrt",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
];
/// Operators that take images with the channels behind the batch.
const OF_IMAGES: &[&str] = &[
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "MaxPool",
];

/// Where the axes of an input are stored, so that the first operator that takes images finds the channels last: the file may
/// have them first, as PyTorch has, or last, with a `Transpose` before that operator, as tf2onnx has.
pub(super) fn image_axes(source: &Source, input: &str) -> Option<Vec<usize>> {
    // for each value that is the input in another order: its axes as axes of the input
    let mut orders: BTreeMap<&str, Vec<usize>> = BTreeMap::from([(input, plain(4))]);
    for node in &source.nodes {
        let Some(order) = node.inputs.iter().find_map(|name| orders.get(name.as_str())).cloned() else {
            continue;
        };
        if OF_IMAGES.contains(&node.op.as_str()) {
            let [_, channels, height, width] = order.as_slice() else { return None };
            let mut axes = plain(4);
            for (place, axis) in [height, width, channels].into_iter().enumerate() {
                *axes.get_mut(*axis)? = place + 1;
            }
            return Some(axes);
        }
        let next = match node.op.as_str() {
            "Transpose" => {
                let turned =
                    node.ints("perm")?.iter().map(|axis| order.get(usize::try_from(*axis).ok()?).copied());
                turned.collect::<Option<Vec<_>>>()?
            }
            op if KEEP_AXES.contains(&op) => order,
            _ => continue,
        };
        orders.extend(node.outputs.iter().map(|output| (output.as_str(), next.clone())));
    }
    None
}
