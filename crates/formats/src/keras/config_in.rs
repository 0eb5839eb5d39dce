//! Keras's model config to a [`Graph`].

use super::dialect::{INNER, normalise};
use super::dtype::Policies;
use super::inbound::{TensorName, tensors};
use super::known::as_keras;
use super::masks::without_masks;
use super::names::{Renamed, safe_names};
use super::operation::with_call;
use super::owner::foreign;
use super::tf_operations;
use crate::{Custom, LoadReport};
use frostline_graph::layers::{Config, InputLayer, Kind, LayerKind, classes, read_kind};
use frostline_graph::{Body, Call, Form, Graph, Layer, TensorId, join};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Nested models deeper than this are taken for damage.
const MAX_DEPTH: usize = 16;
/// Layers are called more often, with what nested models call, only where a small file is made to keep its reader busy for ever.
const MAX_CALLS: usize = 1 << 16;

/// What is read along the way.
pub(super) struct Reader<'a> {
    /// The version of the Keras that wrote the file.
    pub(super) major: u32,
    /// What layers of somebody else's classes are.
    pub(super) custom: &'a [Custom],
    /// Notes and unsupported layers are added to it.
    pub(super) report: &'a mut LoadReport,
    /// Layers whose names were changed.
    pub(super) renamed: Renamed,
    /// What layers store and compute.
    pub(super) policies: Policies,
    /// Layers with LoRA adapters.
    pub(super) adapted: usize,
    /// Whether the model says which steps of a sequence count.
    pub(super) has_masks: bool,
    /// And whether attention layers of its Keras leave that on what they are called on.
    pub(super) keeps_masks: bool,
}

/// Where a tensor is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// By a layer that is called on it.
    Inside,
    /// As an input or output of the model.
    Ends,
}

type Parsed<T> = Result<T, String>;

