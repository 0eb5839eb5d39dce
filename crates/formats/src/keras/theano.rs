//! Theano's convolutions turn their kernels by 180°, as the word means; those of all other backends, and frostline's, do not.
//! Source: `preprocess_weights_for_loading` of Keras 2.

use frostline_graph::layers::Kind;
use frostline_graph::{Extents, Graph, Result, Weights};

/// Whether Theano turned the kernel. Keras itself turned those of depthwise convolutions before it gave them to Theano.
fn is_turned(kind: &Kind) -> bool {
    match kind {
        Kind::Conv2D(_) | Kind::Conv2DTranspose(_) => true,
        Kind::OneDimensional(layer) => is_turned(layer.over_images()),
        _ => false,
    }
}

/// Turns the kernels of convolutions, in place.
pub(super) fn turn_kernels(graph: &Graph, weights: &Weights) -> Result<()> {
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        if wanted.spec.name != "kernel" || !is_turned(&wanted.kind) {
            continue;
        }
        let [spatial @ .., channels, out] = wanted.spec.shape.as_slice() else { continue };
        let (taps, row) = (spatial.elements(), channels * out);
        let handle = weights.get(&wanted.path)?;
        let turned = handle.with(|tensor| {
            let rows = |tap: usize| tensor.data[(taps - 1 - tap) * row..][..row].iter().copied();
            (0..taps).flat_map(rows).collect::<Vec<f32>>()
        });
        handle.set(&turned);
    }
    Ok(())
}
