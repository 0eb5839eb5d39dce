//! `Activation`, and what a named activation means in any layer's config.
//! Source: `keras.activations`.

use super::{CALL, Config, Kind, LayerKind, Operation, read_kind};
use crate::ops::{Affine, Binary, BinaryKind, LayerInfo, Lowering, Program, Softmax, Unary, ValueId};
use crate::{Error, Result, Shape};
use frostline_kernels::Activation as Function;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An activation that Keras knows by name, or a layer of one in its place: `activation=LeakyReLU(0.1)`.
#[derive(Clone, Debug)]
pub struct NamedActivation {
    name: &'static str,
    layer: Option<Arc<OfLayer>>,
}

/// A layer without weights that stands where an activation does.
#[derive(Debug)]
struct OfLayer {
    kind: Kind,
    /// As Keras 3 writes it.
    json: Value,
}

impl PartialEq for NamedActivation {
    fn eq(&self, other: &Self) -> bool {
        let json = |activation: &Self| activation.layer.as_ref().map(|layer| layer.json.clone());
        self.name == other.name && json(self) == json(other)
    }
}

/// Activations that are operations of `keras.ops`, and the class of each.
const OPERATIONS: &[(&str, &str)] = &[
    ("celu", "Celu"),
    ("hard_shrink", "HardShrink"),
    ("hard_tanh", "HardTanh"),
    ("log_sigmoid", "LogSigmoid"),
    ("log_softmax", "LogSoftmax"),
    ("soft_shrink", "SoftShrink"),
    ("squareplus", "Squareplus"),
    ("tanh_shrink", "TanhShrink"),
];

/// Keras's names; those behind the first of a line are other names of the same.
const NAMES: &[(&str, &[&str])] = &[
    ("linear", &[]),
    ("relu", &[]),
    ("relu6", &[]),
    ("sigmoid", &[]),
    ("tanh", &[]),
    // TensorFlow's own function
    ("softmax", &["softmax_v2"]),
    ("silu", &["swish"]),
    ("hard_sigmoid", &[]),
    ("hard_silu", &["hard_swish"]),
    ("elu", &[]),
    ("selu", &[]),
    ("gelu", &[]),
    ("leaky_relu", &[]),
    ("softplus", &[]),
    ("softsign", &[]),
    ("exponential", &[]),
    ("celu", &[]),
    ("hard_shrink", &[]),
    ("hard_tanh", &[]),
    ("log_sigmoid", &[]),
    ("log_softmax", &[]),
    ("mish", &[]),
    ("soft_shrink", &[]),
    ("squareplus", &[]),
    ("tanh_shrink", &[]),
    // `hard_sigmoid` of files before Keras 3: clip(0.2·x + 0.5, 0, 1)
    (HARD_SIGMOID_KERAS_2, &[]),
];

/// What the reader of old files calls the `hard_sigmoid` that Keras had before version 3.
pub const HARD_SIGMOID_KERAS_2: &str = "hard_sigmoid_keras2";

impl NamedActivation {
    /// No activation.
    pub const LINEAR: Self = Self { name: "linear", layer: None };
    /// `max(x, 0)`.
    pub const RELU: Self = Self { name: "relu", layer: None };
    /// `1 / (1 + exp(-x))`.
    pub const SIGMOID: Self = Self { name: "sigmoid", layer: None };
    /// `exp(x) / Σ exp(x)` over the last axis.
    pub const SOFTMAX: Self = Self { name: "softmax", layer: None };

