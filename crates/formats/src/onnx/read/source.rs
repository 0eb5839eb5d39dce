//! An ONNX file as nodes and known tensors: checked, with all that can be computed at once computed.

use super::constant::{Constant, Extent, range};
use super::fold;
use super::node::{Attribute, Node};
use crate::onnx::proto::tensor_shape_proto::dimension;
use crate::onnx::proto::{ModelProto, TypeProto, ValueInfoProto, type_proto};
use frostline_graph::{Error, Result};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

/// Versions of ONNX's operators that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;

/// What a model is called on.
pub(super) struct Input {
    pub(super) name: String,
    /// The batch's extent, as the file says it.
    pub(super) batch: Option<i64>,
    /// Without the batch.
    pub(super) extents: Vec<Extent>,
}

/// The file's graph.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) producer: String,
    pub(super) opset: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) constants: BTreeMap<String, Rc<Constant>>,
    /// The names of the tensors that the file stores.
    pub(super) stored: BTreeSet<String>,
    /// The names that nodes read, before any of them was dropped.
    pub(super) reads: BTreeSet<String>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Of the tensors of few bits what they can hold.
    pub(super) ranges: BTreeMap<String, [f32; 2]>,
    /// What may still be computed from known tensors.
    pub(super) budget: fold::Budget,
}

impl Source {
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::format(path, what.to_owned());
        let model = ModelProto::decode(bytes).map_err(|error| {
            wrong(&format!(
                "it cannot be read as an ONNX model: {error}\nhelp: the file is cut off or damaged"
            ))
        })?;
        let graph = model
            .graph
            .ok_or_else(|| wrong("it holds no graph\nhelp: the file is no ONNX model, or damaged"))?;
        let is_own = |domain: Option<&str>| matches!(domain, None | Some("" | "ai.onnx"));
        let own = model.opset_import.iter().find(|opset| is_own(opset.domain.as_deref()));
        let opset = own.and_then(|opset| opset.version).unwrap_or(1);
        if !OPSETS.contains(&opset) {
            return Err(wrong(&format!(
                "it is of ONNX opset {opset}\nhelp: opsets {} to {} can be read: export it with `opset_version=17`, or convert it with `onnx.version_converter`",
                OPSETS.start(),
                OPSETS.end()
            )));
        }
        if !graph.sparse_initializer.is_empty() {
            return Err(wrong("it holds sparse tensors\nhelp: save it with dense weights"));
        }
        let (mut constants, mut ranges) = (BTreeMap::new(), BTreeMap::new());
        for tensor in graph.initializer {
            let name = tensor.name.clone().unwrap_or_default();
            ranges.extend(range(tensor.data_type).map(|range| (name.clone(), range)));
            constants.insert(name, Rc::new(Constant::read(path, tensor)?));
        }
        let stored: BTreeSet<String> = constants.keys().cloned().collect();
        let elements = constants.values().map(|constant| constant.len()).sum();
        // before IR version 4 the weights are among the inputs
        let inputs = graph.input.into_iter().filter(|input| !stored.contains(input.name()));
        let inputs = inputs.map(|input| read_input(path, input)).collect::<Result<Vec<_>>>()?;
        if inputs.is_empty() || graph.output.is_empty() {
            return Err(wrong("its graph has no input or no output\nhelp: the file is damaged"));
        }
        let nodes = graph.node.into_iter().map(|node| Node::read(path, node)).collect::<Result<Vec<_>>>()?;
        let metadata = model
            .metadata_props
            .into_iter()
            .map(|entry| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default()));
        let mut source = Self {
            name: graph.name.unwrap_or_default(),
            producer: model.producer_name.unwrap_or_default(),
            opset,
            nodes: Vec::new(),
            constants,
            stored,
            reads: nodes.iter().flat_map(|node| &node.inputs).cloned().collect(),
            inputs,
            outputs: graph.output.into_iter().map(|output| output.name.unwrap_or_default()).collect(),
            metadata: metadata.collect(),
            ranges,
            budget: fold::Budget::new(elements),
        };
        for mut node in nodes {
            if opset < 13 && node.op == "Softmax" {
                // it goes over all axes from this one on
                node.attributes.entry("axis".to_owned()).or_insert(Attribute::Int(1));
                node.attributes.insert("several".to_owned(), Attribute::Int(1));
            }
            for node in source.split(&node).unwrap_or_else(|| vec![node]) {
                if !source.fold(&node) {
                    source.nodes.push(node);
                }
            }
        }
        Ok(source)
    }

    /// A `Split` as a `Slice` for each of its outputs; `None` where their sizes are not known.
    fn split(&self, node: &Node) -> Option<Vec<Node>> {
        let sizes = match (node.op.as_str(), node.ints("split")) {
            ("Split", Some(sizes)) => sizes.to_vec(),
            ("Split", None) if node.input(1).is_some() => self.constant(node.input(1)?)?.as_known()?,
            // equal parts of a known tensor
            ("Split", None) => {
                let x = self.constant(node.input(0)?)?;
                let axis = fold::axis_of(node.int("axis").unwrap_or(0), x.dims.len())?;
                let part = x.dims.get(axis)?.div_ceil(node.outputs.len().max(1));
                vec![part as i64; node.outputs.len()]
            }
            _ => return None,
        };
        let axis = node.int("axis").unwrap_or(0);
        let mut start = 0i64;
        let mut parts = Vec::with_capacity(sizes.len());
        for (size, output) in sizes.iter().zip(&node.outputs) {
            let end = start.checked_add(*size)?;
            let list = |number: i64| Attribute::Ints(vec![number]);
            let attributes = [("starts", list(start)), ("ends", list(end)), ("axes", list(axis))];
            parts.push(Node {
                op: "Slice".to_owned(),
                inputs: node.inputs.iter().take(1).cloned().collect(),
                outputs: vec![output.clone()],
                attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                ..node.clone()
            });
            start = end;
        }
        Some(parts)
    }

    /// Computes a node of which all inputs are known.
    fn fold(&mut self, node: &Node) -> bool {
        let inputs: Option<Vec<Option<&Constant>>> = (0..node.inputs.len())
            .map(|index| match node.input(index) {
                None => Some(None),
                Some(name) => self.constants.get(name).map(|constant| Some(constant.as_ref())),
            })
            .collect();
        let Some(value) = inputs.and_then(|inputs| self.budget.evaluate(node, &inputs)) else { return false };
        self.constants.insert(node.output().to_owned(), Rc::new(value));
        true
    }

    pub(super) fn constant(&self, name: &str) -> Option<&Rc<Constant>> {
        self.constants.get(name)
    }

    /// The one number that a known tensor holds, in whatever shape.
    pub(super) fn number(&self, name: &str) -> Option<f32> {
        self.constants.get(name)?.uniform()
    }

    /// Which node makes a value.
    pub(super) fn producers(&self) -> BTreeMap<String, usize> {
        let outputs = |(index, node): (usize, &Node)| {
            node.outputs.iter().map(move |name| (name.clone(), index)).collect::<Vec<_>>()
        };
        self.nodes.iter().enumerate().flat_map(outputs).filter(|(name, _)| !name.is_empty()).collect()
    }

    /// How often each value is read, as an output of the model too.
    pub(super) fn uses(&self) -> BTreeMap<String, usize> {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        let read = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        read.for_each(|name| *uses.entry(name.clone()).or_default() += 1);
        uses
    }

    /// Drops the nodes that no output needs.
    pub(super) fn prune(&mut self) {
        let mut needed: BTreeSet<&str> = self.outputs.iter().map(String::as_str).collect();
        let mut live = vec![false; self.nodes.len()];
        for (node, live) in self.nodes.iter().zip(&mut live).rev() {
            if node.outputs.iter().any(|name| needed.contains(name.as_str())) {
                *live = true;
                needed.extend(node.inputs.iter().map(String::as_str));
            }
        }
        let mut flags = live.into_iter();
        self.nodes.retain(|_| flags.next().unwrap_or(false));
    }
}

