//! ONNX graphs: nodes are taken out, doubled and exchanged; operators, attributes, edges, shapes, types and names change.

use super::{bytes, chance, number, one_of};
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, type_proto,
};
use fastrand::Rng;
use prost::Message;

/// Operators that a node may become.
const OPERATORS: [&str; 84] = [
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DepthToSpace",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "If",
    "InstanceNormalization",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Loop",
    "LpNormalization",
    "MatMul",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "NonZero",
    "Not",
    "OneHot",
    "PRelu",
    "Pad",
    "Pow",
    "QuantizeLinear",
    "Range",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "ScatterND",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
    "Where",
];
const ATTRIBUTES: [&str; 30] = [
    "axis",
    "axes",
    "perm",
    "pads",
    "strides",
    "dilations",
    "kernel_shape",
    "group",
    "auto_pad",
    "ceil_mode",
    "keepdims",
    "epsilon",
    "alpha",
    "beta",
    "transA",
    "transB",
    "value",
    "to",
    "mode",
    "start",
    "end",
    "starts",
    "ends",
    "split",
    "num_outputs",
    "equation",
    "blocksize",
    "count_include_pad",
    "output_shape",
    "num_groups",
];

/// The graph changes; now and then any bytes do.
pub fn onnx(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Some(mut model) = ModelProto::decode(file).ok().filter(|_| !chance(rng, 20)) else {
        return bytes(rng, file, others);
    };
    let other = match chance(rng, 15) {
        true => one_of(rng, others).and_then(|other| ModelProto::decode(other.as_slice()).ok()?.graph),
        false => None,
    };
    for _ in 0..=rng.usize(..4) {
        match model.graph.as_mut().filter(|_| !chance(rng, 4)) {
            Some(graph) => change(rng, graph, other.as_ref()),
            None => {
                if let Some(set) = model.opset_import.first_mut() {
                    set.version = Some(rng.i64(1..28));
                }
            }
        }
    }
    model.encode_to_vec()
}

fn change(rng: &mut Rng, graph: &mut GraphProto, other: Option<&GraphProto>) {
    let edge = edge(rng, graph);
    match rng.u8(..20) {
        0 if !graph.node.is_empty() => drop(graph.node.remove(rng.usize(..graph.node.len()))),
        1 => {
            if let Some(node) = one_of(rng, &graph.node).cloned() {
                let mut node = node;
                // a copy beside the first, which goes on from it
                for output in &mut node.output {
                    output.push('\'');
                }
                let at = rng.usize(..=graph.node.len());
                graph.node.insert(at, node);
            }
        }
        2 if graph.node.len() > 1 => {
            let (one, two) = (rng.usize(..graph.node.len()), rng.usize(..graph.node.len()));
            graph.node.swap(one, two);
        }
        3 => between(rng, graph),
        4 => {
            if let Some(node) = other.and_then(|other| one_of(rng, &other.node)) {
                let mut node = node.clone();
                if let Some(input) = node.input.first_mut() {
                    *input = edge;
                }
                let at = rng.usize(..=graph.node.len());
                graph.node.insert(at, node);
            }
        }
        5..=11 => {
            if graph.node.is_empty() {
                return;
            }
            let at = rng.usize(..graph.node.len());
            change_node(rng, &mut graph.node[at], edge);
        }
        12..=15 => {
            if graph.initializer.is_empty() {
                return;
            }
            let at = rng.usize(..graph.initializer.len());
            if chance(rng, 8) {
                graph.initializer.remove(at);
            } else {
                change_tensor(rng, &mut graph.initializer[at], &edge);
            }
        }
        16 | 17 => {
            let infos = if chance(rng, 80) { &mut graph.input } else { &mut graph.output };
            let Some(info) = infos.first_mut() else { return };
            let shape = info.r#type.as_mut().and_then(|kind| match &mut kind.value {
                Some(type_proto::Value::TensorType(tensor)) => {
                    if chance(rng, 10) {
                        tensor.elem_type = Some(rng.i32(..24));
                    }
                    Some(tensor.shape.get_or_insert_with(TensorShapeProto::default))
                }
                _ => None,
            });
            if let Some(shape) = shape {
                change_shape(rng, shape);
            }
        }
        18 => {
            if let Some(output) = graph.output.first_mut() {
                output.name = Some(edge);
            }
        }
        _ => {
            let copies = if chance(rng, 10) { 100 } else { 1 };
            for _ in 0..copies {
                between(rng, graph);
            }
        }
    }
}

/// A name that something is called in a graph.
fn edge(rng: &mut Rng, graph: &GraphProto) -> String {
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    let constants = graph.initializer.iter().filter_map(|tensor| tensor.name.as_ref());
    let inputs = graph.input.iter().filter_map(|input| input.name.as_ref());
    let all: Vec<&String> = outputs.chain(constants).chain(inputs).collect();
    one_of(rng, &all).map_or_else(String::new, |name| (*name).clone())
}

/// Puts a node between two.
fn between(rng: &mut Rng, graph: &mut GraphProto) {
    if graph.node.is_empty() {
        return;
    }
    let at = rng.usize(..graph.node.len());
    let Some(input) = graph.node[at].input.first().cloned() else { return };
    let name = format!("{input}~{}", rng.u16(..));
    let node = NodeProto {
        input: vec![input],
        output: vec![name.clone()],
        op_type: Some(OPERATORS[rng.usize(..OPERATORS.len())].to_owned()),
        ..NodeProto::default()
    };
    graph.node[at].input[0] = name;
    graph.node.insert(at, node);
}

