//! Values whose channels are not their last axis, or whose axes are taken apart, as between the two `Permute`s around a part of
//! the channels: a head that pools would pool over something else than the pixels. No model is cut there.

use super::{Body, Graph, join};
use crate::layers::Kind;
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
        self.axes("", &vec![Axes::Unknown; self.inputs.len()], &mut found);
        found
    }

    /// The axes of the outputs for those of the inputs.
    fn axes(&self, group: &str, inputs: &[Axes], found: &mut BTreeSet<String>) -> Vec<Axes> {
        let mut made: Vec<Vec<Axes>> = Vec::with_capacity(self.calls.len());
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = join(group, &layer.name);
            let given: Vec<Axes> = call.inputs.iter().map(|id| made[id.call][id.output].clone()).collect();
            made.push(match &layer.body {
                Body::Model(inner) => inner.axes(&path, &given, found),
                Body::Kind(Kind::InputLayer(input)) => {
                    let position = self.inputs.iter().position(|id| id.call == index);
                    let outside = position.and_then(|position| inputs.get(position)).cloned();
                    let own = || Axes::upright(input.extents.len());
                    vec![outside.filter(|axes| *axes != Axes::Unknown).unwrap_or_else(own)]
                }
                Body::Kind(kind) => {
                    let axes = behind(kind, &given);
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
        Kind::Conv2D(_) | Kind::Conv2DTranspose(_) | Kind::DepthwiseConv2D(_) | Kind::SeparableConv2D(_) => {
            match first {
                Axes::Order(order) => Axes::upright(order.len()),
                _ => Axes::Unknown,
            }
        }
        Kind::OneDimensional(layer) => behind(layer.over_images(), inputs),
        Kind::Flatten(_) | Kind::Dot(_) | Kind::RepeatVector(_) | Kind::GlobalPooling2D(_) => Axes::Unknown,
        _ => {
            let known = || inputs.iter().find(|axes| **axes != Axes::Unknown);
            inputs.iter().find(|axes| axes.is_turned()).or_else(known).cloned().unwrap_or(first)
        }
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
    fn what_is_taken_apart_is_no_image_until_it_is_together_again() {
        let apart = Axes::upright(3).reshaped(4);
        assert!(apart.is_turned() && apart.permuted(&[1, 2, 4, 3]).is_turned());
        assert!(!apart.reshaped(3).is_turned());
        // of a row that becomes an image nothing is known
        assert!(!Axes::upright(1).reshaped(3).permuted(&[2, 3, 1]).is_turned());
    }
}