impl ValueInfoProto {
    fn shape(&self) -> Option<&[crate::onnx::proto::tensor_shape_proto::Dimension]> {
        match self.r#type.as_ref()? {
            TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. } => {
                Some(&tensor.shape.as_ref()?.dim)
            }
            _ => None,
        }
    }
}

fn read_input(path: &Path, input: ValueInfoProto) -> Result<Input> {
    let name = input.name().to_owned();
    let shape = input.shape().ok_or_else(|| {
        Error::format(path, format!("its input `{name}` has no shape\nhelp: export it with the shape of its input, or set it with `onnx.tools.update_model_dims`"))
    })?;
    let extent = |dim: &crate::onnx::proto::tensor_shape_proto::Dimension| match &dim.value {
        Some(dimension::Value::DimValue(extent)) if (1..1 << 24).contains(extent) => Extent::Known(*extent),
        _ => Extent::Open,
    };
    let all: Vec<Extent> = shape.iter().map(extent).collect();
    let (batch, extents) = match all.split_first() {
        Some((Extent::Known(batch), rest)) => (Some(*batch), rest.to_vec()),
        Some((_, rest)) => (None, rest.to_vec()),
        None => {
            return Err(Error::format(
                path,
                format!("its input `{name}` is one number\nhelp: images are expected"),
            ));
        }
    };
    Ok(Input { name, batch, extents })
}
