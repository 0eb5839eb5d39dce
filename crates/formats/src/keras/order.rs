//! The order of a model's layers in Keras (`model.layers`), by which its weight files are laid out.
//! Source: `map_graph` of `keras/src/ops/function.py`.

use frostline_graph::layers::Kind;
use frostline_graph::{Body, Form, Graph};

/// Indices into `graph.layers`. A Sequential model's input layer is not among them, as in Keras.
///
/// Functional models: by falling distance from the outputs, then by the order in which a depth-first walk from
/// the outputs meets them.
pub(super) fn keras_order(graph: &Graph) -> Vec<usize> {
    if graph.form == Form::Sequential {
        let is_input = |index: &usize| matches!(&graph.layers[*index].body, Body::Kind(Kind::InputLayer(_)));
        return (0..graph.layers.len()).filter(|index| !is_input(index)).collect();
    }
    let mut walk = Walk {
        graph,
        finished: vec![false; graph.calls.len()],
        met: vec![None; graph.layers.len()],
        count: 0,
        order: Vec::new(),
    };
    graph.outputs.iter().for_each(|id| walk.visit(id.call));
    let Walk { met, order, .. } = walk;
    let mut call_depth = vec![0usize; graph.calls.len()];
    let mut layer_depth = vec![0usize; graph.layers.len()];
    for call in order.iter().rev() {
        let layer = graph.calls[*call].layer;
        let depth = call_depth[*call].max(layer_depth[layer]);
        layer_depth[layer] = depth;
        call_depth[*call] = depth;
        for id in &graph.calls[*call].inputs {
            call_depth[id.call] = call_depth[id.call].max(depth + 1);
        }
    }
    let mut layers: Vec<usize> = (0..graph.layers.len()).collect();
    // an input that no output needs was never met and comes before what was
    layers.sort_by_key(|layer| {
        (std::cmp::Reverse(layer_depth[*layer]), met[*layer].map_or(0, |index| index + 1))
    });
    layers
}

struct Walk<'a> {
    graph: &'a Graph,
    finished: Vec<bool>,
    met: Vec<Option<usize>>,
    count: usize,
    order: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, call: usize) {
        if self.finished[call] {
            return;
        }
        let layer = self.graph.calls[call].layer;
        if self.met[layer].is_none() {
            self.met[layer] = Some(self.count);
            self.count += 1;
        }
        for index in 0..self.graph.calls[call].inputs.len() {
            self.visit(self.graph.calls[call].inputs[index].call);
        }
        self.finished[call] = true;
        self.order.push(call);
    }
}
