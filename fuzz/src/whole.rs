//! A model that was read is whole: every weight is there, it runs where it is small, and it is written, or an error says why not.

use frostline_engine::compile::compile_inference;
use frostline_formats as formats;
use frostline_graph::Model;
use frostline_graph::PrefixDType;

/// Larger models are not run here: a size that was changed may be valid.
const MOST_VALUES: usize = 1 << 14;
const MOST_CALLS: usize = 300;

/// Panics where it is not.
pub fn check(model: &Model) {
    let shapes = model.graph.stand_in_shapes();
    for wanted in model.graph.weight_specs(&shapes).expect("weights that are known") {
        let found = model.weights.get(&wanted.path).expect("a weight that is there");
        assert_eq!(found.with(|tensor| tensor.shape.clone()), wanted.spec.shape);
    }
    let small = |shapes: &[Vec<Vec<usize>>]| {
        let len = |shape: &Vec<usize>| shape.iter().try_fold(1usize, |len, extent| len.checked_mul(*extent));
        shapes.iter().flatten().all(|shape| len(shape).is_some_and(|len| len < MOST_VALUES))
    };
    if model.graph.calls_in_all() > MOST_CALLS
        || !model.graph.infer_shapes(&shapes).is_ok_and(|all| small(&all))
    {
        return;
    }
    if let Ok(mut plan) = compile_inference(&PrefixDType::F32, model, &shapes) {
        let input = vec![0.5; plan.prefix().input_len()];
        plan.predict(&input, 1);
    }
    for name in ["model.keras", "model.h5", "model.weights.h5", "model.safetensors", "model.onnx"] {
        drop(formats::to_bytes(model, name.as_ref()));
    }
}
