//! Sequential models that hold Functional ones, as Functional models.
//!
//! Keras 3.0 to 3.3 want the outputs of a Functional model in a list even where there is one, and a later Keras that reads such
//! a list returns one where the model is called on a symbol, as a Sequential model calls its layers. A Functional parent
//! refers to the tensor itself, in every version.

use frostline_graph::{Body, Form, Graph, Model};

/// The model as it is written, with the same layers, calls and weights.
pub(super) fn without_mixed_chains(model: &Model) -> Model {
    let mut model = model.clone(); // the weights are shared
    convert(&mut model.graph);
    model
}

fn convert(graph: &mut Graph) {
    let mut holds_functional = false;
    for layer in &mut graph.layers {
        if let Body::Model(inner) = &mut layer.body {
            convert(inner);
            holds_functional |= inner.form == Form::Functional;
        }
    }
    if holds_functional {
        graph.form = Form::Functional;
    }
}
