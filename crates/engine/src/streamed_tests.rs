//! What is written past the caches holds the same numbers as what is not.

use super::{LossInput, Statistics, Suffix};
use frostline_graph::Extents;
use frostline_graph::ops::{
    BatchNorm, Binary, BinaryKind, Conv2d, Depthwise, LayerInfo, Lowering, Padding, Program, Role, Sliding,
    ValueId,
};
use frostline_kernels::Activation;

const SIZE: [usize; 3] = [6, 5, 8];
const BATCH: usize = 11;

fn number(i: usize) -> f32 {
    (i * 7919 % 1999) as f32 / 1000.0 - 1.0
}

fn batch_norm(net: &mut Lowering<'_>, x: ValueId, activation: Activation) -> ValueId {
    let channels = net.shape(x)[2];
    let roles = [Role::Trainable, Role::Trainable, Role::State, Role::State];
    let mut place = 0..;
    let mut name = || format!("{}/{}", x.0, place.next().unwrap_or_default());
    let params = roles.map(|role| net.weight(&name(), &[channels], role));
    let op = BatchNorm { epsilon: 1e-3, momentum: 0.9, scale: true, center: true, activation };
    net.push(op, &[x], &params).expect("a shape that fits")
}

fn pointwise(net: &mut Lowering<'_>, x: ValueId, channels: usize) -> ValueId {
    let kernel = net.weight(&format!("kernel/{}", x.0), &[1, 1, net.shape(x)[2], channels], Role::Trainable);
    let op = Conv2d {
        sliding: Sliding::default(),
        groups: 1,
        bias: false,
        activation: Activation::Linear,
        residual: false,
    };
    net.push(op, &[x], &[kernel]).expect("a shape that fits")
}

/// A block that expands, filters and projects; the expanded value has two readers, one of them in a later segment.
fn block() -> Program {
    let mut program = Program::default();
    program.layers.push(LayerInfo { path: "block".to_owned(), frozen: false, inference: false });
    let input = program.value(SIZE.to_vec());
    program.inputs.push(input);
    let net = &mut Lowering::new(&mut program, 0);
    let expanded = pointwise(net, input, 12);
    let expanded = batch_norm(net, expanded, Activation::relu6());
    let kernel = net.weight("filter", &[3, 3, 12, 1], Role::Trainable);
    let op = Depthwise {
        sliding: Sliding { padding: Padding::Same, ..Sliding::default() },
        bias: false,
        activation: Activation::Linear,
    };
    let filtered = net.push(op, &[expanded], &[kernel]).expect("a shape that fits");
    let filtered = batch_norm(net, filtered, Activation::relu6());
    let op = Binary { kind: BinaryKind::Add };
    let sum = net.push(op, &[filtered, expanded], &[]).expect("a shape that fits");
    let projected = pointwise(net, sum, 4);
    let projected = batch_norm(net, projected, Activation::Linear);
    program.outputs = vec![projected];
    program
}

/// All that a step and a prediction after it compute, and how many values and gradients were streamed.
fn results(streamed_bytes: usize) -> (Vec<Vec<f32>>, [usize; 2]) {
    let program = block();
    let weights = program.params.iter().enumerate().map(|(index, param)| {
        let value = |i| number(i + 31 * index).abs();
        (0..param.shape.iter().product()).map(value).collect()
    });
    let weights = weights.collect();
    let mut suffix = Suffix::streaming_from(streamed_bytes, program, weights, BATCH, Statistics::Batch, &[]);
    let rows: Vec<f32> = (0..BATCH * SIZE.elements()).map(number).collect();
    suffix.forward_training(&rows, BATCH, 0);
    let mut results = vec![suffix.output(BATCH).to_vec()];
    suffix.backward(BATCH, LossInput::Output, |gradient| {
        gradient.iter_mut().enumerate().for_each(|(i, value)| *value = number(3 * i));
    });
    results.extend(suffix.trained().map(|(_, _, gradient)| gradient.to_vec()));
    results.push(suffix.predict(&rows, BATCH).to_vec());
    (results, suffix.streamed())
}

#[test]
fn streaming_changes_no_bit() {
    // of the three convolutions and of the second normalisation, whose only reader runs in one segment
    let (streamed, counts) = results(0);
    let (stored, none) = results(usize::MAX);
    assert_eq!((counts, none), ([3, 1], [0, 0]));
    assert!(streamed.iter().flatten().all(|value| value.is_finite()));
    assert!(streamed.iter().all(|values| values.iter().any(|value| *value != 0.0)));
    assert_eq!(streamed, stored);
}
