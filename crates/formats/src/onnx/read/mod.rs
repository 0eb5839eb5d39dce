//! ONNX to a [`Model`]: the nodes become layers of Keras's kinds, stored with the channels last.
//!
//! `source` checks the file and computes what depends on no image, `patterns` puts together what exporters take apart,
//! `convert` turns node after node into layers that `builder` collects.

mod builder;
mod constant;
mod convert;
mod convolution;
mod elementwise;
mod external;
mod fold;
mod layout;
mod lift;
mod names;
mod node;
mod normalization;
mod operations;
mod patterns;
mod pooling;
mod quantised;
mod recurrent;
mod reshape;
mod resize;
mod sampling;
mod shape;
mod source;
mod transposed_convolution;
mod turning;
mod value;
mod vectors;
mod view;
mod volumes;
mod window;

use super::metadata;
use crate::{LoadReport, Loaded};
use convert::Converter;
use frostline_graph::layers::Kind;
use frostline_graph::{Body, Error, Handle, Layer, Model, Result, Weights};
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// As many missing weights are named.
const NAMED: usize = 12;

/// Reads a whole model.
pub(crate) fn load(path: &Path, bytes: &[u8]) -> Result<Loaded> {
    let mut source = Source::read(path, bytes)?;
    patterns::recognise(&mut source);
    let mut report = LoadReport::default();
    let mut converter = Converter::new(&source);
    converter.run(&mut report).map_err(|message| match message.contains("help:") {
        _ if source.budget.is_exceeded() => Error::format(
            path,
            format!("{message}: before it reads an image, it computes far more numbers than it stores\nhelp: let ONNX Runtime compute them once: `onnxruntime.SessionOptions().optimized_model_filepath`, with basic optimisations; if it is not your own, do not trust this file"),
        ),
        true => Error::format(path, message),
        false => Error::format(path, format!("{message}\nhelp: the file is damaged; export the model again")),
    })?;
    if converter.quantised {
        report.notes.push("the model was quantised: its weights were widened, and its values are clipped as there, but not rounded".to_owned());
    }
    let (mut builder, has_batch_normalization, folded) =
        (converter.builder, converter.has_batch_normalization, converter.folded);
    builder.graph.prune();
    let mut weights = Weights::default();
    let mut missing = Vec::new();
    for wanted in builder.graph.weight_specs(&builder.graph.stand_in_shapes())? {
        match builder.weights.remove(&wanted.path).filter(|tensor| tensor.shape == wanted.spec.shape) {
            Some(tensor) => weights.insert(wanted.path, Handle::new(tensor)),
            None => missing.push(wanted.path),
        }
    }
    if !missing.is_empty() {
        missing.truncate(NAMED);
        return Err(Error::format(
            path,
            format!(
                "no weight for `{}`\nhelp: the file is damaged, or of a kind that frostline misreads",
                missing.join("`, `")
            ),
        ));
    }
    count(&source, &mut report);
    let mut info = metadata::read(&source.metadata);
    info.foreign_names |= !source.metadata.contains_key(metadata::LAYOUT);
    if info.preprocess.is_none() {
        report.notes.push("the file does not say how its images were preprocessed: where its graph does not scale them, give the setting `preprocess`, for ImageNet models of torchvision `torch`, of timm what its `pretrained_cfg` says".to_owned());
    }
    notes(&source, &mut report, has_batch_normalization, folded, &builder.graph);
    Ok(Loaded { model: Model { graph: builder.graph, weights, info }, report })
}

/// How many of the file's tensors are read.
fn count(source: &Source, report: &mut LoadReport) {
    let reads: BTreeSet<&str> = source.reads.iter().map(String::as_str).collect();
    report.tensors = source.stored.len();
    report.unused = source.stored.iter().filter(|name| !reads.contains(name.as_str())).cloned().collect();
    report.loaded = report.tensors - report.unused.len();
}

fn notes(
    source: &Source,
    report: &mut LoadReport,
    has_batch_normalization: bool,
    folded: usize,
    graph: &frostline_graph::Graph,
) {
    let producer = if source.producer.is_empty() { "an unnamed exporter" } else { &source.producer };
    report.notes.push(format!("written by {producer}, opset {}", source.opset));
    let is_convolution = |(_, layer): &(String, &Layer)| matches!(&layer.body, Body::Kind(Kind::Conv2D(_)));
    if graph.leaves().iter().any(is_convolution) && !has_batch_normalization {
        report.notes.push("it holds no BatchNormalization: where the model had it, the export has folded it into the convolutions".to_owned());
    }
    if folded > 0 {
        report.notes.push(format!(
            "{folded} scales and offsets went into the kernel and bias of the layer below them"
        ));
    }
    let shared = shared_kernels(source);
    if !shared.is_empty() {
        report
            .notes
            .push(format!("several layers read `{}` in the file: each has a copy here", shared.join("`, `")));
    }
}

/// Kernels that several nodes read.
fn shared_kernels(source: &Source) -> Vec<&str> {
    let mut reads: BTreeMap<&str, usize> = BTreeMap::new();
    let has_kernel = |node: &&node::Node| ["Conv", "Gemm", "MatMul"].contains(&node.op.as_str());
    let kernels = source.nodes.iter().filter(has_kernel).filter_map(|node| node.input(1));
    kernels
        .filter(|name| source.constant(name).is_some())
        .for_each(|name| *reads.entry(name).or_default() += 1);
    reads.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}
