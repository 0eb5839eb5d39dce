//! From the nodes of an ONNX file to layers.

use super::builder::Builder;
use super::constant::{Constant, Data, Extent};
use super::layout::{by_extents, channels, image_axes};
use super::names::layer_names;
use super::node::Node;
use super::source::{Input, Source};
use super::value::{IMAGE, SEQUENCE, VOLUME, Value, plain};
use crate::LoadReport;
use crate::onnx::metadata::LAYOUT;
use frostline_graph::TensorId;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a name of the file stands for.
enum Entry {
    Value(Value),
    /// What a layer gives that cannot be run.
    Unknown(TensorId),
    /// What is computed from known tensors alone, by an operator that cannot be computed here.
    Failed(String),
}

/// The state of the conversion.
pub(super) struct Converter<'a> {
    pub(super) source: &'a Source,
    pub(super) builder: Builder,
    computed: BTreeMap<String, Rc<Constant>>,
    entries: BTreeMap<String, Entry>,
    uses: BTreeMap<String, usize>,
    pub(super) has_batch_normalization: bool,
    /// An input has its channels first in the file.
    pub(super) turned: bool,
    /// Scales and offsets that went into the kernel below them.
    pub(super) folded: usize,
    /// The file rounds values.
    pub(super) quantised: bool,
}

