//! Puts a Functional graph together from Keras layers that compute what PyTorch's modules do.

use frostline_graph::layers::{Config, read_kind};
use frostline_graph::{Body, Call, Error, Form, Graph, Layer, Result, TensorId};
use serde_json::{Value, json};

/// A graph that is being put together. The first thing that goes wrong is kept, and told by [`Builder::finish`].
pub(super) struct Builder {
    graph: Graph,
    norm: BatchNorm,
    failed: Option<Error>,
}

/// The settings of an architecture's BatchNormalization. PyTorch's momentum is 1 − Keras's.
#[derive(Clone, Copy)]
pub(super) struct BatchNorm {
    epsilon: f64,
    momentum: f64,
}

impl BatchNorm {
    /// PyTorch's own: a momentum of 0.1.
    pub(super) const DEFAULT: Self = Self { epsilon: 1e-5, momentum: 0.9 };
    /// torchvision's MobileNetV3: 0.001 and a momentum of 0.01.
    pub(super) const MOBILENET_V3: Self = Self { epsilon: 1e-3, momentum: 0.99 };
}

/// A convolution without bias, padded as `padding=(kernel - 1) // 2` does.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    pub(super) filters: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

impl Conv {
    /// A 1 x 1 convolution.
    pub(super) fn pointwise(filters: usize) -> Self {
        Self { filters, kernel: 1, stride: 1 }
    }
}

impl Builder {
    /// A graph with one input: images of any size with three channels.
    pub(super) fn new(name: &str, norm: BatchNorm) -> (Self, TensorId) {
        let graph = Graph {
            name: name.to_owned(),
            form: Form::Functional,
            layers: Vec::new(),
            calls: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let mut builder = Self { graph, norm, failed: None };
        let input = builder.layer("input", "InputLayer", json!({"batch_shape": [null, null, null, 3]}), &[]);
        builder.graph.inputs.push(input);
        (builder, input)
    }

    /// Adds a layer and calls it.
    pub(super) fn layer(&mut self, name: &str, class: &str, config: Value, inputs: &[TensorId]) -> TensorId {
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
            Err(error) => drop(self.failed.get_or_insert(error)),
        }
        TensorId { call: self.graph.calls.len().saturating_sub(1), output: 0 }
    }

    /// The graph with this output.
    pub(super) fn finish(mut self, output: TensorId) -> Result<Graph> {
        self.graph.outputs.push(output);
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    /// `Conv2d(bias=False)`.
    pub(super) fn conv(&mut self, name: &str, x: TensorId, conv: Conv) -> TensorId {
        let (x, padding) = self.padded(name, x, conv.kernel, conv.stride);
        let config = json!({
            "filters": conv.filters, "kernel_size": conv.kernel, "strides": conv.stride, "padding": padding,
            "use_bias": false, "kernel_initializer": he_normal(),
        });
        self.layer(name, "Conv2D", config, &[x])
    }

    /// `Conv2d(kernel_size=1)`, with a bias.
    pub(super) fn pointwise_with_bias(&mut self, name: &str, x: TensorId, filters: usize) -> TensorId {
        let config = json!({"filters": filters, "kernel_size": 1, "kernel_initializer": he_normal()});
        self.layer(name, "Conv2D", config, &[x])
    }

    /// `Conv2d(groups=channels, bias=False)`.
    pub(super) fn depthwise(&mut self, name: &str, x: TensorId, kernel: usize, stride: usize) -> TensorId {
        let (x, padding) = self.padded(name, x, kernel, stride);
        let config = json!({
            "kernel_size": kernel, "strides": stride, "padding": padding, "use_bias": false,
            "depthwise_initializer": he_normal(),
        });
        self.layer(name, "DepthwiseConv2D", config, &[x])
    }

    /// `Conv2d(groups=channels, padding=(kernel - 1) // 2)`, with a bias.
    pub(super) fn depthwise_with_bias(&mut self, name: &str, x: TensorId, kernel: usize) -> TensorId {
        let config =
            json!({"kernel_size": kernel, "padding": "same", "depthwise_initializer": small_normal()});
        self.layer(name, "DepthwiseConv2D", config, &[x])
    }

    /// `Conv2d(kernel_size=size, stride=size)`, with a bias: patches that touch.
    pub(super) fn patches(&mut self, name: &str, x: TensorId, filters: usize, size: usize) -> TensorId {
        let config = json!({
            "filters": filters, "kernel_size": size, "strides": size, "kernel_initializer": small_normal(),
        });
        self.layer(name, "Conv2D", config, &[x])
    }

    /// `LayerNorm` over the channels.
    pub(super) fn layer_norm(&mut self, name: &str, x: TensorId, epsilon: f64) -> TensorId {
        self.layer(name, "LayerNormalization", json!({"axis": -1, "epsilon": epsilon}), &[x])
    }

    /// Zeros on all sides, where Keras's `same` does not mean that: with a stride it puts more below and to the right.
    fn padded(&mut self, name: &str, x: TensorId, kernel: usize, stride: usize) -> (TensorId, &'static str) {
        match (kernel, stride) {
            (1, _) => (x, "valid"),
            (_, 1) => (x, "same"),
            _ => (self.zeros(name, x, (kernel - 1) / 2), "valid"),
        }
    }

    /// Zeros around an image, for the layer of this name.
    pub(super) fn zeros(&mut self, name: &str, x: TensorId, padding: usize) -> TensorId {
        self.layer(&format!("{name}.pad"), "ZeroPadding2D", json!({"padding": padding}), &[x])
    }

    /// `BatchNorm2d`.
    pub(super) fn batch_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let BatchNorm { epsilon, momentum } = self.norm;
        let config = json!({"epsilon": epsilon, "momentum": momentum});
        self.layer(name, "BatchNormalization", config, &[x])
    }

