//! Cut points: each separates the graph, and each layer that separates it is one.

use crate::golden::models;
use frostline::graph::{Body, Call, Form, Graph, Layer, TensorId, join};
use frostline::layers::{Config, InputLayer, Kind, Merge, read_kind};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// A graph of leaf calls, nested models unrolled: for each call its layer's path and the calls it reads.
#[derive(Default)]
struct Flat {
    paths: Vec<String>,
    reads: Vec<Vec<usize>>,
    is_input: Vec<bool>,
}

impl Flat {
    fn of(graph: &Graph) -> (Self, Vec<usize>) {
        let mut flat = Self::default();
        let outputs = flat.unroll(graph, "", None);
        (flat, outputs)
    }

    /// Returns the calls that make the graph's outputs. A nested model's input layers stand for what it is called on.
    fn unroll(&mut self, graph: &Graph, group: &str, given: Option<&[usize]>) -> Vec<usize> {
        let mut made: Vec<Vec<usize>> = Vec::new();
        for (index, call) in graph.calls.iter().enumerate() {
            let layer = &graph.layers[call.layer];
            let path = join(group, &layer.name);
            // all outputs of a layer stand for its call
            let maker = |id: &TensorId| made[id.call].get(id.output).unwrap_or(&made[id.call][0]);
            let inputs: Vec<usize> = call.inputs.iter().map(maker).copied().collect();
            let position = graph.inputs.iter().position(|id| id.call == index);
            made.push(match (&layer.body, position, given) {
                (_, Some(position), Some(given)) => vec![given[position]],
                (Body::Model(inner), ..) => self.unroll(inner, &path, Some(&inputs)),
                _ => {
                    self.paths.push(path);
                    self.reads.push(inputs);
                    self.is_input.push(position.is_some());
                    vec![self.paths.len() - 1]
                }
            });
        }
        let maker = |id: &TensorId| made[id.call].get(id.output).unwrap_or(&made[id.call][0]);
        graph.outputs.iter().map(maker).copied().collect()
    }

    /// By the definition: with the layer taken out, no output is reached from an input any more.
    fn separators(&self, outputs: &[usize]) -> BTreeSet<String> {
        let separates = |gone: usize| {
            let mut reached = vec![false; self.paths.len()];
            for call in 0..self.paths.len() {
                reached[call] = call != gone
                    && (self.is_input[call] || self.reads[call].iter().any(|read| reached[*read]));
            }
            !outputs.iter().any(|output| reached[*output])
        };
        let called_once = |path: &String| self.paths.iter().filter(|other| *other == path).count() == 1;
        (0..self.paths.len())
            .filter(|call| !self.is_input[*call] && called_once(&self.paths[*call]) && separates(*call))
            .map(|call| self.paths[call].clone())
            .collect()
    }
}

/// Whether a model in the graph has several inputs or outputs, or is called several times: what is in it is no place to
/// cut at, though it may separate.
fn nests_simply(graph: &Graph) -> bool {
    graph.layers.iter().enumerate().all(|(index, layer)| match &layer.body {
        Body::Model(inner) => {
            let calls = graph.calls.iter().filter(|call| call.layer == index).count();
            calls == 1 && inner.inputs.len() == 1 && inner.outputs.len() == 1 && nests_simply(inner)
        }
        _ => true,
    })
}

fn check(name: &str, graph: &Graph) {
    let found: BTreeSet<String> = graph.cut_points().into_iter().collect();
    let (flat, outputs) = Flat::of(graph);
    let separators = flat.separators(&outputs);
    let wrong: Vec<_> = found.difference(&separators).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?} do not separate");
    if nests_simply(graph) {
        // a value whose channels are not its last axis is an image to no layer that could be put on it
        let turned = graph.turned_paths();
        assert_eq!(found, separators.difference(&turned).cloned().collect(), "{name}");
    }
}

#[test]
fn the_cut_points_of_every_golden_are_its_separators() {
    let mut cuts = 0;
    for (name, model) in models() {
        check(&name, &model.graph);
        cuts += model.graph.cut_points().len();
    }
    assert!(cuts > 100, "only {cuts} cut points in all goldens");
}

