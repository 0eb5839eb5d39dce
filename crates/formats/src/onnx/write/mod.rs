//! A [`Model`] to ONNX, opset 17.
//!
//! The model is called on `[batch, height, width, channels]`, as its Keras input says; inside, images have their channels
//! first, as ONNX's convolutions want them, with a `Transpose` where that changes.

mod activation;
mod attention;
mod by_ops;
mod elementwise;
mod emit;
mod kernels;
mod layer;
mod merge;
mod normalization;
mod operations;
mod preprocessing;
mod recurrent;
mod resize;
mod sequence;
mod volumes;
mod window;

use super::metadata;
use super::proto::{
    GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};
use crate::{EmbeddedKernel, EmbeddedPreprocessing};
use emit::{Emitter, Value};
use frostline_graph::{Error, Model, Result, Shape};
use layer::Writer;
use prost::Message;
use std::path::Path;

/// The version of ONNX's operators that is written, and the version of the file's form that goes with it.
const OPSET: i64 = 17;
/// Where images are averaged as they shrink.
const AVERAGING_OPSET: i64 = 18;
const IR_VERSION: i64 = 8;
/// Protobuf takes no message of more bytes.
const MOST_BYTES: usize = i32::MAX as usize;

/// A whole model as a file. The same model gives the same bytes.
pub(crate) fn to_bytes(
    path: &Path,
    model: &Model,
    preprocessing: Option<&EmbeddedPreprocessing>,
) -> Result<Vec<u8>> {
    let wrong = |message: String| Error::format(path, message);
    let averages = |wanted: &EmbeddedPreprocessing| {
        matches!(wanted.kernel, EmbeddedKernel::AveragedBilinear | EmbeddedKernel::AveragedBicubic)
    };
    let opset = if preprocessing.is_some_and(averages) { AVERAGING_OPSET } else { OPSET };
    let mut writer = Writer {
        emit: Emitter::new(opset),
        weights: &model.weights,
        values: Vec::new(),
        over_one_axis: false,
    };
    let (mut inputs, mut values, mut pixels) = (Vec::new(), Vec::new(), None);
    for (id, extents) in model.graph.inputs.iter().zip(model.graph.input_shapes()) {
        let name = model.graph.layers[model.graph.calls[id.call].layer].name.clone();
        let name = writer.emit.unused(&name);
        let sizes =
            [224, 256].map(|size| extents.iter().map(|extent| extent.unwrap_or(size)).collect::<Shape>());
        let value = match preprocessing {
            None => {
                inputs.push(info(&name, DataType::Float, &extents));
                Value { last: Some(name), first: None, shapes: sizes }
            }
            Some(preprocessing) => {
                let [_, _, channels] = extents.as_slice() else {
                    return Err(wrong(format!(
                        "its input `{name}` is no image\nhelp: leave the setting `embed-preprocessing` out"
                    )));
                };
                inputs.push(info(&name, DataType::Uint8, &[None, None, *channels]));
                pixels = Some((name, channels.unwrap_or(3), preprocessing));
                continue;
            }
        };
        values.push(writer.push(value));
    }
    let results = match (pixels, model.graph.inputs.len()) {
        (Some((name, channels, preprocessing)), 1) => writer.on_pixels(model, &name, channels, preprocessing),
        (Some(_), _) => {
            Err("it has several inputs\nhelp: leave the setting `embed-preprocessing` out".to_owned())
        }
        (None, _) => writer.graph(&model.graph, "", &values),
    }
    .map_err(wrong)?;
    let mut outputs = Vec::new();
    for (id, index) in model.graph.outputs.iter().zip(results) {
        let layer = &model.graph.layers[model.graph.calls[id.call].layer].name;
        let mut value = writer.values[index].clone();
        let result = writer.emit.last(&mut value, layer);
        let name = writer.emit.unused(layer);
        let mut node = super::proto::NodeProto { op_type: Some("Identity".to_owned()), ..Default::default() };
        (node.name, node.input, node.output) =
            (Some(format!("{name}/Identity")), vec![result], vec![name.clone()]);
        writer.emit.nodes.push(node);
        let extents: Vec<Option<usize>> = (0..value.shapes[0].len()).map(|axis| value.known(axis)).collect();
        outputs.push(info(&name, DataType::Float, &extents));
    }
    let graph = GraphProto {
        name: Some(model.graph.name.clone()),
        node: writer.emit.nodes,
        initializer: writer.emit.initializers,
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    let file = ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) }],
        producer_name: Some("frostline".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph),
        metadata_props: properties(model, preprocessing.is_some()),
        ..ModelProto::default()
    };
    match file.encoded_len() {
        len if len > MOST_BYTES => Err(wrong(format!(
            "the model takes {len} bytes, and an ONNX file holds {MOST_BYTES}\nhelp: save it as `.keras`"
        ))),
        _ => Ok(file.encode_to_vec()),
    }
}

/// What is said about the model beside its graph.
fn properties(model: &Model, is_preprocessed: bool) -> Vec<StringStringEntryProto> {
    let mut saved = model.info.clone();
    if is_preprocessed {
        // the graph takes pixels as they are
        saved.preprocess = Some(serde_json::json!("none"));
        (saved.image_size, saved.resize, saved.fit, saved.scaled_decode) = (None, None, None, None);
        saved.views.clear();
    }
    let layout = (metadata::LAYOUT.to_owned(), "\"NHWC\"".to_owned());
    let entry =
        |(key, value): (String, String)| StringStringEntryProto { key: Some(key), value: Some(value) };
    std::iter::once(layout).chain(metadata::write(&saved)).map(entry).collect()
}

/// A value with a batch before its extents.
fn info(name: &str, kind: DataType, extents: &[Option<usize>]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let open = |name: String| Dimension { value: Some(Value::DimParam(name)), ..Dimension::default() };
    let axis = |(axis, extent): (usize, &Option<usize>)| match extent {
        Some(extent) => Dimension { value: Some(Value::DimValue(*extent as i64)), ..Dimension::default() },
        None => open(match (axis, extents.len()) {
            (0, 3) => format!("{name}_height"),
            (1, 3) => format!("{name}_width"),
            _ => format!("{name}_{axis}"),
        }),
    };
    let dim = std::iter::once(open("batch".to_owned())).chain(extents.iter().enumerate().map(axis)).collect();
    let tensor = type_proto::Tensor { elem_type: Some(kind as i32), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..ValueInfoProto::default() }
}
