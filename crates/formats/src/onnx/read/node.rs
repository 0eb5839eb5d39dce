//! A node of an ONNX graph with its attributes, typed.

use super::constant::Constant;
use crate::onnx::proto::{AttributeProto, NodeProto};
use frostline_graph::Result;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// An attribute of a kind that is read.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(String),
    Texts(Vec<String>),
    Tensor(Rc<Constant>),
    /// A subgraph, or what else no layer has.
    Other,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The operator; with its domain where that is not ONNX's own.
    pub(super) op: String,
    pub(super) name: String,
    /// The modules that PyTorch called one in the other to come here, where its exporter has noted them.
    pub(super) module: Option<String>,
    /// Empty for an input that is left out.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: BTreeMap<String, Attribute>,
}

impl Node {
    pub(super) fn read(path: &Path, node: NodeProto) -> Result<Self> {
        let op = node.op_type.unwrap_or_default();
        let op = match node.domain.as_deref() {
            None | Some("" | "ai.onnx") => op,
            Some(domain) => format!("{domain}.{op}"),
        };
        let scopes = node
            .metadata_props
            .iter()
            .find(|entry| entry.key.as_deref() == Some("pkg.torch.onnx.name_scopes"));
        let module = scopes.and_then(|entry| innermost_module(entry.value.as_deref()?));
        let mut attributes = BTreeMap::new();
        for mut attribute in node.attribute {
            let name = std::mem::take(&mut attribute.name).unwrap_or_default();
            attributes.insert(name, read_attribute(path, attribute)?);
        }
        let name = node.name.unwrap_or_default();
        Ok(Self { op, name, module, inputs: node.input, outputs: node.output, attributes })
    }

    /// The name of an input that is there.
    pub(super) fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of the first output.
    pub(super) fn output(&self) -> &str {
        self.outputs.first().map_or("", String::as_str)
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Attribute::Int(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        match self.attributes.get(name) {
            Some(Attribute::Float(number)) => *number,
            _ => default,
        }
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(numbers)) => Some(numbers),
            _ => None,
        }
    }

    pub(super) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => text,
            _ => default,
        }
    }

    pub(super) fn texts(&self, name: &str) -> Option<&[String]> {
        match self.attributes.get(name) {
            Some(Attribute::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub(super) fn floats(&self, name: &str) -> &[f32] {
        match self.attributes.get(name) {
            Some(Attribute::Floats(numbers)) => numbers,
            _ => &[],
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&Rc<Constant>> {
        match self.attributes.get(name) {
            Some(Attribute::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    pub(super) fn has_subgraph(&self) -> bool {
        self.attributes.values().any(|attribute| matches!(attribute, Attribute::Other))
    }
}

/// `['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']`: the last but one is the module.
fn innermost_module(scopes: &str) -> Option<String> {
    let names: Vec<&str> = scopes
        .trim_matches(['[', ']'])
        .split(',')
        .map(|name| name.trim().trim_matches(['\'', '"']))
        .collect();
    let (_, modules) = names.split_last()?;
    modules.last().filter(|module| !module.is_empty()).map(|module| (*module).to_owned())
}

fn read_attribute(path: &Path, attribute: AttributeProto) -> Result<Attribute> {
    use crate::onnx::proto::attribute_proto::AttributeType as Type;
    // files before ONNX 1.0 leave the type out
    let kind = attribute.r#type.and_then(|kind| Type::try_from(kind).ok()).unwrap_or(Type::Undefined);
    Ok(match kind {
        Type::Int => Attribute::Int(attribute.i.unwrap_or_default()),
        Type::Float => Attribute::Float(attribute.f.unwrap_or_default()),
        Type::Ints => Attribute::Ints(attribute.ints),
        Type::Floats => Attribute::Floats(attribute.floats),
        Type::String => Attribute::Text(text(&attribute.s.unwrap_or_default())),
        Type::Strings => Attribute::Texts(attribute.strings.iter().map(|bytes| text(bytes)).collect()),
        Type::Tensor => match attribute.t {
            Some(tensor) => Attribute::Tensor(Rc::new(Constant::read(path, tensor)?)),
            None => Attribute::Other,
        },
        _ => Attribute::Other,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_module_names_a_node() {
        let scopes = "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']";
        assert_eq!(innermost_module(scopes).as_deref(), Some("layer1.0.conv1"));
        assert_eq!(innermost_module("['', 'conv2d']"), None);
        assert_eq!(innermost_module(""), None);
    }
}
