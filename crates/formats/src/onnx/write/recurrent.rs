//! Recurrent cells as `LSTM`, `GRU` and `RNN`. What ONNX's operators want otherwise than Keras
//! stands in `read/recurrent.rs`.

use super::emit::Attribute;
use super::layer::Writer;
use frostline_graph::Result;
use frostline_graph::ops::{Activation, Cell, Param, Recurrent, Squash};

/// An activation by ONNX's name, and its settings where they have to be said.
struct Function {
    name: &'static str,
    alpha: Option<f32>,
    beta: Option<f32>,
}

impl Writer<'_> {
    /// A value `[batch, steps, channels]` through a cell with this kernel, recurrent kernel and bias. Errors: an activation
    /// that ONNX does not have.
    pub(super) fn cell(
        &mut self,
        path: &str,
        op: &Recurrent,
        params: &[&Param],
        x: &str,
    ) -> Result<String, String> {
        if op.masked {
            return Err("some of its steps do not count, which ONNX's operator is not told\nhelp: save the model as `.keras`".to_owned());
        }
        let (operator, gates, functions): (_, &[usize], _) = match op.cell {
            Cell::Lstm => {
                ("LSTM", &[0, 3, 1, 2], vec![op.recurrent_activation, op.activation, op.activation])
            }
            Cell::Gru { .. } => ("GRU", &[0, 1, 2], vec![op.recurrent_activation, op.activation]),
            Cell::Simple => ("RNN", &[0], vec![op.activation]),
        };
        let functions = functions.into_iter().map(function).collect::<Result<Vec<_>, String>>()?;
        let [kernel, recurrent, bias @ ..] = params else {
            return Err("it has no kernels".to_owned());
        };
        let (units, width) = (op.units, gates.len() * op.units);
        let column = |row: usize| gates.get(row / units).map_or(0, |gate| gate * units + row % units);
        let mut stored = |param: &Param| {
            let weight = self.numbers(param)?;
            let inputs = weight.len() / width;
            let number = |index: usize| weight.get(index % inputs * width + column(index / inputs)).copied();
            let data: Vec<f32> = (0..weight.len()).filter_map(number).collect();
            Ok::<_, String>(self.emit.floats(&param.path, &[1, width, inputs], &data))
        };
        let mut inputs = vec![stored(kernel)?, stored(recurrent)?];
        if let Some(param) = bias.first() {
            let weight = self.numbers(param)?;
            // one of the input's and one of the state's, which is 0 where Keras has one alone
            let bias = |row: usize| weight.get(row / width * width + column(row % width)).copied();
            let data: Vec<f32> = (0..2 * width).map(|row| bias(row).unwrap_or(0.0)).collect();
            inputs.push(self.emit.floats(&param.path, &[1, 2 * width], &data));
        }
        let mut attributes = vec![
            ("hidden_size", Attribute::Int(units as i64)),
            ("direction", Attribute::Text(if op.go_backwards { "reverse" } else { "forward" })),
            ("activations", Attribute::Texts(functions.iter().map(|function| function.name).collect())),
        ];
        let settings = |of: fn(&Function) -> Option<f32>| functions.iter().filter_map(of).collect::<Vec<_>>();
        for (key, settings) in
            [("activation_alpha", settings(|f| f.alpha)), ("activation_beta", settings(|f| f.beta))]
        {
            if !settings.is_empty() {
                attributes.push((key, Attribute::Floats(settings)));
            }
        }
        if op.cell == (Cell::Gru { reset_after: true }) {
            attributes.push(("linear_before_reset", Attribute::Int(1)));
        }
        let steps = self.emit.transpose(path, x, &[1, 0, 2]);
        let inputs: Vec<&str> =
            std::iter::once(steps.as_str()).chain(inputs.iter().map(String::as_str)).collect();
        let [all, last] = self.emit.node_of_two(path, operator, &inputs, &attributes);
        if !op.return_sequences {
            // [direction, batch, units]
            let axis = self.emit.whole(&format!("{path}/axis"), &[0]);
            return Ok(self.emit.node(path, "Squeeze", &[&last, &axis], &[]));
        }
        // [steps, direction, batch, units]
        let axis = self.emit.whole(&format!("{path}/axis"), &[1]);
        let all = self.emit.node(path, "Squeeze", &[&all, &axis], &[]);
        let all = self.emit.transpose(path, &all, &[1, 0, 2]);
        Ok(match op.go_backwards {
            // Keras gives them in the order in which they are made
            true => {
                let list = |name: &str, number| (format!("{path}/{name}"), [number]);
                let lists = [list("starts", -1), list("ends", i64::MIN), list("axes", 1), list("steps", -1)];
                let names: Vec<String> =
                    lists.iter().map(|(name, list)| self.emit.whole(name, list)).collect();
                let inputs: Vec<&str> =
                    std::iter::once(all.as_str()).chain(names.iter().map(String::as_str)).collect();
                self.emit.node(path, "Slice", &inputs, &[])
            }
            false => all,
        })
    }
}

fn function(squash: Squash) -> Result<Function, String> {
    let plain = |name| Ok(Function { name, alpha: None, beta: None });
    let set = |name, alpha, beta| Ok(Function { name, alpha: Some(alpha), beta });
    match squash {
        Squash::HardSigmoidOfKeras2 => set("HardSigmoid", 0.2, Some(0.5)),
        Squash::Plain(activation) => match activation {
            Activation::Linear => set("Affine", 1.0, Some(0.0)),
            Activation::Sigmoid => plain("Sigmoid"),
            Activation::Tanh => plain("Tanh"),
            Activation::HardSigmoid => set("HardSigmoid", 1.0 / 6.0, Some(0.5)),
            Activation::Elu { alpha } => set("Elu", alpha, None),
            Activation::LeakyRelu { negative_slope } => set("LeakyRelu", negative_slope, None),
            Activation::Softplus => plain("Softplus"),
            Activation::Softsign => plain("Softsign"),
            other if other == Activation::relu() => plain("Relu"),
            other => Err(format!(
                "its cell has the activation {other:?}, which ONNX's operator does not have\nhelp: save the model as `.keras`"
            )),
        },
    }
}
