//! What PyTorch's modules are as Keras layers.

use super::builder::Builder;
use frostline_graph::TensorId;
use serde_json::{Value, json};

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

impl Builder<'_> {
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

/// `kaiming_normal_(mode="fan_out")`.
fn he_normal() -> Value {
    let config = json!({"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"});
    json!({"class_name": "VarianceScaling", "config": config})
}

/// `trunc_normal_(std=0.02)`.
pub(super) fn small_normal() -> Value {
    json!({"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}})
}

#[cfg(test)]
mod tests {
    use super::{divisible, rounded};

    #[test]
    fn widths_are_rounded_as_torchvision_and_timm_do() {
        // torchvision.models._utils._make_divisible(v, 8)
        for (width, expected) in
            [(4.0, 8), (18.0, 24), (30.0, 32), (24.0, 24), (60.0, 64), (72.0, 72), (36.0, 40)]
        {
            assert_eq!(divisible(width), expected, "{width}");
        }
        // timm.layers.make_divisible(v, divisor, round_limit=limit)
        assert_eq!(rounded(52.8, 8, 0.0), 56);
        assert_eq!(rounded(12.0, 8, 0.0), 16);
        assert_eq!(rounded(24.0 / 16.0, 8, 0.0), 8);
        assert_eq!(rounded(19.2, 16, 0.9), 32);
    }
}
