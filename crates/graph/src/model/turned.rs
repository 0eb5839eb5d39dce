//! Values whose channels are not their last axis, or whose axes are taken apart, as between the two `Permute`s around a part of
//! the channels: a head that pools would pool over something else than the pixels. No model is cut there.

use super::graph::inputs_of;
use super::{Body, Graph, join};
use crate::Shape;
use crate::layers::{Kind, Operation};
use crate::ops::{Node, Op, Program};
use std::collections::BTreeSet;

/// How the axes of a value lie, the batch left out.
#[derive(Clone, Debug, PartialEq)]
enum Axes {
    /// Those of an image or of a row of places, in this order; the last one is the channels'.
    Order(Vec<usize>),
    /// Axes of an image split into more.
    Apart,
    /// Nothing is known of them.
    Unknown,
}

impl Axes {
    fn upright(rank: usize) -> Self {
        if rank < 2 { Self::Unknown } else { Self::Order((0..rank).collect()) }
    }

    fn is_turned(&self) -> bool {
        match self {
            Self::Order(order) => order.last().is_some_and(|last| last + 1 != order.len()),
            Self::Apart => true,
            Self::Unknown => false,
        }
    }

    fn permuted(&self, dims: &[usize]) -> Self {
        match self {
            Self::Order(order) => {
                let moved = dims.iter().map(|axis| order.get(axis.checked_sub(1)?).copied());
                moved.collect::<Option<_>>().map_or(Self::Unknown, Self::Order)
            }
            other => other.clone(),
        }
    }

    fn with_last_two_exchanged(&self) -> Self {
        let Self::Order(order) = self else { return self.clone() };
        let mut order = order.clone();
        let rank = order.len();
        if rank > 1 {
            order.swap(rank - 2, rank - 1);
        }
        Self::Order(order)
    }

    /// The axes when some of them are gone.
    fn without(&self, gone: &[usize]) -> Self {
        let Self::Order(order) = self else { return self.clone() };
        let left: Vec<usize> =
            (0..order.len()).filter(|axis| !gone.contains(axis)).map(|axis| order[axis]).collect();
        let channels = order.len().saturating_sub(1);
        if left.len() < 2 || !left.contains(&channels) {
            return Self::Unknown;
        }
        let place = |axis: &usize| left.iter().filter(|other| *other < axis).count();
        Self::Order(left.iter().map(place).collect())
    }

    /// [`Axes::reshaped`], where the shapes are known: channels that are split, as into heads, are taken apart.
    fn reshaped_to(&self, own: &[usize], target: &[usize]) -> Self {
        let splits = target.len() > own.len() && own.len() > 1 && own.last() != target.last();
        if splits && *self != Self::Unknown { Self::Apart } else { self.reshaped(target.len()) }
    }

    fn reshaped(&self, rank: usize) -> Self {
        match self {
            _ if rank > 3 => Self::Apart,
            Self::Unknown => Self::Unknown,
            // `[channels, height, width]` to `[channels, places]`
            Self::Order(_) if self.is_turned() && rank > 1 => Self::Order((0..rank).rev().collect()),
            // what was taken apart is put together again
            Self::Order(_) | Self::Apart => Self::upright(rank),
        }
    }
}

impl Graph {
    /// The paths of the layers whose output does not have its channels last.
    pub fn turned_paths(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.axes("", &vec![Axes::Unknown; self.inputs.len()], &self.stand_in_shapes(), &mut found);
        found
    }

    /// The axes of the outputs for those of the inputs, of these shapes.
    fn axes(
        &self,
        group: &str,
        inputs: &[Axes],
        shapes: &[Shape],
        found: &mut BTreeSet<String>,
    ) -> Vec<Axes> {
        let shapes = self.known_shapes(group, shapes).unwrap_or_else(|_| vec![None; self.calls.len()]);
        let mut made: Vec<Vec<Axes>> = Vec::with_capacity(self.calls.len());
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = join(group, &layer.name);
            let axes_of =
                |id: &super::TensorId| made[id.call].get(id.output).cloned().unwrap_or(Axes::Unknown);
            let given: Vec<Axes> = call.inputs.iter().map(axes_of).collect();
            let given_shapes = inputs_of(call, &shapes);
            made.push(match &layer.body {
                Body::Model(inner) => inner.axes(&path, &given, &given_shapes.unwrap_or_default(), found),
                Body::Kind(Kind::InputLayer(input)) => {
                    let position = self.inputs.iter().position(|id| id.call == index);
                    let outside = position.and_then(|position| inputs.get(position)).cloned();
                    let own = || Axes::upright(input.extents.len());
                    vec![outside.filter(|axes| *axes != Axes::Unknown).unwrap_or_else(own)]
                }
                Body::Kind(Kind::Operation(operation)) => {
                    let all = behind_operation(operation, &given, &given_shapes.unwrap_or_default());
                    if all.iter().any(Axes::is_turned) {
                        found.insert(path);
                    }
                    all
                }
                Body::Kind(kind) => {
                    let axes = match (kind, given_shapes.as_deref(), shapes[index].as_deref()) {
                        (Kind::Reshape(_), Some([own]), Some([target])) => {
                            joint(&given).reshaped_to(own, target)
                        }
                        _ => behind(kind, &given),
                    };
                    if axes.is_turned() {
                        found.insert(path);
                    }
                    vec![axes]
                }
                Body::Unsupported { .. } => vec![Axes::Unknown],
            });
        }
        let output = |id: &super::TensorId| made[id.call].get(id.output).cloned().unwrap_or(Axes::Unknown);
        self.outputs.iter().map(output).collect()
    }
}

