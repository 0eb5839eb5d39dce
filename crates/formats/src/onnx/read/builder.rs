//! The graph as it grows: layers of Keras's kinds with their weights.

use super::names::legal;
use super::value::{Value, pixels, plain, target_shape};
use super::view::View;
use frostline_graph::layers::{Config, Kind, read_kind};
use frostline_graph::{Body, Call, Extents, Form, Graph, Layer, Shape, Tensor, TensorId};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Sizes that stand in for extents which the file leaves open. The first is what the graph takes to know the shapes of its
/// weights.
const STAND_INS: [usize; 2] = [224, 256];

/// What has been built so far.
pub(super) struct Builder {
    pub(super) graph: Graph,
    /// By `layer/variable`.
    pub(super) weights: BTreeMap<String, Tensor>,
    taken: BTreeSet<String>,
    /// The number behind a name that was taken last: a search from 1 on takes long where thousands are called the same.
    numbers: BTreeMap<String, usize>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let graph = Graph {
            name: legal(name),
            form: Form::Functional,
            layers: Vec::new(),
            calls: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        Self { graph, weights: BTreeMap::new(), taken: BTreeSet::new(), numbers: BTreeMap::new() }
    }

    /// The name, with a number behind it where it is taken.
    fn unused(&mut self, name: &str) -> String {
        let name = legal(name);
        let mut found = name.clone();
        if self.taken.contains(&name) {
            let number = self.numbers.entry(name.clone()).or_default();
            while self.taken.contains(&found) {
                *number += 1;
                found = format!("{name}_{number}");
            }
        }
        self.taken.insert(found.clone());
        found
    }

    fn call(&mut self, layer: Layer, inputs: Vec<TensorId>) -> TensorId {
        self.graph.layers.push(layer);
        self.graph.calls.push(Call { layer: self.graph.layers.len() - 1, inputs });
        TensorId { call: self.graph.calls.len() - 1, output: 0 }
    }

    /// An input of the model, stored in these extents.
    pub(super) fn input(
        &mut self,
        name: &str,
        stored: &[Option<usize>],
        axes: Vec<usize>,
    ) -> Result<Value, String> {
        let shape: Vec<Json> =
            std::iter::once(Json::Null).chain(stored.iter().map(|extent| json!(extent))).collect();
        let config = Map::from_iter([
            ("batch_shape".to_owned(), Json::Array(shape)),
            ("dtype".to_owned(), json!("float32")),
        ]);
        let name = self.unused(name);
        let body = read("InputLayer", &name, &config)?;
        let id = self.call(Layer { name, trainable: true, body, config }, Vec::new());
        self.graph.inputs.push(id);
        let closed = |size: usize| stored.iter().map(|extent| extent.unwrap_or(size)).collect::<Shape>();
        Ok(Value {
            id,
            shapes: STAND_INS.map(closed),
            axes,
            pixels: pixels(stored.len()),
            nonnegative: false,
            sole: true,
            flattened: None,
            view: View::default(),
        })
    }

    /// A layer of a Keras class called on these values. The result's axes are those in which it is stored.
    pub(super) fn layer(
        &mut self,
        name: &str,
        class: &str,
        config: Json,
        inputs: &[&Value],
    ) -> Result<Value, String> {
        let all = self.layers(name, class, config, inputs)?;
        all.into_iter().next().ok_or_else(|| "it gives nothing".to_owned())
    }

    /// [`Builder::layer`], with all that it gives.
    pub(super) fn layers(
        &mut self,
        name: &str,
        class: &str,
        config: Json,
        inputs: &[&Value],
    ) -> Result<Vec<Value>, String> {
        let config = config.as_object().cloned().unwrap_or_default();
        let kind = kind(class, name, &config)?;
        let shapes = |size: usize| {
            let inputs: Vec<Shape> = inputs.iter().map(|value| value.shapes[size].clone()).collect();
            kind.output_shapes(&inputs)
        };
        let (small, large) = (shapes(0)?, shapes(1)?);
        let (config, name) = (kind.config(), self.unused(name));
        let layer = Layer { name, trainable: true, body: Body::Kind(kind), config };
        let id = self.call(layer, inputs.iter().map(|value| value.id).collect());
        let value = |(output, (small, large)): (usize, (Shape, Shape))| {
            let (axes, pixels) = (plain(small.len() + 1), pixels(small.len()));
            let id = TensorId { output, ..id };
            Value {
                id,
                shapes: [small, large],
                axes,
                pixels,
                nonnegative: false,
                sole: true,
                flattened: None,
                view: View::default(),
            }
        };
        Ok(small.into_iter().zip(large).enumerate().map(value).collect())
    }

    /// A layer whose result is stored as its only input is.
    pub(super) fn alike(
        &mut self,
        name: &str,
        class: &str,
        config: Json,
        input: &Value,
    ) -> Result<Value, String> {
        Ok(self.layer(name, class, config, &[input])?.stored_as(input))
    }

    /// A layer that cannot be run.
    pub(super) fn unsupported(
        &mut self,
        name: &str,
        op: &str,
        reason: &str,
        inputs: Vec<TensorId>,
    ) -> (TensorId, String) {
        let name = self.unused(name);
        let body = Body::Unsupported { class_name: op.to_owned(), reason: reason.to_owned() };
        let layer = Layer { name: name.clone(), trainable: true, body, config: Map::new() };
        (self.call(layer, inputs), name)
    }