fn change_node(rng: &mut Rng, node: &mut NodeProto, edge: String) {
    match rng.u8(..12) {
        0 => node.op_type = Some(OPERATORS[rng.usize(..OPERATORS.len())].to_owned()),
        1 if !node.input.is_empty() => {
            let at = rng.usize(..node.input.len());
            node.input[at] = if chance(rng, 20) { String::new() } else { edge };
        }
        2 => node.input.push(edge),
        3 => drop(node.input.pop()),
        4 if !node.output.is_empty() => {
            let at = rng.usize(..node.output.len());
            node.output[at] = if chance(rng, 50) { String::new() } else { edge };
        }
        5 if !node.attribute.is_empty() => drop(node.attribute.remove(rng.usize(..node.attribute.len()))),
        6 => node.name = Some(["", "a/b", "../x", "\u{1b}[31m", "same"][rng.usize(..5)].to_owned()),
        7 => {
            let name = ATTRIBUTES[rng.usize(..ATTRIBUTES.len())].to_owned();
            let ints: Vec<i64> = (0..rng.usize(..6)).map(|_| number(rng)).collect();
            let mut attribute = AttributeProto { name: Some(name), ..AttributeProto::default() };
            match rng.u8(..3) {
                0 => (attribute.i, attribute.r#type) = (Some(number(rng)), Some(2)),
                1 => (attribute.ints, attribute.r#type) = (ints, Some(7)),
                _ => (attribute.f, attribute.r#type) = (Some(rng.f32() * 10.0 - 5.0), Some(1)),
            }
            node.attribute.push(attribute);
        }
        _ if !node.attribute.is_empty() => {
            let at = rng.usize(..node.attribute.len());
            change_attribute(rng, &mut node.attribute[at]);
        }
        _ => {}
    }
}

fn change_attribute(rng: &mut Rng, attribute: &mut AttributeProto) {
    if chance(rng, 5) {
        attribute.r#type = Some(rng.i32(..15));
    }
    if let Some(value) = &mut attribute.i {
        *value = number(rng);
    }
    if let Some(value) = &mut attribute.f {
        *value = [0.0, -1.0, f32::NAN, f32::INFINITY, 1e38, 1e-38, 0.5][rng.usize(..7)];
    }
    if let Some(text) = &mut attribute.s {
        *text = match rng.bool() {
            true => bytes(rng, text, &[]),
            false => {
                [&b"SAME_UPPER"[..], b"VALID", b"linear", b"cubic", b"reflect", b"edge", b"", b"ij,jk->ik"]
                    [rng.usize(..8)]
                .to_vec()
            }
        };
    }
    if let Some(tensor) = &mut attribute.t {
        change_tensor(rng, tensor, "");
    }
    match rng.u8(..5) {
        0 => attribute.ints.push(number(rng)),
        1 => drop(attribute.ints.pop()),
        _ if !attribute.ints.is_empty() => {
            let at = rng.usize(..attribute.ints.len());
            attribute.ints[at] = number(rng);
        }
        _ => {}
    }
}

fn change_tensor(rng: &mut Rng, tensor: &mut TensorProto, edge: &str) {
    match rng.u8(..8) {
        0 if !tensor.dims.is_empty() => {
            let at = rng.usize(..tensor.dims.len());
            tensor.dims[at] = number(rng);
        }
        1 => tensor.dims.push(1),
        2 => drop(tensor.dims.pop()),
        3 => tensor.dims.reverse(),
        4 => tensor.data_type = Some(rng.i32(..26)),
        5 => tensor.name = Some(edge.to_owned()),
        _ => {
            if let Some(raw) = &mut tensor.raw_data {
                // whole numbers are shapes, axes and places
                match tensor.data_type {
                    Some(7) if raw.len() >= 8 => {
                        let at = rng.usize(..raw.len() / 8) * 8;
                        raw[at..at + 8].copy_from_slice(&number(rng).to_le_bytes());
                    }
                    _ => *raw = bytes(rng, raw, &[]),
                }
            }
            if !tensor.int64_data.is_empty() {
                let at = rng.usize(..tensor.int64_data.len());
                tensor.int64_data[at] = number(rng);
            }
            if !tensor.float_data.is_empty() {
                let at = rng.usize(..tensor.float_data.len());
                tensor.float_data[at] = [0.0, f32::NAN, f32::INFINITY, -1.0, 1e38][rng.usize(..5)];
            }
        }
    }
}

fn change_shape(rng: &mut Rng, shape: &mut TensorShapeProto) {
    let dim = Dimension {
        value: match chance(rng, 25) {
            true => Some(dimension::Value::DimParam("n".to_owned())),
            false => Some(dimension::Value::DimValue(number(rng))),
        },
        ..Dimension::default()
    };
    match rng.u8(..5) {
        0 => shape.dim.push(dim),
        1 => drop(shape.dim.pop()),
        _ if !shape.dim.is_empty() => {
            let at = rng.usize(..shape.dim.len());
            shape.dim[at] = dim;
        }
        _ => {}
    }
}
