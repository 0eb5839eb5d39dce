//! Puts a Functional graph together from Keras layers and operations that compute what PyTorch's modules do.

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
    /// Whether the first layer whose tensors the file does not have ends the work: no architecture that misses one fits.
    is_guess: bool,
    failed: Option<Error>,
}

/// The settings of an architecture's BatchNormalization. PyTorch's momentum is 1 − Keras's.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNorm {
    pub(super) epsilon: f64,
    pub(super) momentum: f64,
}

impl BatchNorm {
    /// PyTorch's own: a momentum of 0.1.
    pub(super) const DEFAULT: Self = Self { epsilon: 1e-5, momentum: 0.9 };
    /// TensorFlow's epsilon.
    pub(super) const TENSORFLOW: Self = Self { epsilon: 1e-3, momentum: 0.9 };
    /// TensorFlow's epsilon and a momentum of 0.01.
    pub(super) const SLOW: Self = Self { epsilon: 1e-3, momentum: 0.99 };
}

/// A convolution, padded as `padding=(kernel - 1) // 2` does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    pub(super) filters: usize,
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) groups: usize,
    pub(super) bias: bool,
    /// Whether there is no padding at all.
    pub(super) valid: bool,
}

impl Conv {
    /// Without stride, groups or bias.
    pub(super) const fn new(filters: usize, kernel: usize) -> Self {
        Self { filters, kernel: [kernel, kernel], stride: 1, groups: 1, bias: false, valid: false }
    }

    /// A 1 x 1 convolution.
    pub(super) const fn pointwise(filters: usize) -> Self {
        Self::new(filters, 1)
    }

    /// `Conv2d(kernel_size=size, stride=size)`, with a bias: patches that touch.
    pub(super) const fn patches(filters: usize, size: usize) -> Self {
        Self { stride: size, bias: true, valid: true, ..Self::new(filters, size) }
    }

    pub(super) const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(super) const fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(super) const fn bias(self) -> Self {
        Self { bias: true, ..self }
    }

