//! Which axes of an input are the channels and the pixels.

use super::constant::Extent;
use super::fold;
use super::node::Node;
use super::source::Source;
use super::value::{IMAGE, plain};
use std::collections::BTreeMap;

/// Operators that pass an image on with its axes where they were.
const KEEP_AXES: &[&str] = &[
    "Abs",
    "Add",
    "Affine",
    "Cast",
    "Clip",
    "Concat",
    "DequantizeLinear",
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
    "QuantizeLinear",
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
pub(super) fn image_axes(source: &Source, input: &str, rank: usize) -> Option<Vec<usize>> {
    let (order, _) = first_of_images(source, input, rank)?;
    let [_, channels, pixels @ ..] = order.as_slice() else { return None };
    let pixels: Vec<usize> = pixels.iter().copied().collect::<Option<_>>()?;
    // channels that were taken apart and joined again are the axis that is left
    let channels = channels.or_else(|| (1..rank).find(|axis| !pixels.contains(axis)))?;
    let mut axes = (pixels.len() + 2 == rank).then(|| plain(rank))?;
    for (place, axis) in pixels.into_iter().chain([channels]).enumerate() {
        *axes.get_mut(axis)? = place + 1;
    }
    Some(axes)
}

/// The same where no such operator says it, as below a reshape: the axis of so few places that only channels have.
pub(super) fn by_extents(extents: &[Extent]) -> Option<Vec<usize>> {
    let few = |extent: &Extent| matches!(extent, Extent::Known(1 | 3 | 4));
    match extents {
        [channels, _, last] if few(channels) && !few(last) => Some(IMAGE.to_vec()),
        _ => None,
    }
}

/// The number of channels that the first convolution's kernel takes, where it is the first operator that takes the input as
/// an image.
pub(super) fn channels(source: &Source, input: &str, rank: usize) -> Option<usize> {
    let (_, node) = first_of_images(source, input, rank)?;
    let kernel = (node.op == "Conv").then(|| source.constant(node.input(1)?)).flatten()?;
    let groups = usize::try_from(node.int("group").unwrap_or(1)).ok()?;
    kernel.dims.get(1)?.checked_mul(groups)
}

/// For each axis of a value the axis of the input that it is; none for one that was put in.
type Order = Vec<Option<usize>>;

/// The first operator that takes an input as an image, and how it finds the input's axes.
fn first_of_images<'a>(source: &'a Source, input: &'a str, rank: usize) -> Option<(Order, &'a Node)> {
    let mut orders: BTreeMap<&str, Order> =
        BTreeMap::from([(input, plain(rank).into_iter().map(Some).collect())]);
    for node in &source.nodes {
        let Some(order) = node.inputs.iter().find_map(|name| orders.get(name.as_str())).cloned() else {
            continue;
        };
        if OF_IMAGES.contains(&node.op.as_str()) {
            return Some((order, node));
        }
        let Some(next) = behind(source, node, order) else { continue };
        orders.extend(node.outputs.iter().map(|output| (output.as_str(), next.clone())));
    }
    None
}

/// The axes behind a node.
fn behind(source: &Source, node: &Node, mut order: Order) -> Option<Order> {
    let named =
        || fold::axes(node, node.input(1).and_then(|input| source.constant(input)).map(|axes| &**axes));
    match node.op.as_str() {
        "Transpose" => {
            let turned =
                node.ints("perm")?.iter().map(|axis| order.get(usize::try_from(*axis).ok()?).copied());
            turned.collect()
        }
        // one place of an axis
        "Gather" if source.constant(node.input(1)?)?.dims.is_empty() => {
            order.remove(fold::axis_of(node.int("axis").unwrap_or(0), order.len())?);
            Some(order)
        }
        "Squeeze" => {
            let gone: Vec<usize> =
                named()?.into_iter().map(|axis| fold::axis_of(axis, order.len())).collect::<Option<_>>()?;
            let mut axis = 0..order.len();
            order.retain(|_| axis.next().is_some_and(|axis| !gone.contains(&axis)));
            Some(order)
        }
        "Unsqueeze" => {
            let named = named()?;
            let rank = order.len() + named.len();
            let mut put: Vec<usize> =
                named.into_iter().map(|axis| fold::axis_of(axis, rank)).collect::<Option<_>>()?;
            put.sort_unstable();
            put.into_iter().for_each(|axis| order.insert(axis.min(order.len()), None));
            Some(order)
        }
        op if KEEP_AXES.contains(&op) => Some(order),
        _ => None,
    }
}
