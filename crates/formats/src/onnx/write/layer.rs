//! A layer becomes nodes.

use super::emit::{Emitter, Value, transposed};
use super::resize::interpolation;
use super::window::window;
use frostline_graph::layers::*;
use frostline_graph::ops::PoolKind;
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
                Body::Kind(_) if call.inputs.is_empty() => {
                    let position = graph.inputs.iter().position(|id| id.call == index);
                    let input = position.and_then(|position| inputs.get(position)).copied();
                    vec![input.ok_or_else(|| {
                        format!("layer `{path}` is an input layer that is no input of its model")
                    })?]
                }
                Body::Kind(kind) => {
                    let output = self
                        .layer(&path, kind.as_ref(), &given)
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
        let turned = transposed(weight, order)
            .ok_or_else(|| format!("its {variable} has the shape {:?}", weight.shape))?;
        Ok(self.emit.floats(&format!("{path}/{variable}"), &turned.shape, &turned.data))
    }

    /// A weight as it is, as an initializer.
    pub(super) fn vector(&mut self, path: &str, variable: &str) -> Result<String, String> {
        let weight = self.weight(path, variable)?;
        Ok(self.emit.floats(&format!("{path}/{variable}"), &weight.shape, &weight.data))
    }

    pub(super) fn layer(
        &mut self,
        path: &str,
        kind: &dyn LayerKind,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let config = kind.config();
        let config = Config::new(path, &config);
        if let Some(operation) = kind.arithmetic() {
            let (scale, offset) = operation.scale_and_offset();
            return self.scaled(path, inputs, &[scale], &[offset]);
        }
        if let Some(counterpart) = kind.counterpart() {
            return self.over_one_axis(path, counterpart, inputs);
        }
        let words = |error: frostline_graph::Error| error.to_string();
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let class = kind.class_name();
        let output = match class {
            "Conv2D" => self.conv2d(path, &Conv2D::from_config(&config).map_err(words)?, &mut x)?,
            "DepthwiseConv2D" => {
                self.depthwise(path, &DepthwiseConv2D::from_config(&config).map_err(words)?, &mut x)?
            }
            "SeparableConv2D" => {
                self.separable(path, &SeparableConv2D::from_config(&config).map_err(words)?, &mut x)?
            }
            "Dense" => self.dense(path, &Dense::from_config(&config).map_err(words)?, &mut x)?,
            "BatchNormalization" => self.batch_normalization(
                path,
                &BatchNormalization::from_config(&config).map_err(words)?,
                &mut x,
            )?,
            "LayerNormalization" => self.layer_normalization(
                path,
                &LayerNormalization::from_config(&config).map_err(words)?,
                &mut x,
            )?,
            "GroupNormalization" => self.group_normalization(
                path,
                &GroupNormalization::from_config(&config).map_err(words)?,
                &mut x,
            )?,
            "Normalization" => {
                return self.normalization(
                    path,
                    &Normalization::from_config(&config).map_err(words)?,
                    inputs,
                );
            }
            "LayerScale" => {
                let gamma = self.weight(path, "gamma")?;
                return self.scaled(path, inputs, &gamma.data, &[0.0]);
            }
            "Rescaling" => {
                let layer = Rescaling::from_config(&config).map_err(words)?;
                return self.scaled(path, inputs, &layer.scale, &layer.offset);
            }
            "PReLU" => self.prelu(path, &mut x)?,
            "Activation" | "ReLU" | "LeakyReLU" | "ELU" | "Softmax" => {
                self.function(path, class, &config, &mut x)?
            }
            "Dropout" => {
                // read back as the layer; runtimes leave it out
                let rate = config.f32_or("rate", 0.0).map_err(words)?;
                let rate = self.emit.number(&format!("{path}/rate"), rate);
                self.in_place(path, &mut x, |emit, x| emit.node(path, "Dropout", &[x, &rate], &[]))
            }
            "MaxPooling2D" | "AveragePooling2D" => {
                let is_max = class == "MaxPooling2D";
                let layer =
                    Pooling2D::from_config(if is_max { PoolKind::Max } else { PoolKind::Average }, &config)
                        .map_err(words)?;
                let attributes = window(&x, layer.pool_size, layer.strides, [1, 1], layer.padding);
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.node(
                    path,
                    if is_max { "MaxPool" } else { "AveragePool" },
                    &[&input],
                    &attributes,
                ))
            }
            "GlobalAveragePooling2D" | "GlobalMaxPooling2D" => {
                let is_max = class == "GlobalMaxPooling2D";
                let kind = if is_max { PoolKind::Max } else { PoolKind::Average };
                let layer = GlobalPooling2D::from_config(kind, &config).map_err(words)?;
                let op = if is_max { "GlobalMaxPool" } else { "GlobalAveragePool" };
                // ONNX's own order of axes, whatever they stand for
                let input = if layer.channels_first {
                    self.emit.last(&mut x, path)
                } else {
                    self.emit.first(&mut x, path)
                };
                let pooled = self.emit.node(path, op, &[&input], &[]);
                match (layer.keepdims, layer.channels_first) {
                    (true, false) => Output::First(pooled),
                    (true, true) => Output::Last(pooled),
                    (false, _) => Output::Last(self.emit.node(path, "Flatten", &[&pooled], &[])),
                }
            }
            "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" => {
                self.merge(path, class, inputs)?
            }
            "CustomScaleLayer" => {
                self.scaled_add(path, config.f32_or("scale", 1.0).map_err(words)?, inputs)?
            }
            "Concatenate" => {
                self.concatenate(path, &Concatenate::from_config(&config).map_err(words)?, inputs)?
            }
            "Flatten" => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.node(path, "Flatten", &[&input], &[]))
            }
            "Reshape" => {
                let layer = Reshape::from_config(&config).map_err(words)?;
                let input = self.emit.last(&mut x, path);
                // 0 copies the batch
                let shape: Vec<i64> = std::iter::once(0).chain(layer.target_shape).collect();
                Output::Last(self.emit.reshape(path, &input, &shape))
            }
            "ZeroPadding2D" => {
                let [[top, bottom], [left, right]] =
                    ZeroPadding2D::from_config(&config).map_err(words)?.padding;
                let margins = [0, 0, top, left, 0, 0, bottom, right].map(|margin| margin as i64);
                let margins = self.emit.whole(&format!("{path}/padding"), &margins);
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.node(path, "Pad", &[&input, &margins], &[]))
            }
            "Cropping2D" => self.crop(path, &Cropping2D::from_config(&config).map_err(words)?, &mut x),
            "Resizing" => {
                let layer = Resizing::from_config(&config).map_err(words)?;
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.resize(path, &input, [layer.height, layer.width], layer.method))
            }
            "UpSampling2D" => {
                let layer = UpSampling2D::from_config(&config).map_err(words)?;
                let input = self.emit.first(&mut x, path);
                let scales = [1.0, 1.0, layer.size[0] as f32, layer.size[1] as f32];
                let scales = self.emit.floats(&format!("{path}/scales"), &[4], &scales);
                Output::First(self.emit.node(
                    path,
                    "Resize",
                    &[&input, "", &scales],
                    &interpolation(layer.method),
                ))
            }
            "Conv2DTranspose" => {
                self.conv2d_transpose(path, &Conv2DTranspose::from_config(&config).map_err(words)?, &mut x)?
            }
            "Permute" => {
                let dims = Permute::from_config(&config).map_err(words)?.dims;
                let order: Vec<i64> = std::iter::once(0).chain(dims).map(|axis| axis as i64).collect();
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.transpose(path, &input, &order))
            }
            "RepeatVector" => {
                let times = RepeatVector::from_config(&config).map_err(words)?.n;
                let input = self.emit.last(&mut x, path);
                let axis = self.emit.whole(&format!("{path}/axis"), &[1]);
                let row = self.emit.node(path, "Unsqueeze", &[&input, &axis], &[]);
                let times = self.emit.whole(&format!("{path}/times"), &[1, times as i64, 1]);
                Output::Last(self.emit.node(path, "Tile", &[&row, &times], &[]))
            }
            "UnitNormalization" => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.unit_norm(path, &input, -1))
            }
            "MultiHeadAttention" => {
                self.attention(path, &MultiHeadAttention::from_config(&config).map_err(words)?, inputs)?
            }
            "Dot" => self.dot(path, &Dot::from_config(&config).map_err(words)?, inputs)?,
            _ if is_identity(class) => Output::Input(index),
            other => {
                return Err(format!(
                    "a `{other}` cannot be written as ONNX\nhelp: save the model as `.keras`, or keep the layers below it"
                ));
            }
        };
        // a layout that was asked for is there for others
        if let Some(value) = self.values.get_mut(index) {
            *value = x;
        }
        Ok(output)
    }
}

/// Layers that do nothing but while Keras trains.
fn is_identity(class: &str) -> bool {
    TRAINING_ONLY.contains(&class) || ["SpatialDropout2D", "StochasticDepth"].contains(&class)
}