    /// An activation by its Keras name, behind the module of this name. `hard_sigmoid` is relu6(x + 3) / 6, `gelu` the
    /// exact one, as in PyTorch.
    pub(super) fn activation(&mut self, name: &str, function: &str, x: TensorId) -> TensorId {
        self.layer(&format!("{name}.{function}"), "Activation", json!({"activation": function}), &[x])
    }

    /// A convolution and its normalisation, by their two names.
    pub(super) fn conv_bn(&mut self, [name, norm]: [&str; 2], x: TensorId, conv: Conv) -> TensorId {
        let x = self.conv(name, x, conv);
        self.batch_norm(norm, x)
    }

    /// A convolution, its normalisation and an activation.
    pub(super) fn conv_bn_act(
        &mut self,
        names: [&str; 2],
        x: TensorId,
        conv: Conv,
        function: &str,
    ) -> TensorId {
        let x = self.conv_bn(names, x, conv);
        self.activation(names[1], function, x)
    }

    /// The sum of two values.
    pub(super) fn add(&mut self, name: &str, left: TensorId, right: TensorId) -> TensorId {
        self.layer(name, "Add", json!({}), &[left, right])
    }

    /// Drops the whole branch of an image, with this chance; nothing for 0.
    pub(super) fn stochastic_depth(&mut self, name: &str, x: TensorId, rate: f64) -> TensorId {
        match rate > 0.0 {
            true => self.layer(name, "StochasticDepth", json!({"drop_path_rate": rate}), &[x]),
            false => x,
        }
    }

    /// The mean of each channel.
    pub(super) fn pooled(&mut self, name: &str, x: TensorId) -> TensorId {
        self.layer(name, "GlobalAveragePooling2D", json!({}), &[x])
    }

    /// `Dropout`.
    pub(super) fn dropout(&mut self, name: &str, x: TensorId, rate: f64) -> TensorId {
        self.layer(name, "Dropout", json!({"rate": rate}), &[x])
    }

    /// `Linear`, over the last axis.
    pub(super) fn linear(&mut self, name: &str, x: TensorId, units: usize) -> TensorId {
        self.layer(name, "Dense", json!({"units": units}), &[x])
    }
}

/// `kaiming_normal_(mode="fan_out")`.
fn he_normal() -> Value {
    let config = json!({"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"});
    json!({"class_name": "VarianceScaling", "config": config})
}

/// `trunc_normal_(std=0.02)`.
fn small_normal() -> Value {
    json!({"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}})
}