impl Reader<'_> {
    /// Reads a whole model. Errors are words without the file's name.
    pub(super) fn model(&mut self, json: &Value) -> Parsed<Graph> {
        self.nested(json, "", 0)
    }

    fn nested(&mut self, json: &Value, group: &str, depth: usize) -> Parsed<Graph> {
        if depth > MAX_DEPTH {
            return Err("models are nested without an end".to_owned());
        }
        let class_name = text(json, "class_name").unwrap_or_default();
        let config = json.get("config").unwrap_or(&Value::Null);
        // Keras 1 and early 2 wrote a Sequential model as its bare list of layers
        let layers = config.get("layers").or(Some(config)).and_then(Value::as_array);
        let Some(class) = ModelClass::of(json) else {
            return Err(format!(
                "the model is a `{class_name}`, whose structure is in Python code\nhelp: save it as a Functional or Sequential model"
            ));
        };
        let layers =
            layers.ok_or_else(|| format!("the config of model `{class_name}` has no list of layers"))?;
        let name = text(config, "name").or_else(|| text(json, "name")).unwrap_or("model").to_owned();
        let graph = match class {
            ModelClass::Sequential => self.sequential(name, json, layers, group, depth),
            ModelClass::Functional => self.functional(name, config, layers, group, depth),
            ModelClass::OwnFunctional => {
                let whose = if group.is_empty() { &name } else { group };
                self.report.notes.push(format!(
                    "the model `{whose}` is of a class of its author's, `{class_name}`: the layers in its config are run, no Python code of the class"
                ));
                self.functional(name, config, layers, group, depth)
            }
        }?;
        match graph.calls_in_all() {
            calls if calls > MAX_CALLS => Err(format!(
                "the model `{}` calls its layers {calls} times or more, and at most {MAX_CALLS} are followed\nhelp: the file is damaged, or was made to keep its reader busy",
                graph.name
            )),
            _ => Ok(graph),
        }
    }

    /// A layer, called `name` here.
    fn layer(&mut self, json: &Value, name: String, group: &str, depth: usize) -> Parsed<Layer> {
        let class_name = text(json, "class_name").ok_or("a layer without `class_name`")?;
        let empty = Map::new();
        let config = json.get("config").and_then(Value::as_object).unwrap_or(&empty);
        let path = join(group, &name);
        self.renamed.note(&path, name_in_file(json)?);
        if ModelClass::of(json).is_some() {
            let mut inner = self.nested(json, &path, depth + 1)?;
            inner.name = name.clone();
            let trainable = config.get("trainable").and_then(Value::as_bool).unwrap_or(true);
            return Ok(Layer { name, trainable, body: Body::Model(Box::new(inner)), config: Map::new() });
        }
        if class_name != "InputLayer" {
            self.policies.note(config.get("dtype").unwrap_or(&Value::Null));
        }
        self.adapted += usize::from(config.get("lora_rank").is_some_and(Value::is_number));
        if let Some(kind) = Custom::of(self.custom, &name, class_name) {
            self.report
                .notes
                .push(format!("`{path}` is a `{class_name}`, which is run as what you say it is"));
            let trainable = config.get("trainable").and_then(Value::as_bool).unwrap_or(true);
            return Ok(Layer { name, trainable, body: Body::Kind(kind.clone()), config: kind.config() });
        }
        let known = as_keras(class_name, config);
        if let Some((class, _)) = &known {
            self.report.notes.push(format!(
                "`{path}` is a `{class_name}`, which does nothing at inference, and is read as Keras's `{class}`"
            ));
        }
        let is_known = known.is_some();
        let (mut class, mut config) = match known {
            Some((class, config)) => (class.to_owned(), config),
            None => normalise(class_name, config, self.major),
        };
        // a layer within the layer may be somebody else's too
        let inner = INNER.iter().filter_map(|key| json["config"].get(*key));
        let not_kerass = std::iter::once(json).chain(inner).find_map(foreign);
        let called = match not_kerass {
            _ if is_known => Ok(()),
            Some(reason) => Err(reason),
            None if tf_operations::is_function(&class) => tf_operations::as_layer(json).map(|read| {
                (class, config) = read;
            }),
            None => with_call(&class, json, &mut config, self.has_masks, self.keeps_masks),
        };
        let trainable = config.get("trainable").and_then(Value::as_bool).unwrap_or(true);
        let reader = Config::new(&path, &config);
        let kind = match called {
            Ok(()) => read_kind(&class, &reader).unwrap_or_else(|| Err(reader.error(reason(&class)))),
            Err(reason) => Err(reader.error(reason)),
        };
        let body = match kind {
            Ok(kind) => Body::Kind(kind),
            Err(error) => Body::unsupported(&class, error),
        };
        if matches!(body, Body::Unsupported { .. }) {
            self.report.unsupported.push((path.clone(), class));
        } else {
            for key in reader.unread() {
                self.report.notes.push(format!("`{path}`: the setting `{key}` means nothing here"));
            }
        }
        let config = match &body {
            // a layer of an old dialect is written anew in the form of Keras 3, but keeps what only Keras reads
            Body::Kind(kind) if self.major < 3 => {
                let kept = |(key, value): &(String, Value)| {
                    !value.is_null() && (key.ends_with("_regularizer") || key.ends_with("_constraint"))
                };
                let mut fresh = kind.config();
                fresh.extend(config.into_iter().filter(kept));
                fresh
            }
            _ => config,
        };
        Ok(Layer { name, trainable, body, config })
    }

    fn sequential(
        &mut self,
        name: String,
        json: &Value,
        layers: &[Value],
        group: &str,
        depth: usize,
    ) -> Parsed<Graph> {
        let mut graph = Graph {
            name,
            form: Form::Sequential,
            layers: Vec::new(),
            calls: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for (item, name) in layers.iter().zip(safe_names(&names_in_file(layers)?)) {
            let layer = self.layer(item, name, group, depth)?;
            if graph.layers.is_empty() && !is_input(&layer) {
                let input = input_extents(json, item, &layer).ok_or_else(|| {
                    format!("the Sequential model `{}` does not say the shape of its input\nhelp: build it before you save it", graph.name)
                })?;
                graph.layers.push(input_layer(input));
            }
            graph.layers.push(layer);
        }
        if graph.layers.is_empty() {
            return Err(format!("the Sequential model `{}` has no layers", graph.name));
        }
        for index in 0..graph.layers.len() {
            let inputs = index.checked_sub(1).map(|call| TensorId { call, output: 0 });
            graph.calls.push(Call { layer: index, inputs: inputs.into_iter().collect() });
        }
        graph.inputs = vec![TensorId { call: 0, output: 0 }];
        graph.outputs = vec![TensorId { call: graph.calls.len() - 1, output: 0 }];
        Ok(graph)
    }

    fn functional(
        &mut self,
        name: String,
        config: &Value,
        layers: &[Value],
        group: &str,
        depth: usize,
    ) -> Parsed<Graph> {
        let layers = &without_masks(layers, &config["output_layers"]);
        let mut built = Vec::with_capacity(layers.len());
        // for each layer, for each of its calls, the tensors it is called on
        let mut wanted: Vec<Vec<Vec<TensorName>>> = Vec::with_capacity(layers.len());
        let names = names_in_file(layers)?;
        for (item, name) in layers.iter().zip(safe_names(&names)) {
            let layer = self.layer(item, name, group, depth)?;
            let nodes =
                item.get("inbound_nodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let calls = if nodes.is_empty() { vec![Vec::new()] } else { nodes.iter().map(tensors).collect() };
            wanted.push(calls);
            built.push(layer);
        }
        let index_of: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        if index_of.len() != built.len() {
            return Err(format!("two layers of model `{name}` have the same name"));
        }
        let mut graph = Graph {
            name,
            form: Form::Functional,
            layers: built,
            calls: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let mut placed: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut waiting: Vec<(usize, usize)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(layer, calls)| (0..calls.len()).map(move |node| (layer, node)))
            .collect();
        let ends =
            ["input_layers", "output_layers"].map(|key| tensors(config.get(key).unwrap_or(&Value::Null)));
        let inside: Vec<&TensorName> = wanted.iter().flatten().flatten().collect();
        let first_inside = self.first_calls(&graph, &names, &inside, &ends.concat(), Place::Inside);
        let first_at_ends = self.first_calls(&graph, &names, &inside, &ends.concat(), Place::Ends);
        type Placed = BTreeMap<(usize, usize), usize>;
        let resolve = |placed: &Placed, tensor: &TensorName, first: &[usize]| {
            let layer = *index_of.get(tensor.layer.as_str())?;
            let call = placed.get(&(layer, tensor.node.checked_sub(first[layer])?))?;
            Some(TensorId { call: *call, output: tensor.output })
        };
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(layer, node)| {
                let inputs = wanted[*layer][*node]
                    .iter()
                    .map(|tensor| resolve(&placed, tensor, &first_inside))
                    .collect::<Option<Vec<_>>>();
                let Some(inputs) = inputs else { return true };
                placed.insert((*layer, *node), graph.calls.len());
                graph.calls.push(Call { layer: *layer, inputs });
                false
            });
            if waiting.len() == before {
                let (layer, node) = waiting[0];
                let tensors: Vec<&str> =
                    wanted[layer][node].iter().map(|tensor| tensor.layer.as_str()).collect();
                return Err(format!(
                    "layer `{}` is called on the outputs of `{}`, which are not all there",
                    join(group, &graph.layers[layer].name),
                    tensors.join("`, `")
                ));
            }
        }
        let found = |names: &[TensorName], key: &str| -> Parsed<Vec<TensorId>> {
            let ids = names
                .iter()
                .map(|tensor| resolve(&placed, tensor, &first_at_ends))
                .collect::<Option<Vec<_>>>();
            ids.filter(|ids| !ids.is_empty())
                .ok_or_else(|| format!("`{key}` of model `{}` cannot be read", graph.name))
        };
        let (inputs, outputs) = (found(&ends[0], "input_layers")?, found(&ends[1], "output_layers")?);
        (graph.inputs, graph.outputs) = (inputs, outputs);
        self.check(&graph, group)?;
        Ok(graph)
    }

    /// For each layer the number of its first call. It is 0, but a nested model's own graph may count as its first
    /// call, so that those from outside begin at 1: everywhere before Keras 3, where the lowest number that is referred
    /// to tells (every call leads to an output), and in Keras 3 for Functional models among the model's ends alone.
    fn first_calls(
        &self,
        graph: &Graph,
        names: &[&str],
        inside: &[&TensorName],
        ends: &[TensorName],
        place: Place,
    ) -> Vec<usize> {
        let first = |(layer, name): (&Layer, &&str)| match &layer.body {
            Body::Model(_) if self.major < 3 => {
                let all = inside.iter().copied().chain(ends).filter(|tensor| tensor.layer == *name);
                all.map(|tensor| tensor.node).min().unwrap_or(0).min(1)
            }
            Body::Model(inner) => usize::from(place == Place::Ends && inner.form == Form::Functional),
            _ => 0,
        };
        graph.layers.iter().zip(names).map(first).collect()
    }

    /// Every reference must point at an output that is there, and every input layer be an input.
    fn check(&self, graph: &Graph, group: &str) -> Parsed<()> {
        for (index, call) in graph.calls.iter().enumerate() {
            let layer = &graph.layers[call.layer];
            if call.inputs.is_empty() && !graph.inputs.iter().any(|id| id.call == index) {
                return Err(format!("layer `{}` is called on nothing", join(group, &layer.name)));
            }
        }
        let outputs_of = |call: usize| match &graph.layers[graph.calls[call].layer].body {
            Body::Model(inner) => inner.outputs.len(),
            Body::Unsupported { .. } | Body::Kind(Kind::Operation(_)) => usize::MAX,
            Body::Kind(_) => 1,
        };
        let used = graph.calls.iter().flat_map(|call| &call.inputs).chain(&graph.outputs);
        match used.into_iter().find(|id| id.output >= outputs_of(id.call)) {
            Some(id) => {
                let layer = &graph.layers[graph.calls[id.call].layer];
                Err(format!("layer `{}` has no output {}", join(group, &layer.name), id.output))
            }
            None => Ok(()),
        }
    }
}

