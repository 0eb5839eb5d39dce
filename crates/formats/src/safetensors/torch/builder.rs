//! Puts a Functional graph together from Keras layers and operations.

use super::modules::{BatchNorm, small_normal};
use crate::safetensors::file::Tensors;
use frostline_graph::layers::{CALL, Config, read_kind};
use frostline_graph::{Body, Call, Error, Form, Graph, Layer, Result, TensorId};
use serde_json::{Value, json};

/// A graph that is being put together. The first thing that goes wrong is kept, and told by [`Builder::finish`].
pub(super) struct Builder<'a> {
    graph: Graph,
    tensors: &'a Tensors<'a>,
    /// The settings of all its BatchNormalization.
    pub(super) norm: BatchNorm,
    /// Whether convolutions are padded as TensorFlow's `same`, which puts more below and to the right.
    pub(super) tensorflow_padding: bool,
    /// The height and width of the images, where the user says it and the weights let it be chosen.
    pub(super) image_size: Option<[usize; 2]>,
    /// Whether the first layer whose tensors the file does not have ends the work: no architecture that misses one fits.
    is_guess: bool,
    failed: Option<Error>,
}

impl<'a> Builder<'a> {
    /// A graph for these tensors.
    pub(super) fn new(name: &str, tensors: &'a Tensors<'a>) -> Self {
        let graph = Graph {
            name: name.to_owned(),
            form: Form::Functional,
            layers: Vec::new(),
            calls: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        Self {
            graph,
            tensors,
            norm: BatchNorm::DEFAULT,
            tensorflow_padding: false,
            image_size: None,
            is_guess: false,
            failed: None,
        }
    }

    /// [`Builder::new`], which fails at the first layer whose tensors are not there.
    pub(super) fn guess(name: &str, tensors: &'a Tensors<'a>) -> Self {
        Self { is_guess: true, ..Self::new(name, tensors) }
    }

    /// The graph with this output.
    pub(super) fn finish(mut self, output: TensorId) -> Result<Graph> {
        self.graph.outputs.push(output);
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    /// The shape of a tensor of the file.
    pub(super) fn shape(&self, tensor: &str) -> Option<&'a [usize]> {
        self.tensors.shape(tensor)
    }

    /// The outputs of a module, or the width of a normalisation, where the file has its weight.
    pub(super) fn units(&self, module: &str) -> Option<usize> {
        self.shape(&format!("{module}.weight"))?.first().copied()
    }

    /// Keeps what goes wrong.
    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Whether something went wrong already.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The only input: images with three channels, of any size.
    pub(super) fn images(&mut self) -> TensorId {
        self.input(json!([null, null, null, 3]))
    }

    /// The only input: images with three channels of one size.
    pub(super) fn images_of(&mut self, [height, width]: [usize; 2]) -> TensorId {
        self.input(json!([null, height, width, 3]))
    }

    fn input(&mut self, shape: Value) -> TensorId {
        let input = self.layer("input", "InputLayer", json!({ "batch_shape": shape }), &[]);
        self.graph.inputs.push(input);
        input
    }

    /// Adds a layer and calls it.
    pub(super) fn layer(&mut self, name: &str, class: &str, config: Value, inputs: &[TensorId]) -> TensorId {
        if self.is_guess && self.failed.is_none() && !self.has_tensors(name, class, &config) {
            self.fail(Error::weights(format!("no tensor for `{name}`")));
        }
        if self.is_guess && self.failed.is_some() {
            return TensorId { call: 0, output: 0 };
        }
        let map = config.as_object().cloned().unwrap_or_default();
        let reader = Config::new(name, &map);
        let kind =
            read_kind(class, &reader).unwrap_or_else(|| Err(reader.error(format!("`{class}` is not known"))));
        match kind {
            Ok(kind) => {
                let config = kind.config();
                let body = Body::Kind(kind);
                self.graph.layers.push(Layer { name: name.to_owned(), trainable: true, body, config });
                let layer = self.graph.layers.len() - 1;
                self.graph.calls.push(Call { layer, inputs: inputs.to_vec() });
            }
            Err(error) => self.fail(error),
        }
        TensorId { call: self.graph.calls.len().saturating_sub(1), output: 0 }
    }

    /// Whether the file has a tensor of a layer's name, with as many outputs as the layer has.
    fn has_tensors(&self, name: &str, class: &str, config: &Value) -> bool {
        let outputs = match class {
            "Conv2D" => &config["filters"],
            "Dense" => &config["units"],
            "DepthwiseConv2D" | "BatchNormalization" | "LayerNormalization" | "GroupNormalization" => {
                &Value::Null
            }
            _ => return true,
        };
        let weight = [".weight", "_weight"].iter().find_map(|end| self.shape(&format!("{name}{end}")));
        match weight {
            Some(shape) => {
                outputs.is_null() || outputs.as_u64() == shape.first().map(|extent| *extent as u64)
            }
            // a parameter that no module holds
            None => self.shape(name).is_some(),
        }
    }

    /// Calls the layer that gave a value once more.
    pub(super) fn again(&mut self, made: TensorId, input: TensorId) -> TensorId {
        let layer = self.graph.calls.get(made.call).map_or(0, |call| call.layer);
        self.graph.calls.push(Call { layer, inputs: vec![input] });
        TensorId { call: self.graph.calls.len() - 1, output: 0 }
    }

    /// Adds an operation of `keras.ops` on these values, and on what follows them in its call.
    pub(super) fn operation(
        &mut self,
        name: &str,
        class: &str,
        mut settings: Value,
        inputs: &[TensorId],
        more: &[Value],
    ) -> TensorId {
        let places = (0..inputs.len()).map(|place| json!({ "tensor": place }));
        let given: Vec<Value> = places.chain(more.iter().cloned()).collect();
        settings[CALL] = json!({"args": given, "kwargs": {}});
        self.layer(name, class, settings, inputs)
    }

    /// Values joined along an axis, batch counted.
    pub(super) fn joined(&mut self, name: &str, values: &[TensorId], axis: i64) -> TensorId {
        self.layer(name, "Concatenate", json!({ "axis": axis }), values)
    }

    /// Equal parts of the last axis.
    pub(super) fn parts<const N: usize>(&mut self, name: &str, x: TensorId) -> [TensorId; N] {
        let settings = json!({"indices_or_sections": N, "axis": -1});
        let first = self.operation(name, "Split", settings, &[x], &[]);
        std::array::from_fn(|output| TensorId { output, ..first })
    }

    /// The value in another shape, batch left out; one extent may be -1.
    pub(super) fn reshaped(&mut self, name: &str, x: TensorId, shape: &[i64]) -> TensorId {
        self.layer(name, "Reshape", json!({ "target_shape": shape }), &[x])
    }

    /// The axes in another order, batch left out and counted from 1.
    pub(super) fn permuted(&mut self, name: &str, x: TensorId, order: &[usize]) -> TensorId {
        self.layer(name, "Permute", json!({ "dims": order }), &[x])
    }

    /// Places `from..to` of an axis, the batch's being 0, of a value of so many axes with the batch.
    pub(super) fn places(
        &mut self,
        name: &str,
        x: TensorId,
        [axes, axis]: [usize; 2],
        from: usize,
        to: Option<usize>,
    ) -> TensorId {
        let mut key = vec![slice(None, None); axes];
        key[axis] = slice(Some(from), to);
        self.operation(name, "GetItem", json!({}), &[x], &[json!(key)])
    }

    /// One place of axis 1: a token.
    pub(super) fn token(&mut self, name: &str, x: TensorId, place: usize) -> TensorId {
        let key = json!([slice(None, None), place]);
        self.operation(name, "GetItem", json!({}), &[x], &[key])
    }

    /// A parameter that no module holds, of the shape `[1, …]` in the file, as a value for each image: a Dense layer without
    /// bias, called on a one. Training changes it as any weight. `like`: a value and how many axes it has with the batch.
    pub(super) fn parameter(
        &mut self,
        name: &str,
        (like, axes): (TensorId, usize),
        in_file: &[usize],
        shape: &[usize],
    ) -> TensorId {
        if let Some(found) = self.shape(name)
            && found != in_file
        {
            let message = format!(
                "`{name}` wants shape {in_file:?}, in the file it has shape {found:?}\nhelp: it is another architecture, or one for images of another size"
            );
            self.fail(Error::weights(message));
        }
        let mut key = vec![json!(0); axes];
        key[0] = slice(None, None);
        key[axes - 1] = slice(Some(0), Some(1));
        let first = self.operation(&format!("{name}.first"), "GetItem", json!({}), &[like], &[json!(key)]);
        // one for each image: what does not depend on the input would have no batch in ONNX
        let bounds = json!({"x_min": 1.0, "x_max": 1.0});
        let one = self.operation(&format!("{name}.one"), "Clip", bounds, &[first], &[]);
        let units: usize = shape.iter().product();
        let config = json!({"units": units, "use_bias": false, "kernel_initializer": small_normal()});
        let row = self.layer(name, "Dense", config, &[one]);
        let shape: Vec<i64> = shape.iter().map(|extent| *extent as i64).collect();
        self.reshaped(&format!("{name}.reshape"), row, &shape)
    }
}

/// Python's `start:stop`.
fn slice(start: Option<usize>, stop: Option<usize>) -> Value {
    json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": null}})
}
