//! A layer becomes nodes.

use super::emit::{Attribute, Emitter, Value};
use super::resize::interpolation;
use frostline_graph::layers::{Dropout, Kind};
use frostline_graph::ops::{Dropped, PoolKind};
use frostline_graph::{Body, Graph, Result, Shape, Tensor, Weights, join};

/// The result of a layer, in the layout in which its last node gives it.
pub(super) enum Output {
    First(String),
    Last(String),
    /// The layer does nothing: its input.
    Input(usize),
}

/// Writes the layers of a model and of the models in it.
pub(super) struct Writer<'a> {
    pub(super) emit: Emitter,
    pub(super) weights: &'a Weights,
    pub(super) values: Vec<Value>,
    /// The layer at hand runs over one axis: its kernels are given a height of 1.
    pub(super) over_one_axis: bool,
}

impl Writer<'_> {
    /// The calls of a graph on values; the values of its outputs.
    pub(super) fn graph(
        &mut self,
        graph: &Graph,
        group: &str,
        inputs: &[usize],
    ) -> Result<Vec<usize>, String> {
        let shapes = |size: usize| {
            let given: Vec<Shape> = inputs
                .iter()
                .filter_map(|input| Some(self.values.get(*input)?.shapes[size].clone()))
                .collect();
            graph.infer_shapes(&given).map_err(|error| error.to_string())
        };
        let (small, large) = (shapes(0)?, shapes(1)?);
        let mut made: Vec<Vec<usize>> = Vec::with_capacity(graph.calls.len());
        for (index, call) in graph.calls.iter().enumerate() {
            let layer = &graph.layers[call.layer];
            let path = join(group, &layer.name);
            let given: Vec<usize> = call.inputs.iter().map(|id| made[id.call][id.output]).collect();
            let outputs = match &layer.body {
                Body::Model(inner) => self.graph(inner, &path, &given)?,
                Body::Unsupported { class_name, .. } => {
                    return Err(format!(
                        "layer `{path}` is a `{class_name}`, which frostline cannot run and does not write\nhelp: keep the layers below it"
                    ));
                }
                Body::Kind(kind) if kind.makes_mask() => {
                    return Err(format!(
                        "layer `{path}` says which steps of a sequence count, which ONNX's operators are not told\nhelp: save the model as `.keras`"
                    ));
                }
                Body::Kind(_) if call.inputs.is_empty() => {
                    let position = graph.inputs.iter().position(|id| id.call == index);
                    let input = position.and_then(|position| inputs.get(position)).copied();
                    vec![input.ok_or_else(|| {
                        format!("layer `{path}` is an input layer that is no input of its model")
                    })?]
                }
                Body::Kind(kind @ Kind::Operation(_)) => self
                    .by_ops(&path, kind, &given)
                    .map_err(|message| format!("layer `{path}`: {message}"))?,
                Body::Kind(kind) => {
                    let output = self
                        .layer(&path, kind, &given)
                        .map_err(|message| format!("layer `{path}`: {message}"))?;
                    let shapes = [small[index][0].clone(), large[index][0].clone()];
                    vec![self.push_output(output, shapes)]
                }
            };
            made.push(outputs);
        }
        Ok(graph.outputs.iter().map(|id| made[id.call][id.output]).collect())
    }

    pub(super) fn push_output(&mut self, output: Output, shapes: [Shape; 2]) -> usize {
        match output {
            Output::First(name) => self.push(Value { first: Some(name), last: None, shapes }),
            Output::Last(name) => self.push(Value { first: None, last: Some(name), shapes }),
            Output::Input(index) => index,
        }
    }

    pub(super) fn push(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len() - 1
    }

    /// A weight of the layer.
    pub(super) fn weight(&self, path: &str, variable: &str) -> Result<Tensor, String> {
        let weight = self.weights.get(&format!("{path}/{variable}")).map_err(|error| error.to_string())?;
        let mut weight = weight.get();
        if self.over_one_axis && weight.shape.len() == 3 {
            weight.shape.insert(0, 1);
        }
        Ok(weight)
    }

    /// A weight with its axes in this order, as an initializer.
    pub(super) fn stored(
        &mut self,
        path: &str,
        variable: &str,
        weight: &Tensor,
        order: &[usize],
    ) -> Result<String, String> {
        let turned = weight
            .permuted(order)
            .ok_or_else(|| format!("its {variable} has the shape {:?}", weight.shape))?;
        Ok(self.emit.floats(&format!("{path}/{variable}"), &turned.shape, &turned.data))
    }

    /// A weight as it is, as an initializer.
    pub(super) fn vector(&mut self, path: &str, variable: &str) -> Result<String, String> {
        let weight = self.weight(path, variable)?;
        Ok(self.emit.floats(&format!("{path}/{variable}"), &weight.shape, &weight.data))
    }

    pub(super) fn layer(&mut self, path: &str, kind: &Kind, inputs: &[usize]) -> Result<Output, String> {
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let output = match kind {
            Kind::OneDimensional(layer) => return self.over_one_axis(path, layer, inputs),
            Kind::Conv2D(layer) => self.conv2d(path, layer, &mut x)?,
            Kind::Conv2DTranspose(layer) => self.conv2d_transpose(path, layer, &mut x)?,
            Kind::DepthwiseConv2D(layer) => self.depthwise(path, layer, &mut x)?,
            Kind::SeparableConv2D(layer) => self.separable(path, layer, &mut x)?,
            Kind::Dense(layer) => self.dense(path, layer, &mut x)?,
            Kind::BatchNormalization(layer) if matches!(x.shapes[0].len(), 1 | 3) => {
                self.batch_normalization(path, layer, &mut x)?
            }
            Kind::LayerNormalization(layer) => self.layer_normalization(path, layer, &mut x)?,
            Kind::GroupNormalization(layer) => self.group_normalization(path, layer, &mut x)?,
            Kind::Normalization(layer) => return self.normalization(path, layer, inputs),
            Kind::LayerScale(_) => {
                let gamma = self.weight(path, "gamma")?;
                return self.scaled(path, inputs, &gamma.data, &[0.0]);
            }
            Kind::PRelu(_) => self.prelu(path, &mut x)?,
            Kind::Activation(layer) => self.function(path, &layer.activation, &mut x)?,
            Kind::Relu(layer) => self.in_place(path, &mut x, |emit, x| emit.relu(path, layer, x)),
            Kind::LeakyRelu(layer) => {
                let alpha = [("alpha", Attribute::Float(layer.negative_slope))];
                self.in_place(path, &mut x, |emit, x| emit.node(path, "LeakyRelu", &[x], &alpha))
            }
            Kind::Elu(layer) => {
                let alpha = [("alpha", Attribute::Float(layer.alpha))];
                self.in_place(path, &mut x, |emit, x| emit.node(path, "Elu", &[x], &alpha))
            }
            Kind::Dropout(Dropout { rate, dropped: Dropped::Elements, noise_shape })
                if noise_shape.is_empty() =>
            {
                // read back as the layer; runtimes leave it out
                let rate = self.emit.number(&format!("{path}/rate"), *rate);
                self.in_place(path, &mut x, |emit, x| emit.node(path, "Dropout", &[x, &rate], &[]))
            }
            Kind::GlobalPooling2D(layer) if layer.channels_first => {
                // ONNX's own order of axes, whatever they stand for
                let operator =
                    if layer.kind == PoolKind::Max { "GlobalMaxPool" } else { "GlobalAveragePool" };
                let input = self.emit.last(&mut x, path);
                let pooled = self.emit.node(path, operator, &[&input], &[]);
                match layer.keepdims {
                    true => Output::Last(pooled),
                    false => Output::Last(self.emit.node(path, "Flatten", &[&pooled], &[])),
                }
            }
            Kind::Merge(merge) => self.merge(path, *merge, inputs)?,
            Kind::ScaledAdd(layer) => self.scaled_add(path, layer.scale, inputs)?,
            Kind::Concatenate(layer) => self.concatenate(path, layer.axis, inputs)?,
            Kind::Flatten(_) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.node(path, "Flatten", &[&input], &[]))
            }
            Kind::Reshape(layer) => {
                let input = self.emit.last(&mut x, path);
                // 0 copies the batch
                let shape: Vec<i64> = std::iter::once(0).chain(layer.target_shape.iter().copied()).collect();
                Output::Last(self.emit.reshape(path, &input, &shape))
            }
            Kind::UpSampling2D(layer) => {
                let input = self.emit.first(&mut x, path);
                let scales = [1.0, 1.0, layer.size[0] as f32, layer.size[1] as f32];
                let scales = self.emit.floats(&format!("{path}/scales"), &[4], &scales);
                let inputs = [input.as_str(), "", &scales];
                Output::First(self.emit.node(path, "Resize", &inputs, &interpolation(layer.method)))
            }
            Kind::RepeatVector(layer) => {
                let input = self.emit.last(&mut x, path);
                let axis = self.emit.whole(&format!("{path}/axis"), &[1]);
                let row = self.emit.node(path, "Unsqueeze", &[&input, &axis], &[]);
                let times = self.emit.whole(&format!("{path}/times"), &[1, layer.n as i64, 1]);
                Output::Last(self.emit.node(path, "Tile", &[&row, &times], &[]))
            }
            Kind::MultiHeadAttention(layer) if !layer.call.causal => self.attention(path, layer, inputs)?,
            Kind::Dot(layer) => self.dot(path, layer, inputs)?,
            // all others have no operator of their own
            _ => {
                let outputs = self.by_ops(path, kind, inputs)?;
                return outputs
                    .first()
                    .copied()
                    .map(Output::Input)
                    .ok_or_else(|| "it gives nothing".to_owned());
            }
        };
        // a layout that was asked for is there for others
        if let Some(value) = self.values.get_mut(index) {
            *value = x;
        }
        Ok(output)
    }
}
