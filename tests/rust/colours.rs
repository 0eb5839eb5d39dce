//! A model that tells red from blue, and pictures of both.

use frostline::data::{Image, Pixels};
use frostline::graph::{Body, Call, Form, Graph, Layer, Model, TensorId, Weights};
use frostline::layers::{Config, InputLayer, Kind, LayerKind, parse_head, read_kind};
use serde_json::json;

/// The sides of the model's input.
pub(crate) const SIDE: usize = 16;

/// Red speaks for class 0, blue for class 1: `conv2d`, `max_pooling2d`, `global_average_pooling2d`, `dense`.
pub(crate) fn model() -> Model {
    let input = InputLayer { extents: vec![Some(SIDE), Some(SIDE), Some(3)] };
    let config = input.config();
    let layer = Layer { name: "input".to_owned(), trainable: true, body: Body::Kind(input.into()), config };
    let end = vec![TensorId { call: 0, output: 0 }];
    let graph = Graph {
        name: "colours".to_owned(),
        form: Form::Sequential,
        layers: vec![layer],
        calls: vec![Call { layer: 0, inputs: Vec::new() }],
        inputs: end.clone(),
        outputs: end,
    };
    let kind = |class: &str, config: serde_json::Value| -> Kind {
        read_kind(class, &Config::new("layer", config.as_object().expect("an object")))
            .expect("a class")
            .expect("valid")
    };
    let mut kinds = vec![
        kind("Conv2D", json!({"filters": 2, "kernel_size": [1, 1], "activation": "relu"})),
        kind("MaxPooling2D", json!({"pool_size": [2, 2]})),
    ];
    kinds.extend(parse_head("gap dense(2,softmax)").expect("layers"));
    let mut model = Model { graph, weights: Weights::default(), info: Default::default() };
    model.add_layers(kinds, &[vec![SIDE, SIDE, 3]], 0).expect("layers that fit");
    let set = |path: &str, values: &[f32]| model.weights.get(path).expect("a weight").set(values);
    // red and blue, less green
    set("conv2d/kernel", &[1.0, 0.0, -1.0, -1.0, 0.0, 1.0]);
    set("dense/kernel", &[0.02, -0.01, -0.01, 0.02]);
    model
}

/// Grey but for a red field and a blue one, each `[top, left, bottom, right]`.
pub(crate) fn picture(height: usize, width: usize, red: [usize; 4], blue: [usize; 4]) -> Image {
    let is_in = |[top, left, bottom, right]: [usize; 4], y: usize, x: usize| {
        (top..bottom).contains(&y) && (left..right).contains(&x)
    };
    let colour = |at: usize| match (at / width, at % width) {
        (y, x) if is_in(red, y, x) => [250, 10, 10],
        (y, x) if is_in(blue, y, x) => [10, 10, 250],
        _ => [90, 90, 90],
    };
    Image { height, width, channels: 3, pixels: Pixels::U8((0..height * width).flat_map(colour).collect()) }
}