    /// The activation of this name.
    pub fn named(name: &str) -> Option<Self> {
        let known = |(first, others): &&(&'static str, &[&str])| *first == name || others.contains(&name);
        NAMES.iter().find(known).map(|(name, _)| Self { name, layer: None })
    }

    /// Reads `config[key]`: a name, nothing, or an object that Keras 3 wrote for a function or a layer.
    pub fn from_config(config: &Config<'_>, key: &str) -> Result<Self> {
        let Some(value) = config.get(key) else { return Ok(Self::LINEAR) };
        let name = match value {
            Value::String(name) => Some(name.as_str()),
            Value::Object(map) => map.get("config").and_then(Value::as_str).or_else(|| {
                // a layer used as an activation
                let settings = map.get("config").and_then(Value::as_object)?;
                match map.get("class_name").and_then(Value::as_str)? {
                    "Activation" => settings.get("activation").and_then(Value::as_str),
                    "ReLU" if says(settings, &[("negative_slope", 0.0), ("threshold", 0.0)]) => {
                        match settings.get("max_value").and_then(Value::as_f64) {
                            None => Some("relu"),
                            Some(6.0) => Some("relu6"),
                            Some(_) => None,
                        }
                    }
                    "LeakyReLU" if says(settings, &[("negative_slope", 0.2)]) => Some("leaky_relu"),
                    "ELU" if says(settings, &[("alpha", 1.0)]) => Some("elu"),
                    "Softmax" if says(settings, &[("axis", -1.0)]) => Some("softmax"),
                    _ => None,
                }
            }),
            _ => None,
        };
        name.and_then(Self::named).or_else(|| Self::of_layer(value)).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            let shown = match value.get("class_name").and_then(Value::as_str) {
                Some(class_name) => format!("a `{class_name}` with settings of its own"),
                None => value.to_string(),
            };
            config.error(format!(
                "`{key}` is {shown}\nhelp: as a layer of its own it can be run; the activations known here are {}",
                known.join(", ")
            ))
        })
    }

    /// A layer that computes element by element with settings of its own.
    fn of_layer(value: &Value) -> Option<Self> {
        let class = value.get("class_name").and_then(Value::as_str)?;
        let name = ["ReLU", "LeakyReLU", "ELU"].into_iter().find(|own| *own == class)?;
        let settings = value.get("config").and_then(Value::as_object)?;
        let config = Config::new(name, settings);
        let kind = read_kind(name, &config)?.ok()?;
        // a setting that nobody reads could change what it computes
        if !config.unread().is_empty() {
            return None;
        }
        Some(Self { name, layer: Some(Arc::new(OfLayer { kind, json: value.clone() })) })
    }

    /// Keras's name, or the class of the layer that stands in its place.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// As Keras 3 writes it in a config.
    pub fn json(&self) -> Value {
        self.layer.as_ref().map_or_else(|| json!(self.name), |layer| layer.json.clone())
    }

    /// The ops that it lowers to, on one number.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn program(&self) -> Result<Program> {
        let mut program = Program::default();
        program.layers.push(LayerInfo { path: String::new(), frozen: true, inference: true });
        let input = program.value(vec![1]);
        let output = self.lower(&mut Lowering::new(&mut program, 0), input)?;
        (program.inputs, program.outputs) = (vec![input], vec![output]);
        Ok(program)
    }

    /// Pushes the activation; nothing for `linear`.
    pub fn lower(&self, lowering: &mut Lowering<'_>, value: ValueId) -> Result<ValueId> {
        if let Some(layer) = &self.layer {
            return layer.kind.lower(lowering, &[value]);
        }
        if let Some((_, class)) = OPERATIONS.iter().find(|(name, _)| *name == self.name) {
            return operation(class)?.lower(lowering, &[value]);
        }
        let function = match self.name {
            "linear" => return Ok(value),
            "softmax" => return lowering.push(Softmax, &[value], &[]),
            HARD_SIGMOID_KERAS_2 => {
                let line = lowering.push(Affine { scale: vec![0.2], offset: vec![0.5] }, &[value], &[])?;
                let activation = Function::Relu { max: 1.0, negative_slope: 0.0, threshold: 0.0 };
                return lowering.push(Unary { activation }, &[line], &[]);
            }
            "mish" => {
                let softplus = lowering.push(Unary { activation: Function::Softplus }, &[value], &[])?;
                let tanh = lowering.push(Unary { activation: Function::Tanh }, &[softplus], &[])?;
                return lowering.push(Binary { kind: BinaryKind::Multiply }, &[value, tanh], &[]);
            }
            "relu" => Function::relu(),
            "relu6" => Function::relu6(),
            "sigmoid" => Function::Sigmoid,
            "tanh" => Function::Tanh,
            "silu" => Function::Silu,
            "hard_sigmoid" => Function::HardSigmoid,
            "hard_silu" => Function::HardSilu,
            "elu" => Function::Elu { alpha: 1.0 },
            "selu" => Function::Selu,
            "gelu" => Function::Gelu,
            "leaky_relu" => Function::LeakyRelu { negative_slope: 0.2 },
            "softplus" => Function::Softplus,
            "softsign" => Function::Softsign,
            "exponential" => Function::Exponential,
            other => return Err(Error::surgery(format!("the activation `{other}` has no meaning"))),
        };
        lowering.push(Unary { activation: function }, &[value], &[])
    }
}