    pub(super) const fn valid(self) -> Self {
        Self { valid: true, ..self }
    }
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
        Self { graph, tensors, norm: BatchNorm::DEFAULT, tensorflow_padding: false, is_guess: false, failed: None }
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
            "DepthwiseConv2D" | "BatchNormalization" | "LayerNormalization" | "GroupNormalization" => &Value::Null,
            _ => return true,
        };
        let weight = [".weight", "_weight"].iter().find_map(|end| self.shape(&format!("{name}{end}")));
        match weight {
            Some(shape) => outputs.is_null() || outputs.as_u64() == shape.first().map(|extent| *extent as u64),
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

    /// `Conv2d`.
    pub(super) fn conv(&mut self, name: &str, x: TensorId, conv: Conv) -> TensorId {
        let (x, padding) = match conv.valid {
            true => (x, "valid"),
            false => self.padded(name, x, conv.kernel, conv.stride),
        };
        let config = json!({
            "filters": conv.filters, "kernel_size": conv.kernel, "strides": conv.stride, "padding": padding,
            "groups": conv.groups, "use_bias": conv.bias, "kernel_initializer": he_normal(),
        });
        self.layer(name, "Conv2D", config, &[x])
    }

    /// `Conv2d(groups=channels, bias=False)`.
    pub(super) fn depthwise(&mut self, name: &str, x: TensorId, kernel: usize, stride: usize) -> TensorId {
        let (x, padding) = self.padded(name, x, [kernel, kernel], stride);
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

    /// `LayerNorm` over the channels.
    pub(super) fn layer_norm(&mut self, name: &str, x: TensorId, epsilon: f64) -> TensorId {
        self.layer(name, "LayerNormalization", json!({"axis": -1, "epsilon": epsilon}), &[x])
    }

    /// Zeros on all sides, where Keras's `same` does not mean that: with a stride it puts more below and to the right.
    fn padded(
        &mut self,
        name: &str,
        x: TensorId,
        kernel: [usize; 2],
        stride: usize,
    ) -> (TensorId, &'static str) {
        match (kernel, stride) {
            ([1, 1], _) => (x, "valid"),
            (_, 1) => (x, "same"),
            _ if self.tensorflow_padding => (x, "same"),
            ([height, _], _) => (self.zeros(name, x, (height - 1) / 2), "valid"),
        }
    }

    /// Zeros around an image, for the layer of this name.
    pub(super) fn zeros(&mut self, name: &str, x: TensorId, padding: usize) -> TensorId {
        self.layer(&format!("{name}.pad"), "ZeroPadding2D", json!({ "padding": padding }), &[x])
    }

    /// `MaxPool2d(padding=(size - 1) // 2)` of values none of which is below zero, so that zeros around them never are the
    /// largest.
    pub(super) fn max_pool(&mut self, name: &str, x: TensorId, size: usize, stride: usize) -> TensorId {
        match stride {
            1 => self.layer(
                name,
                "MaxPooling2D",
                json!({"pool_size": size, "strides": 1, "padding": "same"}),
                &[x],
            ),
            _ => {
                let x = self.zeros(name, x, (size - 1) / 2);
                self.max_pool_valid(name, x, size, stride)
            }
        }
    }

    /// `MaxPool2d` without padding.
    pub(super) fn max_pool_valid(&mut self, name: &str, x: TensorId, size: usize, stride: usize) -> TensorId {
        self.layer(name, "MaxPooling2D", json!({"pool_size": size, "strides": stride}), &[x])
    }

    /// `MaxPool2d(stride=2, ceil_mode=True)` of values none of which is below zero: the last place may hang over.
    pub(super) fn max_pool_ceil(&mut self, name: &str, x: TensorId, size: usize) -> TensorId {
        let padding = json!({"padding": [[0, 1], [0, 1]]});
        let x = self.layer(&format!("{name}.pad"), "ZeroPadding2D", padding, &[x]);
        self.max_pool_valid(name, x, size, 2)
    }

    /// `AvgPool2d`; `same` for `ceil_mode=True, count_include_pad=False`.
    pub(super) fn average_pool(
        &mut self,
        name: &str,
        x: TensorId,
        [size, stride]: [usize; 2],
        padding: &str,
    ) -> TensorId {
        let config = json!({"pool_size": size, "strides": stride, "padding": padding});
        self.layer(name, "AveragePooling2D", config, &[x])
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
        self.layer(&format!("{name}.{function}"), "Activation", json!({ "activation": function }), &[x])
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

    /// `x` with a factor for each channel, which two 1 x 1 convolutions make of the means of all.
    /// Source: Hu et al. 2017, squeeze and excitation.
    pub(super) fn squeeze(&mut self, path: &str, x: TensorId, squeeze: &Squeeze<'_>) -> TensorId {
        let means = json!({"keepdims": true});
        let y = self.layer(&format!("{path}.avgpool"), "GlobalAveragePooling2D", means, &[x]);
        let [reduce, expand] = squeeze.names.map(|name| format!("{path}.{name}"));
        let y = self.conv(&reduce, y, Conv::pointwise(squeeze.width).bias());
        let y = self.activation(&reduce, squeeze.function, y);
        let y = self.conv(&expand, y, Conv::pointwise(squeeze.channels).bias());
        let y = self.activation(&expand, squeeze.gate, y);
        self.layer(&format!("{path}.multiply"), "Multiply", json!({}), &[x, y])
    }

    /// Each channel times a factor of its own.
    pub(super) fn layer_scale(&mut self, name: &str, x: TensorId, channels: usize, init: f64) -> TensorId {
        let config = json!({"init_values": init, "projection_dim": channels});
        self.layer(name, "LayerScale", config, &[x])
    }

    /// Drops the whole branch of an image, with this chance; nothing for 0.
    pub(super) fn stochastic_depth(&mut self, name: &str, x: TensorId, rate: f64) -> TensorId {
        match rate > 0.0 {
            true => self.layer(name, "StochasticDepth", json!({ "drop_path_rate": rate }), &[x]),
            false => x,
        }
    }

    /// The mean of each channel.
    pub(super) fn pooled(&mut self, name: &str, x: TensorId) -> TensorId {
        self.layer(name, "GlobalAveragePooling2D", json!({}), &[x])
    }

    /// `Dropout`; nothing for 0.
    pub(super) fn dropout(&mut self, name: &str, x: TensorId, rate: f64) -> TensorId {
        match rate > 0.0 {
            true => self.layer(name, "Dropout", json!({ "rate": rate }), &[x]),
            false => x,
        }
    }

    /// `Linear`, over the last axis.
    pub(super) fn linear(&mut self, name: &str, x: TensorId, units: usize) -> TensorId {
        self.layer(name, "Dense", json!({ "units": units }), &[x])
    }

    /// `Linear`, over the last axis, with the settings of its bias from the file.
    pub(super) fn linear_as_saved(&mut self, name: &str, x: TensorId, units: usize) -> TensorId {
        let bias = self.shape(&format!("{name}.bias")).is_some();
        self.layer(name, "Dense", json!({"units": units, "use_bias": bias}), &[x])
    }

    /// The classifier, where the file has one; without it, what comes in.
    pub(super) fn classifier(&mut self, name: &str, x: TensorId) -> TensorId {
        match self.units(name) {
            Some(classes) => self.linear(name, x, classes),
            None => x,
        }
    }

    /// Dropout of this name and the classifier, where the file has one.
    pub(super) fn dropped_classifier(
        &mut self,
        [dropout, name]: [&str; 2],
        x: TensorId,
        rate: f64,
    ) -> TensorId {
        match self.units(name) {
            Some(classes) => {
                let x = self.dropout(dropout, x, rate);
                self.linear(name, x, classes)
            }
            None => x,
        }
    }
}

/// Squeeze and excitation.
pub(super) struct Squeeze<'n> {
    /// The two convolutions.
    pub(super) names: [&'n str; 2],
    /// Channels that come in.
    pub(super) channels: usize,
    /// Channels between.
    pub(super) width: usize,
    pub(super) function: &'n str,
    pub(super) gate: &'n str,
}

/// The nearest multiple of a divisor, at least that and never below `limit` of the width.
pub(super) fn rounded(width: f64, divisor: usize, limit: f64) -> usize {
    let step = divisor as f64;
    let near = (((width + step / 2.0).floor() / step).floor() * step).max(step);
    let near = if near < limit * width { near + step } else { near };
    near as usize
}

/// [`rounded`] to 8 and not below nine tenths, as MobileNets are.
pub(super) fn divisible(width: f64) -> usize {
    rounded(width, 8, 0.9)
}

/// Python's `start:stop`.
fn slice(start: Option<usize>, stop: Option<usize>) -> Value {
    json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": null}})
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

#[cfg(test)]
mod tests {
    use super::{divisible, rounded};

    #[test]
    fn widths_are_rounded_as_torchvision_and_timm_do() {
        // torchvision.models._utils._make_divisible(v, 8)
        for (width, expected) in [(4.0, 8), (18.0, 24), (30.0, 32), (24.0, 24), (60.0, 64), (72.0, 72), (36.0, 40)] {
            assert_eq!(divisible(width), expected, "{width}");
        }
        // timm.layers.make_divisible(v, divisor, round_limit=limit)
        assert_eq!(rounded(52.8, 8, 0.0), 56);
        assert_eq!(rounded(12.0, 8, 0.0), 16);
        assert_eq!(rounded(24.0 / 16.0, 8, 0.0), 8);
        assert_eq!(rounded(19.2, 16, 0.9), 32);
    }
}
