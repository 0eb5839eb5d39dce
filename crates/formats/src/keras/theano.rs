//! Theano's convolutions turn their kernels by 180°, as the word means; those of all other backends, and frostline's, do not.
//! Source: `preprocess_weights_for_loading` of Keras 2.

use frostline_graph::{Graph, Result, Weights};

/// Keras turned the kernels of depthwise convolutions itself before it gave them to Theano.
const TURNED: &[&str] = &["Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose"];

/// Turns the kernels of convolutions, in place.
pub(super) fn turn_kernels(graph: &Graph, weights: &Weights) -> Result<()> {
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        if wanted.spec.name != "kernel" || !TURNED.contains(&wanted.class_name) {
            continue;
        }
        let [spatial @ .., channels, out] = wanted.spec.shape.as_slice() else { continue };
        let (taps, row) = (spatial.iter().product::<usize>(), channels * out);
        let handle = weights.get(&wanted.path)?;
        let turned = handle.with(|tensor| {
            let rows = |tap: usize| tensor.data[(taps - 1 - tap) * row..][..row].iter().copied();
            (0..taps).flat_map(rows).collect::<Vec<f32>>()
        });
        handle.set(&turned);
    }
    Ok(())
}