/// An operation of one tensor with the settings that it has by default.
fn operation(class: &str) -> Result<Operation> {
    let call = json!({"args": [{"tensor": 0}], "kwargs": {}});
    let config = Map::from_iter([(CALL.to_owned(), call)]);
    let missing = || Error::surgery(format!("`{class}` is no operation"));
    Operation::from_config(class, &Config::new(class, &config)).ok_or_else(missing)?
}

/// Whether settings are these where they say anything else than nothing.
fn says(settings: &Map<String, Value>, expected: &[(&str, f64)]) -> bool {
    expected.iter().all(|(key, expected)| {
        settings
            .get(*key)
            .filter(|value| !value.is_null())
            .is_none_or(|value| value.as_f64() == Some(*expected))
    })
}

/// The layer: one activation by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Activation {
    /// Which.
    pub activation: NamedActivation,
}

impl Activation {
    /// Reads `activation`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { activation: NamedActivation::from_config(config, "activation")? })
    }
}

impl LayerKind for Activation {
    fn class_name(&self) -> &'static str {
        "Activation"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("activation".to_owned(), self.activation.json())])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        self.activation.lower(lowering, inputs[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn names_of_old_and_new_are_known() {
        for (name, known) in
            [("swish", "silu"), ("silu", "silu"), ("hard_swish", "hard_silu"), ("linear", "linear")]
        {
            let kind = read("Activation", json!({"activation": name})).expect(name);
            assert_eq!(kind.config()["activation"], json!(known));
        }
        assert_eq!(
            read("Activation", json!({})).expect("the default").config()["activation"],
            json!("linear")
        );
    }

    #[test]
    fn functions_and_layers_that_keras_3_wrote_as_objects_are_read() {
        let function = json!({"module": "builtins", "class_name": "function", "config": "relu6"});
        let layer = json!({"module": "keras.layers", "class_name": "Softmax", "config": {"axis": -1}});
        for (value, name) in [(function, "relu6"), (layer, "softmax")] {
            let kind = read("Activation", json!({"activation": value})).expect(name);
            assert_eq!(kind.config()["activation"], json!(name));
        }
    }

    #[test]
    fn layers_with_settings_stand_in_an_activation_s_place() {
        let layer = json!({"module": "keras.layers", "class_name": "LeakyReLU", "config": {"name": "act", "negative_slope": 0.1}});
        let kind = read("Activation", json!({"activation": layer})).expect("valid");
        assert_eq!(kind.config()["activation"], layer);
        let Kind::Activation(activation) = &kind else { panic!("another kind") };
        let program = activation.activation.program().expect("ops");
        let leaky = Unary { activation: Function::LeakyRelu { negative_slope: 0.1 } };
        assert_eq!(program.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>(), [leaky.into()]);
        let mish = NamedActivation::named("mish").expect("known").program().expect("ops");
        assert_eq!(mish.nodes.len(), 3);
    }

    #[test]
    fn an_unknown_activation_is_named_with_those_that_are_known() {
        let error = read("Activation", json!({"activation": "mish_2"})).expect_err("unknown").to_string();
        assert!(error.contains("`layer`") && error.contains("mish_2") && error.contains("help:"), "{error}");
    }
}
