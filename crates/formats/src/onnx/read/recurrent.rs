//! `LSTM`, `GRU` and `RNN` as Keras's layers, and tables of vectors as its `Embedding`.
//!
//! ONNX counts `[steps, batch, channels]`, gives an axis to the directions, and has the gates in another order than Keras: its LSTM
//! has `i, o, f, c`. Source: the operators' reference in `onnx/onnx`, `docs/Operators.md`.

use super::constant::Constant;
use super::convert::Converter;
use super::node::Node;
use super::operations::tensor;
use super::value::Value;
use super::view::View;
use frostline_graph::layers::HARD_SIGMOID_KERAS_2;
use serde_json::{Value as Json, json};

/// What ONNX's operators and Keras's classes have in common.
struct Cell {
    class: &'static str,
    /// Of each gate of Keras its place among ONNX's.
    gates: &'static [usize],
    /// The functions where the node names none: of the gates first, where there are any.
    functions: &'static [&'static str],
}

fn cell(op: &str) -> Cell {
    match op {
        "LSTM" => Cell { class: "LSTM", gates: &[0, 2, 3, 1], functions: &["Sigmoid", "Tanh", "Tanh"] },
        "GRU" => Cell { class: "GRU", gates: &[0, 1, 2], functions: &["Sigmoid", "Tanh"] },
        _ => Cell { class: "SimpleRNN", gates: &[0], functions: &["Tanh"] },
    }
}

/// The weights of one direction, in Keras's order and shapes.
struct Weights {
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// How wide they are.
#[derive(Clone, Copy)]
struct Widths {
    channels: usize,
    units: usize,
    directions: usize,
}

impl Converter<'_> {
    /// The outputs `Y` and `Y_h` of a recurrent operator.
    pub(super) fn recurrent(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
        let cell = &cell(&node.op);
        let x = self.value(node, 0)?;
        let is_batch_first = node.int("layout").unwrap_or(0) == 1;
        // so many axes come before the batch's
        let view = |axes: usize| View { before: if is_batch_first { 0 } else { axes }, ..View::default() };
        if x.rank() != 3 || x.view != view(1) {
            return Err(format!(
                "its input is counted as {:?}, where steps, images and channels are expected",
                x.shape()
            ));
        }
        let x = x.plain(&mut self.builder, name)?;
        self.begins_at_zero(node)?;
        let (is_reversed, directions) = match node.text("direction", "forward") {
            "forward" => (false, 1),
            "reverse" => (true, 1),
            "bidirectional" => (false, 2),
            other => return Err(format!("its direction `{other}` is not known")),
        };
        let recurrent = self.weight(node, 2, "recurrent kernel")?;
        let units = recurrent.dims.last().copied().unwrap_or(0);
        let widths = Widths { channels: x.channels(), units, directions };
        let weights = (0..directions).map(|place| self.weights_of(node, cell, widths, place));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        let is_read = |output: usize| {
            node.outputs.get(output).is_some_and(|output| !output.is_empty() && self.is_read(output))
        };
        let (reads_all, reads_last) = (is_read(0), is_read(1));
        let mut config = functions(node, cell, directions)?;
        config["units"] = json!(units);
        config["use_bias"] = json!(weights.iter().all(|weights| weights.bias.is_some()));
        config["return_sequences"] = json!(reads_all);
        config["go_backwards"] = json!(is_reversed);
        if cell.class == "GRU" {
            config["reset_after"] = json!(resets_after(node));
        }
        let made = match directions {
            1 => self.builder.layer(name, cell.class, config, &[&x])?,
            _ => {
                // as Keras writes a layer in a layer
                config["name"] = json!("forward");
                let layer = json!({
                    "module": "keras.layers", "class_name": cell.class, "config": config, "registered_name": null,
                });
                let layer = json!({"layer": layer, "merge_mode": "concat"});
                self.builder.layer(name, "Bidirectional", layer, &[&x])?
            }
        };
        for (weights, direction) in weights.into_iter().zip(["forward_", "backward_"]) {
            let direction = if directions == 2 { direction } else { "" };
            let width = cell.gates.len() * units;
            let mut set = |variable: &str, shape: &[usize], data| {
                self.builder.weight(&made, &format!("{direction}cell_{variable}"), shape, data)
            };
            set("kernel", &[widths.channels, width], weights.kernel)?;
            set("recurrent_kernel", &[units, width], weights.recurrent)?;
            if let Some(bias) = weights.bias {
                let shape = if bias.len() > width { vec![2, width] } else { vec![width] };
                set("bias", &shape, bias)?;
            }
        }
        let last = match (reads_all, reads_last) {
            (false, _) => Some(made.clone()),
            (true, true) => Some(self.last_steps(name, &made, widths)?),
            (true, false) => None,
        };
        let last = last.map(|last| self.apart(&format!("{name}.last"), &last, widths)).transpose()?;
        let last = last.map(|last| Value { view: view(1), ..last });
        let all = reads_all.then(|| self.by_direction(name, &made, widths, is_reversed)).transpose()?;
        let all = all.map(|all| Value { view: view(2), ..all });
        // what nobody reads stands for the one that is read
        Ok([all.or_else(|| last.clone()), last].into_iter().flatten().collect())
    }