/// How a model's config is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ModelClass {
    Sequential,
    Functional,
    /// A class of the author's own whose config is that of a Functional model: one that overrides `train_step`, say.
    OwnFunctional,
}

impl ModelClass {
    fn of(json: &Value) -> Option<Self> {
        let is_functional =
            || ["layers", "input_layers", "output_layers"].iter().all(|key| json["config"][key].is_array());
        match text(json, "class_name")? {
            "Sequential" => Some(Self::Sequential),
            "Functional" | "Model" => Some(Self::Functional),
            _ => is_functional().then_some(Self::OwnFunctional),
        }
    }
}

/// The name that a layer has in its file.
fn name_in_file(json: &Value) -> Parsed<&str> {
    let name = text(json, "name").or_else(|| text(&json["config"], "name"));
    name.ok_or_else(|| format!("a layer `{}` without a name", text(json, "class_name").unwrap_or_default()))
}

fn names_in_file(layers: &[Value]) -> Parsed<Vec<&str>> {
    layers.iter().map(name_in_file).collect()
}

fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str)
}

fn is_input(layer: &Layer) -> bool {
    matches!(&layer.body, Body::Kind(Kind::InputLayer(_)))
}

/// Where a Sequential model without an input layer says the shape of its input.
fn input_extents(model: &Value, first: &Value, layer: &Layer) -> Option<Vec<Option<usize>>> {
    if let Body::Model(inner) = &layer.body {
        return inner.input_shapes().into_iter().next();
    }
    let places = [
        &first["config"]["batch_input_shape"],
        &first["config"]["batch_shape"],
        &model["config"]["build_input_shape"],
        &model["build_config"]["input_shape"],
        &first["build_config"]["input_shape"],
    ];
    let shape = places.into_iter().find_map(Value::as_array)?;
    Some(shape.iter().skip(1).map(|extent| extent.as_u64().map(|extent| extent as usize)).collect())
}