fn layer(name: String, kind: Kind) -> Layer {
    let config = kind.config();
    Layer { name, trainable: true, body: Body::Kind(kind), config }
}

/// A graph of additions and activations: call `i` reads what `picks` says of the calls before it; the first, and each
/// that reads nothing, is an input. What nobody reads is an output.
fn random_graph(picks: &[Vec<prop::sample::Index>]) -> Graph {
    let relu = json!({"activation": "relu"});
    let relu = relu.as_object().expect("an object");
    let mut graph = Graph {
        name: "random".to_owned(),
        form: Form::Functional,
        layers: Vec::new(),
        calls: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    for (index, picks) in picks.iter().enumerate() {
        let reads: BTreeSet<usize> = match index {
            0 => BTreeSet::new(),
            _ => picks.iter().map(|pick| pick.index(index)).collect(),
        };
        let kind: Kind = match reads.len() {
            0 => InputLayer { extents: vec![Some(3)] }.into(),
            1 => read_kind("Activation", &Config::new("relu", relu)).expect("a class").expect("valid"),
            _ => Merge::Add.into(),
        };
        graph.layers.push(layer(format!("layer_{index}"), kind));
        let inputs = reads.into_iter().map(|call| TensorId { call, output: 0 }).collect();
        graph.calls.push(Call { layer: index, inputs });
    }
    let is_read = |call: usize| graph.calls.iter().any(|other| other.inputs.iter().any(|id| id.call == call));
    let ids = (0..graph.calls.len()).map(|call| TensorId { call, output: 0 });
    let (inputs, others): (Vec<_>, Vec<_>) = ids.partition(|id| graph.calls[id.call].inputs.is_empty());
    let outputs = others.into_iter().filter(|id| !is_read(id.call)).collect();
    (graph.inputs, graph.outputs) = (inputs, outputs);
    graph
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_cut_points_of_any_graph_are_its_separators(
        picks in prop::collection::vec(
            prop_oneof![
                1 => Just(Vec::new()),
                9 => prop::collection::vec(any::<prop::sample::Index>(), 1..3),
            ],
            2..10,
        ),
    ) {
        let graph = random_graph(&picks);
        prop_assume!(!graph.outputs.is_empty());
        graph.infer_shapes(&vec![vec![3]; graph.inputs.len()]).expect("a graph that fits together");
        check("random", &graph);
    }

    /// Mostly chains, so that there is something to cut.
    #[test]
    fn the_cut_points_of_a_chain_with_skips_are_its_separators(
        skips in prop::collection::vec(prop::option::weighted(0.3, any::<prop::sample::Index>()), 1..12),
    ) {
        let mut graph = random_graph(&[Vec::new()]);
        for (index, skip) in skips.iter().enumerate() {
            let reads: BTreeSet<usize> =
                std::iter::once(index).chain(skip.map(|skip| skip.index(index + 1))).collect();
            graph.layers.push(layer(format!("layer_{}", index + 1), Merge::Add.into()));
            let inputs = reads.into_iter().map(|call| TensorId { call, output: 0 }).collect();
            graph.calls.push(Call { layer: index + 1, inputs });
        }
        graph.outputs = vec![TensorId { call: skips.len(), output: 0 }];
        check("chain", &graph);
        let last = format!("layer_{}", skips.len());
        prop_assert!(graph.cut_points().contains(&last));
    }
}

#[test]
fn a_plain_stack_is_cut_behind_each_layer_with_a_kernel() -> frostline::Result<()> {
    let model = frostline::formats::load(Path::new("../cli/assets/demo/my_model_A.h5"))?.model;
    let input = model.graph.stand_in_shapes().swap_remove(0);
    let paths = model.graph.counted_paths();
    let top = &paths[paths.len() - 2];
    let found = frostline::graph::cuts(&model, &input, Some(top), 20)?;
    let kernels = model.layers_with_kernels();
    assert_eq!(found.len(), kernels.len() - 1, "{found:?}");
    assert_eq!(&found.last().expect("some").path, top);
    Ok(())
}