    /// A `Reshape` to these stored extents.
    pub(super) fn reshape(
        &mut self,
        name: &str,
        value: &Value,
        stored: &[[usize; 2]],
    ) -> Result<Value, String> {
        if stored.iter().filter(|[small, large]| small != large).count() > 1 {
            return Err(
                "it reshapes an image whose size is open: export the model with a fixed size".to_owned()
            );
        }
        self.layer(name, "Reshape", json!({"target_shape": target_shape(stored)}), &[value])
    }

    /// All elements in a row. A global pooling that keeps its axes drops them instead, where nothing else reads it.
    pub(super) fn flattened(&mut self, name: &str, value: &Value) -> Result<Value, String> {
        let is_pooling = matches!(self.kind_of(value), Some(Kind::GlobalPooling2D(_)));
        if is_pooling && value.sole {
            let config = self.set(value, "keepdims", json!(false));
            if config.is_ok() {
                let shapes =
                    value.shapes.each_ref().map(|shape| shape.last().copied().into_iter().collect::<Shape>());
                return Ok(Value { shapes, axes: plain(2), pixels: vec![0], ..value.clone() });
            }
        }
        self.layer(name, "Flatten", json!({}), &[value])
    }

    /// What the layer is that made a value.
    pub(super) fn kind_of(&self, value: &Value) -> Option<&Kind> {
        match &self.layer_of(value)?.body {
            Body::Kind(kind) => Some(kind),
            _ => None,
        }
    }

    fn layer_of(&self, value: &Value) -> Option<&Layer> {
        self.graph.layers.get(self.graph.calls.get(value.id.call)?.layer)
    }

    /// The name of the layer that made a value.
    pub(super) fn name_of(&self, value: &Value) -> String {
        self.layer_of(value).map(|layer| layer.name.clone()).unwrap_or_default()
    }

    /// Changes a setting of the layer that made a value.
    fn set(&mut self, value: &Value, key: &str, to: Json) -> Result<(), String> {
        let index = self.graph.calls.get(value.id.call).map(|call| call.layer);
        let layer = index.and_then(|index| self.graph.layers.get_mut(index)).ok_or("no layer")?;
        let Body::Kind(present) = &layer.body else { return Err("no layer that is run".to_owned()) };
        let class = present.class_name();
        layer.config.insert(key.to_owned(), to);
        layer.body = read(class, &layer.name, &layer.config)?;
        Ok(())
    }

    /// Gives the layer that made a value a weight.
    pub(super) fn weight(
        &mut self,
        value: &Value,
        variable: &str,
        shape: &[usize],
        data: Vec<f32>,
    ) -> Result<(), String> {
        if shape.elements() != data.len() {
            return Err(format!("its {variable} has {} numbers where {shape:?} are expected", data.len()));
        }
        let path = format!("{}/{variable}", self.name_of(value));
        self.weights.insert(path, Tensor { shape: shape.to_vec(), data });
        Ok(())
    }

    /// Multiplies what the layer below gives by `scale` and adds `offset`, in its own weights: exporters take the bias or the
    /// normalisation behind a convolution apart so. False where the layer has no such weights or is read elsewhere too.
    pub(super) fn fold_in(&mut self, value: &Value, scale: &[f32], offset: &[f32]) -> bool {
        let has_kernel =
            matches!(self.kind_of(value), Some(Kind::Conv2D(_) | Kind::DepthwiseConv2D(_) | Kind::Dense(_)));
        let name = self.name_of(value);
        let (kernel, bias) = (format!("{name}/kernel"), format!("{name}/bias"));
        let channels = value.channels();
        let channel_value = |numbers: &[f32], channel: usize| {
            numbers.get(channel % numbers.len().max(1)).copied().unwrap_or(0.0)
        };
        if !has_kernel || !value.sole || channels == 0 || !self.weights.contains_key(&kernel) {
            return false;
        }
        let present = self.weights.get(&bias).map(|bias| bias.data.clone());
        if present.is_none() && self.set(value, "use_bias", json!(true)).is_err() {
            return false;
        }
        let present = present.unwrap_or_else(|| vec![0.0; channels]);
        let data = present
            .iter()
            .enumerate()
            .map(|(channel, bias)| bias * channel_value(scale, channel) + channel_value(offset, channel))
            .collect();
        self.weights.insert(bias, Tensor { shape: vec![channels], data });
        if let Some(kernel) = self.weights.get_mut(&kernel) {
            // the output's channels are the kernel's last axis, or its last two
            kernel
                .data
                .iter_mut()
                .enumerate()
                .for_each(|(index, weight)| *weight *= channel_value(scale, index % channels));
        }
        true
    }
}

/// The layer kind, or in words why there is none.
fn kind(class: &str, name: &str, config: &Map<String, Json>) -> Result<Kind, String> {
    let reader = Config::new(name, config);
    match read_kind(class, &reader) {
        Some(Ok(kind)) => Ok(kind),
        Some(Err(error)) => match Body::unsupported(class, error) {
            Body::Unsupported { reason, .. } => Err(reason),
            _ => Err(String::new()),
        },
        None => Err(format!("it needs a layer `{class}`, which frostline does not have")),
    }
}

fn read(class: &str, name: &str, config: &Map<String, Json>) -> Result<Body, String> {
    kind(class, name, config).map(Body::Kind)
}
