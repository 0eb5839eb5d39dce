//! Activations as operators of opset 17.

use super::emit::{Attribute, Emitter};
use frostline_graph::layers::{HARD_SIGMOID_KERAS_2, NamedActivation, Relu};

impl Emitter {
    /// An activation of any layer; softmax over the last axis.
    pub(super) fn activation(
        &mut self,
        path: &str,
        activation: &NamedActivation,
        x: &str,
    ) -> Result<String, String> {
        let float = |name, value| [(name, Attribute::Float(value))];
        Ok(match activation.name() {
            "linear" => x.to_owned(),
            "relu" => self.node(path, "Relu", &[x], &[]),
            "relu6" => self.clip(path, x, 6.0),
            "sigmoid" => self.node(path, "Sigmoid", &[x], &[]),
            "tanh" => self.node(path, "Tanh", &[x], &[]),
            "softmax" => self.node(path, "Softmax", &[x], &[("axis", Attribute::Int(-1))]),
            "silu" => self.silu(path, x),
            "hard_sigmoid" => self.hard_sigmoid(path, x, 1.0 / 6.0),
            HARD_SIGMOID_KERAS_2 => self.hard_sigmoid(path, x, 0.2),
            "hard_silu" => self.node(path, "HardSwish", &[x], &[]),
            "elu" => self.node(path, "Elu", &[x], &float("alpha", 1.0)),
            "selu" => self.node(path, "Selu", &[x], &[]),
            "gelu" => self.gelu(path, x),
            "leaky_relu" => self.node(path, "LeakyRelu", &[x], &float("alpha", 0.2)),
            "softplus" => self.node(path, "Softplus", &[x], &[]),
            "softsign" => self.node(path, "Softsign", &[x], &[]),
            "exponential" => self.node(path, "Exp", &[x], &[]),
            "log_softmax" => self.node(path, "LogSoftmax", &[x], &[("axis", Attribute::Int(-1))]),
            _ => self.activation_by_ops(path, activation, x)?,
        })
    }

    pub(super) fn silu(&mut self, path: &str, x: &str) -> String {
        let gate = self.node(path, "Sigmoid", &[x], &[]);
        self.node(path, "Mul", &[x, &gate], &[])
    }

    pub(super) fn hard_sigmoid(&mut self, path: &str, x: &str, alpha: f32) -> String {
        self.node(
            path,
            "HardSigmoid",
            &[x],
            &[("alpha", Attribute::Float(alpha)), ("beta", Attribute::Float(0.5))],
        )
    }

    /// `x · ½ · (1 + erf(x / √2))`
    pub(super) fn gelu(&mut self, path: &str, x: &str) -> String {
        let scaled = self.affine(path, x, &[], &[std::f32::consts::FRAC_1_SQRT_2], &[0.0]);
        let erf = self.node(path, "Erf", &[&scaled], &[]);
        let gate = self.affine(path, &erf, &[], &[1.0], &[1.0]);
        let product = self.node(path, "Mul", &[x, &gate], &[]);
        self.affine(path, &product, &[], &[0.5], &[0.0])
    }

    /// `x · ½ · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`
    pub(super) fn gelu_tanh(&mut self, path: &str, x: &str) -> String {
        let square = self.node(path, "Mul", &[x, x], &[]);
        let cubic = self.affine(path, &square, &[], &[0.044_715], &[1.0]);
        let scaled = self.affine(path, x, &[], &[(2.0 / std::f32::consts::PI).sqrt()], &[0.0]);
        let argument = self.node(path, "Mul", &[&scaled, &cubic], &[]);
        let tanh = self.node(path, "Tanh", &[&argument], &[]);
        let gate = self.affine(path, &tanh, &[], &[1.0], &[1.0]);
        let product = self.node(path, "Mul", &[x, &gate], &[]);
        self.affine(path, &product, &[], &[0.5], &[0.0])
    }

    fn clip(&mut self, path: &str, x: &str, max: f32) -> String {
        let (min, max) = (self.number(&format!("{path}/min"), 0.0), self.number(&format!("{path}/max"), max));
        self.node(path, "Clip", &[x, &min, &max], &[])
    }

    /// The layer, with all its settings.
    pub(super) fn relu(&mut self, path: &str, relu: &Relu, x: &str) -> String {
        self.rectifier(path, relu.max_value, relu.negative_slope, relu.threshold, x)
    }

    /// `min(x, max)` above the threshold, a line below it.
    pub(super) fn rectifier(
        &mut self,
        path: &str,
        max: Option<f32>,
        slope: f32,
        threshold: f32,
        x: &str,
    ) -> String {
        match (max, slope, threshold) {
            (None, 0.0, 0.0) => self.node(path, "Relu", &[x], &[]),
            (Some(max), 0.0, 0.0) => self.clip(path, x, max),
            (None, slope, 0.0) => self.node(path, "LeakyRelu", &[x], &[("alpha", Attribute::Float(slope))]),
            (max, slope, threshold) => {
                let bound = self.number(&format!("{path}/threshold"), threshold);
                let above = self.node(path, "Greater", &[x, &bound], &[]);
                let below = self.affine(path, x, &[], &[slope], &[-threshold * slope]);
                let kept = match max {
                    Some(max) => {
                        let max = self.number(&format!("{path}/max"), max);
                        self.node(path, "Min", &[x, &max], &[])
                    }
                    None => x.to_owned(),
                };
                self.node(path, "Where", &[&above, &kept, &below], &[])
            }
        }
    }
}
