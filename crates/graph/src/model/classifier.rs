//! Which layers of a model are its classifier: the layers that are exchanged for a new head by default.

use super::{Body, Graph, Keep, Layer, TensorId, join};
use crate::layers::{Kind, Merge};
use std::collections::BTreeSet;

/// Activations that make class scores: no layer above them adds anything but their place.
const SQUASHES: [&str; 3] = ["log_softmax", "sigmoid", "softmax"];

impl Graph {
    /// The default cut: below the classifier, at the features that it stands on.
    ///
    /// The classifier is the highest layer with a kernel (`Dense`, or a convolution as MobileNet and SqueezeNet have it) and all
    /// above it: normalisation, pooling, reshaping, softmax. A model that ends in a feature map, or in pooled features behind an
    /// activation, has none and is kept whole. A model whose last layers cannot be run, or that has several outputs, is kept but
    /// for its last layer and an activation that follows it.
    pub fn default_keep(&self) -> Keep {
        let is_activation = self.leaves().last().is_some_and(|(_, layer)| {
            matches!(&layer.body, Body::Kind(Kind::Activation(_) | Kind::Relu(_) | Kind::Softmax(_)))
        });
        let last = if is_activation { 2 } else { 1 };
        Keep::AllBut(self.classifier_height().unwrap_or(last))
    }

    /// How many of the highest layers make up the classifier; `None` where that cannot be told.
    fn classifier_height(&self) -> Option<usize> {
        let [output] = self.outputs.as_slice() else { return None };
        let inputs = self.stand_in_shapes();
        let mut top = Top { kernels: self.kernel_layers()?, ..Top::default() };
        top.descend(self, "", *output, Above::Classes);
        if top.is_unsupported || top.found == 0 {
            return None;
        }
        let shapes = self.infer_shapes(&inputs).ok()?;
        let shape = &shapes[output.call][output.output];
        let is_one_place = shape.iter().rev().skip(1).all(|extent| *extent == 1);
        if !top.is_classifier(is_one_place) {
            return Some(0);
        }
        let paths = self.counted_paths();
        let lowest = paths.iter().position(|path| top.layers.contains(path))?;
        let cuts: BTreeSet<String> = self.cut_points().into_iter().collect();
        let cut = paths[..lowest].iter().rposition(|path| cuts.contains(path))?;
        Some(paths.len() - 1 - cut)
    }
}

/// Whether what has been passed on the way down leaves an activation below it the maker of class scores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Above {
    Classes,
    Gate,
}

/// What lies above the highest kernels, with these.
#[derive(Default)]
struct Top {
    /// The layers of the graph with kernels.
    kernels: BTreeSet<String>,
    /// All that was passed, with the kernels.
    layers: BTreeSet<String>,
    /// The kernels that were found, and whether all are dense layers'.
    found: usize,
    has_convolution: bool,
    has_squash: bool,
    has_other_activation: bool,
    has_normalization: bool,
    has_merge: bool,
    is_unsupported: bool,
}

impl Top {
    fn is_classifier(&self, is_one_place: bool) -> bool {
        let is_alone = self.found == 1 && !self.has_merge;
        let is_linear = !self.has_other_activation && !self.has_normalization;
        self.has_squash || (is_alone && is_one_place && (!self.has_convolution || is_linear))
    }

    /// Goes down from a value to the kernels that it comes from. Returns the inputs of the graph that are reached without one.
    fn descend(&mut self, graph: &Graph, group: &str, id: TensorId, above: Above) -> BTreeSet<usize> {
        let call = &graph.calls[id.call];
        let layer = &graph.layers[call.layer];
        let path = join(group, &layer.name);
        let kind = match &layer.body {
            Body::Kind(_) if call.inputs.is_empty() => {
                return graph.inputs.iter().position(|input| input.call == id.call).into_iter().collect();
            }
            Body::Kind(kind) => kind,
            Body::Model(inner) => {
                let reached = inner.outputs.get(id.output).map(|id| self.descend(inner, &path, *id, above));
                let reached = reached.unwrap_or_default();
                let below = reached.into_iter().filter_map(|position| call.inputs.get(position));
                return below.flat_map(|id| self.descend(graph, group, *id, above)).collect();
            }
            Body::Unsupported { .. } => {
                self.is_unsupported = true;
                return BTreeSet::new();
            }
        };
        if !self.layers.insert(path.clone()) {
            return BTreeSet::new();
        }
        self.note_activation(layer, above);
        if self.kernels.contains(&path) {
            self.found += 1;
            self.has_convolution |= !matches!(kind, Kind::Dense(_));
            return BTreeSet::new();
        }
        self.has_normalization |= kind.normalizes();
        let merges = call.inputs.len() > 1;
        self.has_merge |= merges;
        let above = if merges && !matches!(kind, Kind::Merge(Merge::Add | Merge::Average)) {
            Above::Gate
        } else {
            above
        };
        call.inputs.iter().flat_map(|id| self.descend(graph, group, *id, above)).collect()
    }

    fn note_activation(&mut self, layer: &Layer, above: Above) {
        let Body::Kind(kind) = &layer.body else { return };
        let config = kind.config();
        let named = config.get("activation").and_then(|name| name.as_str()).unwrap_or("linear");
        match kind {
            Kind::Softmax(_) => self.has_squash |= above == Above::Classes,
            Kind::Relu(_) | Kind::LeakyRelu(_) | Kind::Elu(_) | Kind::PRelu(_) => {
                self.has_other_activation = true
            }
            _ if SQUASHES.contains(&named) => self.has_squash |= above == Above::Classes,
            _ => self.has_other_activation |= named != "linear",
        }
    }
}
