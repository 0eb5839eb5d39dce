//! A model that ends in a dense layer, in two parts.

use super::{Body, Layer, Model};
use crate::layers::Kind;

impl Model {
    /// The layers below a dense output layer, as a model that shares the weights of this one, and that layer. None where the
    /// model ends otherwise or has several outputs.
    pub fn split_dense_output(&self) -> Option<(Model, &Layer)> {
        let graph = &self.graph;
        let [output] = graph.outputs.as_slice() else { return None };
        let call = &graph.calls[output.call];
        let layer = &graph.layers[call.layer];
        let is_dense = matches!(&layer.body, Body::Kind(Kind::Dense(_)));
        let ([input], true) = (call.inputs.as_slice(), is_dense) else { return None };
        let mut below = self.clone();
        below.graph.outputs = vec![*input];
        below.graph.prune();
        Some((below, layer))
    }
}