    /// Keras's states begin at 0, and all steps count.
    fn begins_at_zero(&self, node: &Node) -> Result<(), String> {
        for (index, what) in
            [(4, "lengths of its sequences"), (5, "state"), (6, "cell state"), (7, "peepholes")]
        {
            let Some(input) = node.input(index) else { continue };
            if index == 4 || !self.is_zero(input) {
                return Err(format!(
                    "it is given the {what} `{input}`: Keras's layer begins at 0 and takes all steps"
                ));
            }
        }
        if node.float("clip", 0.0) != 0.0 || node.int("input_forget").unwrap_or(0) != 0 {
            return Err("it clips its state, or has one gate for input and forgetting, as no layer of Keras"
                .to_owned());
        }
        Ok(())
    }

    /// Of all steps, the axis of the directions in its place.
    fn by_direction(
        &mut self,
        name: &str,
        made: &Value,
        widths: Widths,
        is_reversed: bool,
    ) -> Result<Value, String> {
        let name = format!("{name}.steps");
        let made = match is_reversed {
            // Keras gives them in the order in which they are made
            true => {
                let arguments = vec![tensor(0)];
                self.one(&name, "Flip", json!({"axis": 1}), arguments, &[made])?
            }
            false => made.clone(),
        };
        self.apart(&name, &made, widths)
    }

    /// The directions, which Keras has side by side in the channels, on an axis before them.
    fn apart(&mut self, name: &str, made: &Value, widths: Widths) -> Result<Value, String> {
        let mut target: Vec<[usize; 2]> = (1..made.rank() - 1).map(|axis| made.extents(axis)).collect();
        target.extend([[widths.directions; 2], [widths.units; 2]]);
        self.builder.reshape(name, made, &target)
    }

    /// The last output of each direction.
    fn last_steps(&mut self, name: &str, made: &Value, widths: Widths) -> Result<Value, String> {
        let mut take = |place: i64| {
            let arguments = vec![tensor(0), json!(place)];
            self.one(&format!("{name}.step"), "Take", json!({"axis": 1}), arguments, &[made])
        };
        let forward = take(-1)?;
        if widths.directions == 1 {
            return Ok(forward);
        }
        let backward = take(0)?;
        let slices = [(forward, 0, widths.units), (backward, widths.units, 2 * widths.units)];
        let mut parts = Vec::with_capacity(2);
        for (value, start, end) in slices {
            let places: Vec<usize> = (start..end).collect();
            let arguments = vec![tensor(0), json!(places)];
            parts.push(self.one(
                &format!("{name}.direction"),
                "Take",
                json!({"axis": 1}),
                arguments,
                &[&value],
            )?);
        }
        self.builder.layer(&format!("{name}.directions"), "Concatenate", json!({}), &[&parts[0], &parts[1]])
    }

    fn weights_of(
        &self,
        node: &Node,
        cell: &Cell,
        widths: Widths,
        direction: usize,
    ) -> Result<Weights, String> {
        let Widths { channels, units, directions } = widths;
        let width = cell.gates.len() * units;
        let of = |index: usize, what: &str, dims: &[usize]| -> Result<Vec<f32>, String> {
            let weight = self.weight(node, index, what)?;
            if weight.dims != [&[directions], dims].concat() {
                return Err(format!(
                    "its {what} has the shape {:?}, where {dims:?} a direction are expected",
                    weight.dims
                ));
            }
            let len: usize = dims.iter().product();
            let all = weight.as_floats().ok_or_else(|| format!("its {what} is no tensor of floats"))?;
            Ok(all.get(direction * len..).and_then(|rest| rest.get(..len)).unwrap_or_default().to_vec())
        };
        // [gates · units, inputs] to [inputs, gates · units], gate by gate in Keras's order
        let row = |place: usize| cell.gates.get(place / units).map_or(0, |gate| gate * units + place % units);
        let turned = |from: &[f32], inputs: usize| -> Vec<f32> {
            let number =
                |index: usize| from.get(row(index % width) * inputs + index / width).copied().unwrap_or(0.0);
            (0..inputs * width).map(number).collect()
        };
        let kernel = turned(&of(1, "kernel", &[width, channels])?, channels);
        let recurrent = turned(&of(2, "recurrent kernel", &[width, units])?, units);
        let bias = match node.input(3) {
            None => None,
            Some(_) => {
                let both = of(3, "bias", &[2 * width])?;
                let (of_input, of_state) = both.split_at(width);
                let ordered = |bias: &[f32]| (0..width).map(|place| bias[row(place)]).collect::<Vec<f32>>();
                let (of_input, of_state) = (ordered(of_input), ordered(of_state));
                Some(match cell.class == "GRU" && resets_after(node) {
                    true => [of_input, of_state].concat(),
                    false => of_input.iter().zip(&of_state).map(|(a, b)| a + b).collect(),
                })
            }
        };
        Ok(Weights { kernel, recurrent, bias })
    }