impl<'a> Converter<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        let name = if source.name.is_empty() { "model" } else { &source.name };
        Self {
            source,
            builder: Builder::new(name),
            computed: BTreeMap::new(),
            entries: BTreeMap::new(),
            uses: source.uses(),
            has_batch_normalization: false,
            turned: false,
            folded: 0,
            quantised: false,
        }
    }

    /// Converts all nodes, and names the outputs.
    pub(super) fn run(&mut self, report: &mut LoadReport) -> Result<(), String> {
        for input in &self.source.inputs {
            self.input(input, report)?;
        }
        for (node, name) in self.source.nodes.iter().zip(layer_names(self.source)) {
            self.node(node, &name, report)?;
        }
        for (index, output) in self.source.outputs.iter().enumerate() {
            let id = match self.entries.get(output) {
                Some(Entry::Value(value)) => {
                    let value = value.clone();
                    if !value.view.is_plain() {
                        return Err(format!(
                            "its output `{output}` does not have the images of the batch first\nhelp: export the model with an output that has"
                        ));
                    }
                    // images stay as they are where the input was turned too; all else is as the file has it
                    let is_turned = value.axes == IMAGE || value.axes == VOLUME;
                    let stays = self.turned && is_turned && value.flattened.is_none();
                    let value = if stays { value } else { value.plain(&mut self.builder, "output")? };
                    if stays && value.shapes[0].iter().filter(|extent| **extent != 1).count() > 1 {
                        report
                            .notes
                            .push(format!("the output `{output}` has its channels last here, not first"));
                    }
                    value.id
                }
                Some(Entry::Unknown(id)) => *id,
                Some(Entry::Failed(reason)) => {
                    return Err(format!("its output `{output}` depends on no image: {reason}"));
                }
                None => {
                    return Err(format!(
                        "its output {index}, `{output}`, is made by no node that reads its input\nhelp: the file is damaged"
                    ));
                }
            };
            self.builder.graph.outputs.push(id);
        }
        Ok(())
    }

    fn input(&mut self, input: &Input, report: &mut LoadReport) -> Result<(), String> {
        if !self.uses.contains_key(&input.name) {
            report.notes.push(format!("the input `{}` is read by nothing", input.name));
            return Ok(());
        }
        let rank = input.extents.len() + 1;
        // what frostline wrote says so itself; else the channels come first or last, and no other order is an image's
        let is_own = self.source.metadata.contains_key(LAYOUT);
        let axes = match rank {
            4 if !is_own => image_axes(self.source, &input.name, rank)
                .or_else(|| by_extents(&input.extents))
                .filter(|axes| axes == &IMAGE),
            5 if !is_own => image_axes(self.source, &input.name, rank).filter(|axes| axes == &VOLUME),
            _ => None,
        };
        let axes = axes.unwrap_or_else(|| plain(rank));
        let mut stored = vec![None; input.extents.len()];
        for (logical, extent) in input.extents.iter().enumerate() {
            let place = axes.get(logical + 1).and_then(|axis| stored.get_mut(axis - 1));
            if let (Some(place), Extent::Known(extent)) = (place, extent) {
                *place = usize::try_from(*extent).ok();
            }
        }
        // exporters of the Hub leave the channels open too
        if let (4 | 5, Some(last @ None)) = (rank, stored.last_mut())
            && let Some(channels) = channels(self.source, &input.name, rank)
        {
            *last = Some(channels);
            report.notes.push(format!(
                "the input `{}` leaves its channels open: the first kernel takes {channels}",
                input.name
            ));
        }
        if axes != plain(rank) {
            self.turned = true;
            report.notes.push(format!(
                "the input `{}` is {} here: weights and values were turned from channels first to channels last",
                input.name,
                if rank == 5 { "[batch, depth, height, width, channels]" } else { "[batch, height, width, channels]" }
            ));
        }
        let value = self.builder.input(&input.name, &stored, axes)?;
        self.entries.insert(input.name.clone(), Entry::Value(value));
        Ok(())
    }

    fn node(&mut self, node: &Node, name: &str, report: &mut LoadReport) -> Result<(), String> {
        if node.op == "Shape"
            && let Some(Entry::Value(value)) = node.input(0).and_then(|input| self.entries.get(input))
        {
            let shape = value.shape();
            let clamp = |at: i64| {
                if at < 0 { at.saturating_add(shape.len() as i64) } else { at }.clamp(0, shape.len() as i64)
                    as usize
            };
            let (start, end) =
                (clamp(node.int("start").unwrap_or(0)), clamp(node.int("end").unwrap_or(i64::MAX)));
            let part = shape.get(start..end).unwrap_or_default().to_vec();
            self.computed.insert(node.output().to_owned(), Rc::new(Constant::whole(part)));
            return Ok(());
        }
        let read: Vec<&Entry> =
            (0..node.inputs.len()).filter_map(|index| self.entries.get(node.input(index)?)).collect();
        let failed = read.iter().find_map(|entry| match entry {
            Entry::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        let below: Vec<TensorId> = read
            .iter()
            .filter_map(|entry| match entry {
                Entry::Value(value) => Some(value.id),
                Entry::Unknown(id) => Some(*id),
                Entry::Failed(_) => None,
            })
            .collect();
        let stands_on_unknown = read.iter().any(|entry| matches!(entry, Entry::Unknown(_)));
        let named = if node.name.is_empty() { node.output() } else { node.name.as_str() };
        if below.is_empty() {
            let constants: Vec<Option<Rc<Constant>>> =
                (0..node.inputs.len()).map(|index| self.known(node, index)).collect();
            let given: Vec<Option<&Constant>> = constants.iter().map(Option::as_deref).collect();
            match self.source.budget.evaluate(node, &given).filter(|_| failed.is_none()) {
                Some(value) => {
                    self.computed.insert(node.output().to_owned(), Rc::new(value));
                }
                None => {
                    let reason = failed.unwrap_or_else(|| {
                        format!(
                            "it is computed by `{}` (node `{named}`), which cannot be done here{}",
                            node.op,
                            remedy(&node.op)
                        )
                    });
                    let all = node.outputs.iter().filter(|output| !output.is_empty());
                    self.entries.extend(all.map(|output| (output.clone(), Entry::Failed(reason.clone()))));
                }
            }
            return Ok(());
        }
        let made = match stands_on_unknown {
            true => Err("it stands on a layer that cannot be run".to_owned()),
            false => self.convert(node, name),
        };
        let unknown = match made {
            Ok(values) => {
                for (mut value, output) in values.into_iter().zip(&node.outputs) {
                    value.sole &= self.uses.get(output) == Some(&1);
                    self.entries.insert(output.clone(), Entry::Value(value));
                }
                None
            }
            Err(reason) => {
                let reason = format!("the node `{named}`: {reason}");
                let (id, layer) = self.builder.unsupported(name, &node.op, &reason, below);
                if !stands_on_unknown {
                    report.notes.push(format!("`{layer}` ({}) cannot be run: {reason}", node.op));
                }
                report.unsupported.push((layer, node.op.clone()));
                Some(id)
            }
        };
        // outputs that no value is made for are masks and statistics of training, which nothing may read
        for (index, output) in node.outputs.iter().enumerate() {
            if output.is_empty() || self.entries.contains_key(output) {
                continue;
            }
            let entry = match unknown {
                Some(id) => Entry::Unknown(id),
                None => Entry::Failed(format!("it is output {index} of `{}` (node `{named}`)", node.op)),
            };
            self.entries.insert(output.clone(), entry);
        }
        Ok(())
    }

    /// The values that a node gives.
    fn convert(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
        if node.has_subgraph() {
            return Err("it holds a graph of its own: export the model by tracing it".to_owned());
        }
        // these say of themselves how the file counts what they make
        let made = match node.op.as_str() {
            "Transpose" => self.transpose(node),
            "Flatten" => self.flatten(node, name),
            "Reshape" => self.reshape(node, name),
            "Squeeze" => self.squeeze(node, name),
            "Unsqueeze" => self.unsqueeze(node, name),
            "GRU" | "LSTM" | "RNN" => return self.recurrent(node, name),
            _ if self.reads_a_view(node) => return self.viewed(node, name),
            _ => return self.convert_plain(node, name),
        };
        made.map(|value| vec![value])
    }

    /// The values that a node gives, by the logical axes of those that it reads.
    pub(super) fn convert_plain(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
        if let Some(made) = self.activation(node, name) {
            return made.map(|value| vec![value]);
        }
        let all_values = (0..node.inputs.len()).all(|index| self.known(node, index).is_none());
        let made = match node.op.as_str() {
            "Conv" => self.conv(node, name),
            "ConvTranspose" => self.conv_transpose(node, name),
            "Gemm" => self.gemm(node, name),
            "MatMul" if all_values && self.are_matrices(node) => self.dot(node, name),
            "MatMul" if self.known(node, 1).is_some_and(|kernel| kernel.dims.len() == 2) => {
                self.matmul(node, name)
            }
            "Dot" => self.dot(node, name),
            "UnitNormalization" => self.unit_norm(node, name),
            "RepeatVector" => self.repeat_vector(node, name),
            "MaxPool" | "AveragePool" => self.pool(node, name),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(node, name),
            "ReduceMean" | "ReduceMax" => self.reduce(node, name),
            "BatchNormalization" => self.batch_normalization(node, name),
            "LayerNormalization" => self.layer_normalization(node, name),
            "GroupNormalization" => self.group_normalization(node, name),
            "PRelu" => self.prelu(node, name),
            "Affine" => self.affine(node, name),
            "Sum" | "Mean" => self.merge(node, name),
            "Add" | "Sub" | "Mul" | "Max" | "Min" if all_values => self.merge(node, name),
            "Pow" if self.is_square_or_cube(node) => self.power(node, name),
            "Concat" => self.concat(node, name),
            "Pad" => self.padding(node, name),
            "Slice" => self.slice(node, name),
            "Resize" | "Upsample" => self.resize(node, name),
            "Identity" | "DequantizeLinear" => self.value(node, 0),
            "QuantizeLinear" => self.quantise(node, name),
            // to float, float16, double or bfloat16
            // truths and places are numbers here
            "Cast" if matches!(node.int("to"), Some(1 | 6 | 7 | 9 | 10 | 11 | 16)) => self.cast(node, name),
            op => {
                return self.as_operation(node, name).unwrap_or_else(|| {
                    Err(format!("the operator `{op}` is none that frostline has a layer for{}", remedy(op)))
                });
            }
        };
        made.map(|value| vec![value])
    }

    /// Whether a node reads a value that the file counts otherwise.
    fn reads_a_view(&self, node: &Node) -> bool {
        let is_one = |name: &String| matches!(self.entries.get(name), Some(Entry::Value(value)) if !value.view.is_plain());
        node.inputs.iter().any(is_one)
    }

    /// The value that a node reads.
    pub(super) fn value(&self, node: &Node, index: usize) -> Result<Value, String> {
        let name = node.input(index).ok_or_else(|| format!("its input {index} is missing"))?;
        match self.entries.get(name) {
            Some(Entry::Value(value)) => Ok(value.clone()),
            Some(Entry::Failed(reason)) => Err(reason.clone()),
            Some(Entry::Unknown(_)) => Err("it stands on a layer that cannot be run".to_owned()),
            None if self.known(node, index).is_some() => {
                Err(format!("its input {index}, `{name}`, is a known tensor, not a value"))
            }
            None => Err(format!("its input `{name}` is made by no node before it")),
        }
    }

    /// An image that a node reads, stored with the channels last.
    pub(super) fn image(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        match self.value(node, 0)?.rank() {
            4 => self.image_or_sequence(node, name),
            rank => Err(format!("its input has {rank} axes, where those of an image, 4, can be run")),
        }
    }

    /// An image, a sequence, or a volume, that a node reads, stored with the channels last.
    pub(super) fn image_or_sequence(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        match x.rank() {
            4 => x.arranged(&mut self.builder, name, &IMAGE),
            3 => x.arranged(&mut self.builder, name, &SEQUENCE),
            5 => x.arranged(&mut self.builder, name, &VOLUME),
            rank => Err(format!(
                "its input has {rank} axes, where those of a volume, 5, an image, 4, or a sequence, 3, can be run"
            )),
        }
    }

    /// Whether a node or an output of the graph reads what goes by this name.
    pub(super) fn is_read(&self, name: &str) -> bool {
        self.uses.contains_key(name)
    }

    /// Whether a tensor holds zeros alone, of however many images.
    pub(super) fn is_zero(&self, name: &str) -> bool {
        /// Nodes in a row that exporters write around it; in a damaged file they may go round in a circle.
        const MOST: usize = 16;
        self.is_zero_within(name, MOST)
    }

    fn is_zero_within(&self, name: &str, nodes: usize) -> bool {
        let known =
            self.computed.get(name).map(Rc::as_ref).or_else(|| self.source.constant(name).map(Rc::as_ref));
        if let Some(known) = known {
            return known.uniform() == Some(0.0);
        }
        let mut makers =
            self.source.nodes.iter().filter(|node| node.outputs.iter().any(|output| output == name));
        makers.next().filter(|_| nodes > 0).is_some_and(|node| match node.op.as_str() {
            "ConstantOfShape" => node.tensor("value").is_none_or(|value| value.uniform() == Some(0.0)),
            "Expand" | "Tile" | "Identity" | "Reshape" | "Cast" | "Slice" | "Squeeze" | "Unsqueeze" => {
                node.input(0).is_some_and(|input| self.is_zero_within(input, nodes - 1))
            }
            _ => false,
        })
    }

    /// The known tensor that a node reads.
    pub(super) fn known(&self, node: &Node, index: usize) -> Option<Rc<Constant>> {
        let name = node.input(index)?;
        self.computed.get(name).or_else(|| self.source.constant(name)).cloned()
    }

    /// Makes a tensor known under a name that no node gives.
    pub(super) fn keep(&mut self, name: String, constant: Constant) {
        self.computed.insert(name, Rc::new(constant));
    }

    /// Why a tensor that has to be known is not: what it is computed by.
    pub(super) fn unknown(&self, node: &Node, index: usize, what: &str) -> String {
        match node.input(index).and_then(|name| self.entries.get(name)) {
            Some(Entry::Failed(reason)) => format!("its {what} are not known: {reason}"),
            Some(_) => format!("its {what} are computed from the image"),
            None => format!("its {what} are not there, or of another kind than expected"),
        }
    }

    /// A weight that a node reads.
    pub(super) fn weight(&self, node: &Node, index: usize, what: &str) -> Result<Rc<Constant>, String> {
        let name = node.input(index).ok_or_else(|| format!("its {what} is missing"))?;
        match (self.known(node, index), self.entries.get(name)) {
            (Some(constant), _) => match &constant.data {
                Data::Float(_) => Ok(constant),
                Data::Whole(_) => Err(format!(
                    "its {what} `{name}` is of whole numbers: give the model before it was quantized"
                )),
                Data::Other(kind) => Err(format!(
                    "its {what} `{name}` is of the type {kind}: give the model in float32 or float16"
                )),
            },
            (None, Some(Entry::Failed(reason))) => Err(format!("its {what} `{name}` is not known: {reason}")),
            (None, Some(_)) => Err(format!("its {what} `{name}` is computed from the image")),
            (None, None) => Err(format!("its {what} `{name}` is not in the file")),
        }
    }
}

/// What can be done about an operator.
fn remedy(op: &str) -> &'static str {
    match op {
        _ if op.contains("uantize") || op.contains("Integer") || op.starts_with("QLinear") => {
            ": give the model before it was quantized"
        }
        "If" | "Loop" | "Scan" => ": export the model by tracing it",
        // what is said of any layer that cannot be run names the place to cut at
        _ => "",
    }
}
