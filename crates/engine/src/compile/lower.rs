//! Layers to ops: walks a graph, nested models in place, and lets every layer lower itself.

use frostline_graph::layers;
use frostline_graph::ops::{LayerInfo, Lowering, Program, ValueId};
use frostline_graph::{Body, Error, Freeze, Graph, Result, Shape, join};

/// The program of a graph for inputs of these shapes.
pub(super) fn lower(graph: &Graph, freeze: &Freeze, inputs: &[Shape]) -> Result<Program> {
    lower_telling(graph, freeze, inputs, &mut |_, _| {})
}

/// The same; `tell` hears of each call of a layer or a nested model its path and its outputs.
pub(super) fn lower_telling(
    graph: &Graph,
    freeze: &Freeze,
    inputs: &[Shape],
    tell: Tell<'_>,
) -> Result<Program> {
    graph.infer_shapes(inputs)?;
    let mut program = Program::default();
    program.inputs = inputs.iter().map(|shape| program.value(shape.clone())).collect();
    let given = program.inputs.clone();
    program.outputs = lower_graph(graph, "", freeze, &given, &mut program, tell)?;
    Ok(program)
}

/// Hears of a call its path and its outputs.
type Tell<'a> = &'a mut dyn FnMut(&str, &[ValueId]);

fn lower_graph(
    graph: &Graph,
    group: &str,
    freeze: &Freeze,
    inputs: &[ValueId],
    program: &mut Program,
    tell: Tell<'_>,
) -> Result<Vec<ValueId>> {
    let mut results: Vec<Vec<ValueId>> = Vec::with_capacity(graph.calls.len());
    for (index, call) in graph.calls.iter().enumerate() {
        let layer = &graph.layers[call.layer];
        let path = join(group, &layer.name);
        let given: Vec<ValueId> = call.inputs.iter().map(|id| results[id.call][id.output]).collect();
        let found = match &layer.body {
            Body::Kind(_) if call.inputs.is_empty() => {
                let position = graph.inputs.iter().position(|id| id.call == index);
                position
                    .and_then(|position| inputs.get(position))
                    .map(|value| vec![*value])
                    .ok_or_else(|| Error::shape(&path, "an input layer that is no input of its model"))?
            }
            Body::Kind(kind) => {
                let (frozen, inference) = (freeze.is_frozen(&path), freeze.is_inference(&path));
                let info = LayerInfo { frozen, inference, path: path.clone() };
                program.layers.push(info);
                let layer = program.layers.len() - 1;
                layers::lower(kind, &mut Lowering::new(program, layer), &given)?
            }
            Body::Model(inner) => lower_graph(inner, &path, freeze, &given, program, tell)?,
            Body::Unsupported { .. } => return Err(Error::shape(&path, "it cannot be run")), // infer_shapes has said so
        };
        tell(&path, &found);
        results.push(found);
    }
    Ok(graph.outputs.iter().map(|id| results[id.call][id.output]).collect())
}
