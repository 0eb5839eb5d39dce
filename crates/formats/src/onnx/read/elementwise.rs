//! What goes element by element: activations, scales and offsets, sums and products of values.

use super::constant::Constant;
use super::convert::Converter;
use super::node::Node;
use super::operations::tensor;
use super::patterns;
use super::value::Value;
use serde_json::{Value as Json, json};

/// Operators that are an activation of Keras by name.
const ACTIVATIONS: &[(&str, &str)] = &[
    ("Exp", "exponential"),
    ("Gelu", "gelu"),
    ("HardSwish", "hard_silu"),
    ("Sigmoid", "sigmoid"),
    ("Softplus", "softplus"),
    ("Softsign", "softsign"),
    ("Swish", "silu"),
    ("Tanh", "tanh"),
];

/// Whether an operator is an activation of Keras by name.
pub(super) fn is_activation(op: &str) -> bool {
    ACTIVATIONS.iter().any(|(own, _)| *own == op)
}

impl Converter<'_> {
    /// A function of one number. `None` for an operator that is none.
    pub(super) fn activation(&mut self, node: &Node, name: &str) -> Option<Result<Value, String>> {
        let named = ACTIVATIONS.iter().find(|(op, _)| *op == node.op);
        let (class, config, nonnegative) = match (node.op.as_str(), named) {
            ("Gelu", _) if node.text("approximate", "none") != "none" => {
                let x = self.value(node, 0);
                return Some(x.and_then(|x| self.in_place(name, "Gelu", json!({"approximate": true}), &x)));
            }
            (_, Some((op, activation))) => {
                let nonnegative = ["Exp", "Sigmoid", "Softplus"].contains(op);
                ("Activation", json!({ "activation": activation }), nonnegative)
            }
            ("Relu", _) => ("ReLU", json!({}), true),
            ("LeakyRelu", _) => ("LeakyReLU", json!({"negative_slope": node.float("alpha", 0.01)}), false),
            ("Elu", _) => ("ELU", json!({"alpha": node.float("alpha", 1.0)}), false),
            ("Selu", _) => match (node.float("alpha", 1.673_263_2), node.float("gamma", 1.050_701)) {
                (1.67..1.68, 1.05..1.06) => ("Activation", json!({"activation": "selu"}), false),
                other => {
                    return Some(Err(format!(
                        "its alpha and gamma are {other:?}, not those of Keras's SELU"
                    )));
                }
            },
            ("Rectifier", _) => {
                let (slope, threshold) = (node.float("slope", 0.0), node.float("threshold", 0.0));
                let max = node.attributes.contains_key("max").then(|| node.float("max", 0.0));
                let config = json!({"max_value": max, "negative_slope": slope, "threshold": threshold});
                ("ReLU", config, slope == 0.0 && threshold >= 0.0)
            }
            ("HardSigmoid", _) => return Some(self.hard_sigmoid(node, name)),
            ("Clip", _) => return Some(self.clip(node, name)),
            ("Softmax", _) => return Some(self.softmax(node, name)),
            ("Dropout", _) => return Some(self.dropout(node, name)),
            _ => return None,
        };
        Some(self.function(node, name, class, config, nonnegative))
    }

    fn function(
        &mut self,
        node: &Node,
        name: &str,
        class: &str,
        config: Json,
        nonnegative: bool,
    ) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let made = self.builder.alike(name, class, config, &x)?;
        Ok(Value { nonnegative, ..made })
    }

    fn hard_sigmoid(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
        if (alpha - 1.0 / 6.0).abs() < 1e-3 && beta == 0.5 {
            return self.function(node, name, "Activation", json!({"activation": "hard_sigmoid"}), true);
        }
        // another line between 0 and 1 than Keras's
        let x = self.value(node, 0)?;
        let line = json!({"scale": alpha, "offset": beta});
        let line = self.builder.alike(&format!("{name}.line"), "Rescaling", line, &x)?;
        let made = self.builder.alike(name, "ReLU", json!({"max_value": 1.0}), &line)?;
        Ok(Value { nonnegative: true, ..made })
    }

    fn clip(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let bounds = patterns::clip_bounds(self.source, node).ok_or("its bounds are not known")?;
        match bounds {
            (Some(0.0), Some(6.0)) => self.function(node, name, "ReLU", json!({"max_value": 6.0}), true),
            (Some(0.0), None) => self.function(node, name, "ReLU", json!({}), true),
            (Some(0.0), Some(max)) if max > 0.0 => {
                self.function(node, name, "ReLU", json!({ "max_value": max }), true)
            }
            (Some(min), Some(max)) => {
                let x = self.value(node, 0)?;
                self.in_place(name, "Clip", json!({"x_min": min, "x_max": max}), &x)
            }
            // Keras's `clip` wants both bounds
            (Some(min), None) => self.bounded(node, name, "Maximum", min),
            (None, Some(max)) => self.bounded(node, name, "Minimum", max),
            (None, None) => self.value(node, 0),
        }
    }

    /// The value or a number, by whichever operation of the two.
    fn bounded(&mut self, node: &Node, name: &str, class: &str, bound: f32) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let arguments = vec![tensor(0), json!(bound)];
        Ok(self.one(name, class, json!({}), arguments, &[&x])?.stored_as(&x))
    }

    fn softmax(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let axis = super::fold::axis_of(node.int("axis").unwrap_or(-1), x.rank())
            .ok_or("its axis is none of its input's")?;
        if node.int("several").is_some() && axis + 1 != x.rank() {
            return Err(format!("it goes over several axes, from {axis} on"));
        }
        self.along(x, axis, name, |converter, x| {
            let made = converter.builder.alike(name, "Softmax", json!({"axis": -1}), x)?;
            Ok(Value { nonnegative: true, ..made })
        })
    }

    fn dropout(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let given = node.input(1).and_then(|input| self.source.number(input));
        let rate = given.unwrap_or_else(|| node.float("ratio", 0.5));
        let made = self.builder.alike(name, "Dropout", json!({ "rate": rate }), &x)?;
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }

    /// `x · scale + offset`, by known tensors.
    pub(super) fn affine(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let (Some(scale), Some(offset)) = (node.tensor("scale"), node.tensor("offset")) else {
            return Err("it has no scale or offset".to_owned());
        };
        let axes: Option<Vec<Option<usize>>> =
            [scale, offset].iter().map(|constant| x.axis_of(constant)).collect();
        let axes: Vec<usize> =
            axes.ok_or("its tensors have more axes than its value")?.into_iter().flatten().collect();
        match axes.as_slice() {
            // numbers along another axis than the channels', the same for both
            [axis, rest @ ..] if rest.iter().all(|other| other == axis) => {
                self.along(x, *axis, name, |converter, x| converter.affine_of(x, name, scale, offset))
            }
            _ => self.affine_of(&x, name, scale, offset),
        }
    }

    fn affine_of(
        &mut self,
        x: &Value,
        name: &str,
        scale: &Constant,
        offset: &Constant,
    ) -> Result<Value, String> {
        let list = |constant: &Constant| x.per_channel(constant);
        let (Some(scale), Some(offset)) = (list(scale), list(offset)) else {
            return self.affine_by_arrays(x, name, scale, offset);
        };
        let is_all = |numbers: &[f32], number: f32| numbers.iter().all(|other| *other == number);
        if is_all(&scale, 1.0) && is_all(&offset, 0.0) {
            return Ok(x.clone());
        }
        let scales_alone = is_all(&offset, 0.0);
        if !scales_alone && self.builder.fold_in(x, &scale, &offset) {
            self.folded += 1;
            return Ok(Value { nonnegative: false, ..x.clone() });
        }
        if scales_alone && scale.len() > 1 && !self.builder.weights.is_empty() {
            let config = json!({"projection_dim": scale.len(), "init_values": 1.0});
            let made = self.builder.alike(name, "LayerScale", config, x)?;
            self.builder.weight(&made, "gamma", &[scale.len()], scale)?;
            return Ok(made);
        }
        let list = |numbers: &[f32]| match numbers {
            [one] => json!(one),
            many => json!(many),
        };
        self.builder.alike(name, "Rescaling", json!({"scale": list(&scale), "offset": list(&offset)}), x)
    }

    /// Sums, products, … of several values.
    pub(super) fn merge(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let class = match node.op.as_str() {
            "Add" | "Sum" => "Add",
            "Sub" => "Subtract",
            "Mul" => "Multiply",
            "Max" => "Maximum",
            "Min" => "Minimum",
            _ => "Average",
        };
        let mut values =
            (0..node.inputs.len()).map(|index| self.value(node, index)).collect::<Result<Vec<_>, _>>()?;
        if let [one] = values.as_slice() {
            return Ok(one.clone());
        }
        // rows of images in the same order stay as they are
        let first = values.first().ok_or("it has no input")?.clone();
        let alike = values.iter().all(|value| value.flattened == first.flattened && value.axes == first.axes);
        if !alike {
            self.brought_together(&mut values, name)?;
        }
        let inputs: Vec<&Value> = values.iter().collect();
        let made = self.builder.layer(name, class, json!({}), &inputs)?;
        let nonnegative = class != "Subtract" && values.iter().all(|value| value.nonnegative);
        let Value { axes, pixels, .. } = values.swap_remove(0);
        Ok(Value { axes, pixels, nonnegative, flattened: if alike { first.flattened } else { None }, ..made })
    }

    /// Whether a power is one that a product of the value with itself makes.
    pub(super) fn is_square_or_cube(&self, node: &Node) -> bool {
        let exponent = node.input(1).and_then(|input| self.source.number(input));
        matches!(exponent, Some(2.0 | 3.0))
    }

    /// To another type of numbers: those of a float type stay, others lose what is behind the point, or are truths.
    pub(super) fn cast(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        match node.int("to") {
            Some(6 | 7) => self.in_place(name, "Cast", json!({"dtype": "int32"}), &x),
            Some(9) => self.in_place(name, "Cast", json!({"dtype": "bool"}), &x),
            _ => Ok(x),
        }
    }

    /// `x²`, `x³`: products of a value with itself.
    pub(super) fn power(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let exponent = node.input(1).and_then(|input| self.source.number(input));
        let count = match exponent {
            Some(2.0) => 2,
            Some(3.0) => 3,
            other => {
                return Err(format!(
                    "it is a power of {other:?}, of which only squares and cubes can be run"
                ));
            }
        };
        let x = self.value(node, 0)?;
        let made = self.builder.layer(name, "Multiply", json!({}), &vec![&x; count])?;
        Ok(Value { nonnegative: x.nonnegative || count == 2, ..made.stored_as(&x) })
    }
}