/// The axes of a layer's output.
fn behind(kind: &Kind, inputs: &[Axes]) -> Axes {
    let first = inputs.first().cloned().unwrap_or(Axes::Unknown);
    match kind {
        Kind::Permute(layer) => first.permuted(&layer.dims),
        Kind::Reshape(layer) => first.reshaped(layer.target_shape.len()),
        // their filters are the last axis, whatever the others are
        Kind::Conv2D(_)
        | Kind::Conv2DTranspose(_)
        | Kind::Conv3D(_)
        | Kind::DepthwiseConv2D(_)
        | Kind::SeparableConv2D(_) => match first {
            Axes::Order(order) => Axes::upright(order.len()),
            _ => Axes::Unknown,
        },
        Kind::OneDimensional(layer) => behind(layer.over_images(), inputs),
        Kind::ThreeDimensional(layer) => {
            layer.over_all_slices().map_or_else(|| joint(inputs), |kind| behind(kind, inputs))
        }
        Kind::Flatten(_) | Kind::Dot(_) | Kind::RepeatVector(_) | Kind::GlobalPooling2D(_) => Axes::Unknown,
        _ => joint(inputs),
    }
}

/// The axes of what several values make together.
fn joint(inputs: &[Axes]) -> Axes {
    let known = || inputs.iter().find(|axes| **axes != Axes::Unknown);
    inputs.iter().find(|axes| axes.is_turned()).or_else(known).cloned().unwrap_or(Axes::Unknown)
}

/// The axes of an operation's outputs, by the ops that it lowers to.
fn behind_operation(operation: &Operation, inputs: &[Axes], shapes: &[Shape]) -> Vec<Axes> {
    let Ok(program) = operation.program(shapes) else { return vec![Axes::Unknown] };
    let mut made = inputs.to_vec();
    for node in &program.nodes {
        let given: Vec<Axes> = node.inputs.iter().filter_map(|value| made.get(value.0).cloned()).collect();
        made.push(behind_op(&program, node, &given));
    }
    program.outputs.iter().map(|value| made.get(value.0).cloned().unwrap_or(Axes::Unknown)).collect()
}

fn behind_op(program: &Program, node: &Node, inputs: &[Axes]) -> Axes {
    let first = joint(inputs);
    let target = program.shape(node.output);
    match &node.op {
        Op::Permute(op) => first.permuted(&op.order.iter().map(|axis| axis + 1).collect::<Vec<_>>()),
        Op::Reshape(_) => {
            let long =
                |shape: &Shape| shape.iter().copied().filter(|extent| *extent != 1).collect::<Vec<_>>();
            let alike = node.inputs.first().is_some_and(|value| long(program.shape(*value)) == long(target));
            // an axis of one place more or less puts nothing together
            let own = node.inputs.first().map(|value| program.shape(*value).clone()).unwrap_or_default();
            match first == Axes::Apart && alike {
                true => first,
                false => first.reshaped_to(&own, target),
            }
        }
        // the columns of a product are those of its second factor
        Op::Product(op) => match inputs.last() {
            Some(second) if op.transposed => second.with_last_two_exchanged(),
            Some(second) => second.clone(),
            None => Axes::Unknown,
        },
        Op::Reduce(op) if !op.keep_dims => first.without(&op.axes),
        Op::GlobalPool(op) if !op.keep_dims => Axes::Unknown,
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_come_back_as_they_went() {
        let image = Axes::upright(3);
        let front = image.permuted(&[3, 1, 2]);
        assert!(front.is_turned() && !image.is_turned());
        assert_eq!(front.permuted(&[2, 3, 1]), image);
        // rows and columns in turn leave the channels where they are
        assert!(!image.permuted(&[2, 1, 3]).is_turned());
        assert!(front.reshaped(2).is_turned() && !front.reshaped(2).permuted(&[2, 1]).is_turned());
    }

    #[test]
    fn channels_that_become_heads_are_taken_apart() {
        let tokens = Axes::upright(2);
        assert!(tokens.reshaped_to(&[16, 12], &[16, 3, 4]).is_turned());
        // tokens that become pixels keep their channels
        assert!(!tokens.reshaped_to(&[16, 12], &[4, 4, 12]).is_turned());
        assert!(!Axes::upright(3).reshaped_to(&[4, 4, 12], &[16, 12]).is_turned());
    }

    #[test]
    fn what_is_taken_apart_is_no_image_until_it_is_together_again() {
        let apart = Axes::upright(3).reshaped(4);
        assert!(apart.is_turned() && apart.permuted(&[1, 2, 4, 3]).is_turned());
        assert!(!apart.reshaped(3).is_turned());
        // of a row that becomes an image nothing is known
        assert!(!Axes::upright(1).reshaped(3).permuted(&[2, 3, 1]).is_turned());
    }
}