fn input_layer(extents: Vec<Option<usize>>) -> Layer {
    let kind = InputLayer { extents };
    let mut config = kind.config();
    config.insert("dtype".to_owned(), json!("float32"));
    Layer { name: "input_layer".to_owned(), trainable: true, body: Body::Kind(kind.into()), config }
}

/// Why a class cannot be run.
fn reason(class: &str) -> String {
    match class {
        "Lambda" => "a Lambda layer holds Python code, which is never run; where it does what an operation of keras.ops does, say so with the setting `custom = Lambda=identity`, or with its own name in the place of `Lambda`".to_owned(),
        "TextVectorization" | "StringLookup" | "IntegerLookup" | "Hashing" | "HashedCrossing" | "CategoryEncoding"
        | "Discretization" => "it makes numbers of texts or categories, which frostline does not: run it in Python, save what it gives as an array, and save a model of the layers above it, `keras.Sequential([keras.Input(shape), *model.layers[1:]])`".to_owned(),
        "AutoContrast" | "ContrastLimitedAdaptiveHistogramEqualization" => "it changes images at inference too, by all of their pixels: leave it out in Python, and do it to the images before".to_owned(),
        class if classes().contains(&class) => String::new(),
        class => format!("where it does what an operation of keras.ops does, or nothing, say so with the setting `custom = {class}=identity`"),
    }
}
