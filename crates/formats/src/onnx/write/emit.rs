//! The ONNX graph as it grows: nodes, initializers, and where each value lies in both layouts.

use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::proto::tensor_proto::DataType;
use crate::onnx::proto::{AttributeProto, NodeProto, TensorProto};
use frostline_graph::Shape;
use std::collections::BTreeSet;

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(&'a str),
    Texts(Vec<&'a str>),
}

/// A value: images are written with the channels last, as Keras has them, or first, as ONNX's convolutions want them. Each is
/// made when it is first asked for.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// `[batch, height, width, channels]`, and all that is no image.
    pub(super) last: Option<String>,
    /// `[batch, channels, height, width]`.
    pub(super) first: Option<String>,
    /// Without the batch, channels last, for a small and a large image: what differs is open.
    pub(super) shapes: [Shape; 2],
}

impl Value {
    pub(super) fn is_image(&self) -> bool {
        self.shapes[0].len() == 3
    }

    /// The number of channels.
    pub(super) fn channels(&self) -> usize {
        self.shapes[0].last().copied().unwrap_or(1)
    }

    /// An extent of the shape, where it is not open.
    pub(super) fn known(&self, axis: usize) -> Option<usize> {
        let [small, large] = self.shapes.each_ref().map(|shape| shape.get(axis).copied());
        small.filter(|_| small == large)
    }
}

/// What has been written so far.
pub(super) struct Emitter {
    /// The version of ONNX's operators.
    pub(super) opset: i64,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    taken: BTreeSet<String>,
}

impl Emitter {
    pub(super) fn new(opset: i64) -> Self {
        Self { opset, nodes: Vec::new(), initializers: Vec::new(), taken: BTreeSet::new() }
    }

    /// The name, with a number behind it where it is taken.
    pub(super) fn unused(&mut self, name: &str) -> String {
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let mut all = std::iter::once(name.to_owned()).chain(numbered);
        let found = all.find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(found.clone());
        found
    }

    /// A node of the layer at `path`, and the name of its result.
    pub(super) fn node(
        &mut self,
        path: &str,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        let name = self.unused(&format!("{path}/{op}"));
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(op.to_owned()),
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
        name
    }

    /// A node with two results.
    pub(super) fn node_of_two(
        &mut self,
        path: &str,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> [String; 2] {
        let first = self.node(path, op, inputs, attributes);
        let second = self.unused(&first);
        if let Some(node) = self.nodes.last_mut() {
            node.output.push(second.clone());
        }
        [first, second]
    }

    /// A stored tensor, and its name.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], data: &[f32]) -> String {
        let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, dims, DataType::Float, raw)
    }

    /// A stored list of whole numbers.
    pub(super) fn whole(&mut self, name: &str, data: &[i64]) -> String {
        let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[data.len()], DataType::Int64, raw)
    }

    /// A stored list of numbers of twice the precision.
    pub(super) fn doubles(&mut self, name: &str, data: &[f64]) -> String {
        let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[data.len()], DataType::Double, raw)
    }

    /// One stored number.
    pub(super) fn number(&mut self, name: &str, value: f32) -> String {
        self.floats(name, &[], &[value])
    }

    /// Layers that are called twice store their weights once.
    fn tensor(&mut self, name: &str, dims: &[usize], kind: DataType, raw: Vec<u8>) -> String {
        let mut tensor = TensorProto {
            name: Some(name.to_owned()),
            dims: dims.iter().map(|dim| *dim as i64).collect(),
            data_type: Some(kind as i32),
            raw_data: Some(raw),
            ..TensorProto::default()
        };
        if self.taken.contains(name) && self.initializers.contains(&tensor) {
            return name.to_owned();
        }
        let name = self.unused(name);
        tensor.name = Some(name.clone());
        self.initializers.push(tensor);
        name
    }

    /// `x · scale + offset`, each one number or a tensor of these extents; what changes nothing is left out.
    pub(super) fn affine(
        &mut self,
        path: &str,
        x: &str,
        dims: &[usize],
        scale: &[f32],
        offset: &[f32],
    ) -> String {
        let mut x = x.to_owned();
        for (op, numbers, neutral) in [("Mul", scale, 1.0), ("Add", offset, 0.0)] {
            if numbers.iter().all(|number| *number == neutral) {
                continue;
            }
            let name = format!("{path}/{}", if op == "Mul" { "scale" } else { "offset" });
            let numbers = match numbers {
                [one] => self.number(&name, *one),
                many => self.floats(&name, dims, many),
            };
            x = self.node(path, op, &[&x, &numbers], &[]);
        }
        x
    }

    /// The value with its channels behind the batch.
    pub(super) fn first(&mut self, value: &mut Value, path: &str) -> String {
        let Value { first, last, .. } = value;
        let last = last.clone().unwrap_or_default();
        first.get_or_insert_with(|| self.transpose(path, &last, &[0, 3, 1, 2])).clone()
    }

    /// The value as Keras has it.
    pub(super) fn last(&mut self, value: &mut Value, path: &str) -> String {
        let Value { first, last, .. } = value;
        let first = first.clone().unwrap_or_default();
        last.get_or_insert_with(|| self.transpose(path, &first, &[0, 2, 3, 1])).clone()
    }

    /// In another shape, batch counted: 0 copies an extent, −1 counts one.
    pub(super) fn reshape(&mut self, path: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.whole(&format!("{path}/shape"), shape);
        self.node(path, "Reshape", &[x, &shape], &[])
    }

    /// Matrices times a matrix, and what is added to each row.
    pub(super) fn product(&mut self, path: &str, x: &str, kernel: &str, bias: Option<&str>) -> String {
        let product = self.node(path, "MatMul", &[x, kernel], &[]);
        match bias {
            Some(bias) => self.node(path, "Add", &[&product, bias], &[]),
            None => product,
        }
    }

    pub(super) fn transpose(&mut self, path: &str, x: &str, order: &[i64]) -> String {
        self.node(path, "Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    }
}

fn attribute((name, value): &(&str, Attribute<'_>)) -> AttributeProto {
    let mut made = AttributeProto { name: Some((*name).to_owned()), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Int(number) => {
            made.i = Some(*number);
            AttributeType::Int
        }
        Attribute::Ints(numbers) => {
            made.ints.clone_from(numbers);
            AttributeType::Ints
        }
        Attribute::Float(number) => {
            made.f = Some(*number);
            AttributeType::Float
        }
        Attribute::Floats(numbers) => {
            made.floats.clone_from(numbers);
            AttributeType::Floats
        }
        Attribute::Texts(texts) => {
            made.strings = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            AttributeType::Strings
        }
        Attribute::Text(text) => {
            made.s = Some(text.as_bytes().to_vec());
            AttributeType::String
        }
    };
    made.r#type = Some(kind as i32);
    made
}