    /// Rows of a known table, by the whole numbers of a value; none where that is not what the node takes.
    pub(super) fn embedding(&mut self, node: &Node, name: &str) -> Option<Result<Value, String>> {
        let table = self.known(node, 0)?;
        let &[rows, width] = table.dims.as_slice() else { return None };
        if node.int("axis").unwrap_or(0) != 0 || self.known(node, 1).is_some() {
            return None;
        }
        Some(self.embedding_of(node, name, &table, [rows, width]))
    }

    fn embedding_of(
        &mut self,
        node: &Node,
        name: &str,
        table: &Constant,
        [rows, width]: [usize; 2],
    ) -> Result<Value, String> {
        let x = self.value(node, 1)?.plain(&mut self.builder, name)?;
        let numbers = table.as_floats().ok_or("its table is none of floats")?.to_vec();
        let made =
            self.builder.layer(name, "Embedding", json!({"input_dim": rows, "output_dim": width}), &[&x])?;
        self.builder.weight(&made, "embeddings", &[rows, width], numbers)?;
        Ok(made)
    }
}

/// Whether a GRU applies its reset gate behind the product with the state.
fn resets_after(node: &Node) -> bool {
    node.int("linear_before_reset").unwrap_or(0) != 0
}

/// The activations as Keras's settings.
fn functions(node: &Node, cell: &Cell, directions: usize) -> Result<Json, String> {
    let own: Vec<&str> = match node.texts("activations") {
        Some(names) if !names.is_empty() => names.iter().map(String::as_str).collect(),
        _ => cell.functions.repeat(directions),
    };
    let count = cell.functions.len();
    let (mut alphas, mut betas) =
        (node.floats("activation_alpha").iter(), node.floats("activation_beta").iter());
    let mut found = Vec::with_capacity(own.len());
    for name in &own {
        found.push(function(name, &mut alphas, &mut betas)?);
    }
    let first = found.get(..count).ok_or("it names too few activations")?;
    if found.len() != count * directions || found.chunks(count).any(|other| other != first) {
        return Err("its directions have other activations".to_owned());
    }
    match first {
        [gates, state] => Ok(json!({"recurrent_activation": gates, "activation": state})),
        [gates, state, output] if state == output => {
            Ok(json!({"recurrent_activation": gates, "activation": state, "unit_forget_bias": false}))
        }
        [state] => Ok(json!({"activation": state})),
        _ => Err("it has one activation for its cell and another for its output".to_owned()),
    }
}

/// Keras's name of an activation. Those with settings of their own take them from the lists, one after the other.
fn function<'a>(
    name: &str,
    alphas: &mut impl Iterator<Item = &'a f32>,
    betas: &mut impl Iterator<Item = &'a f32>,
) -> Result<&'static str, String> {
    let mut setting = |default: f32| alphas.next().copied().unwrap_or(default);
    Ok(match name.to_ascii_lowercase().as_str() {
        "sigmoid" => "sigmoid",
        "tanh" => "tanh",
        "relu" => "relu",
        "softplus" => "softplus",
        "softsign" => "softsign",
        "elu" if setting(1.0) == 1.0 => "elu",
        "leakyrelu" if setting(0.01) == 0.2 => "leaky_relu",
        "affine" if (setting(1.0), betas.next().copied().unwrap_or(0.0)) == (1.0, 0.0) => "linear",
        "hardsigmoid" => match (setting(0.2), betas.next().copied().unwrap_or(0.5)) {
            (0.2, 0.5) => HARD_SIGMOID_KERAS_2,
            (alpha, 0.5) if (alpha - 1.0 / 6.0).abs() < 1e-6 => "hard_sigmoid",
            (alpha, beta) => return Err(format!("its hard sigmoid is {alpha}·x + {beta}, as none of Keras")),
        },
        _ => return Err(format!("its activation `{name}`, with its settings, is none of a cell of Keras")),
    })
}
