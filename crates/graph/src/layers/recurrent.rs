//! `LSTM`, `GRU` and `SimpleRNN`: a state that goes along a sequence.
//! Keras: `keras.layers.LSTM` and the like. Their variables are those of a cell within the layer: `lstm/cell_kernel` here.

use super::number;
use super::{
    Config, HARD_SIGMOID_KERAS_2, Initializer, LayerKind, MaskRule, NamedActivation, Sublayer, WeightSpec,
};
use crate::ops::{self, Cell, Lowering, Role, Squash, ValueId};
use crate::{Error, Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// Which cell; `reset_after` of a GRU is part of it.
    pub cell: Cell,
    /// The width of the state.
    pub units: usize,
    /// Of what goes into the state.
    pub activation: NamedActivation,
    /// Of the gates; none in a `SimpleRNN`.
    pub recurrent_activation: NamedActivation,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// Whether the bias of an LSTM's forget gate begins at 1.
    pub unit_forget_bias: bool,
    /// All outputs, and not the last alone.
    pub return_sequences: bool,
    /// From the last step to the first.
    pub go_backwards: bool,
    /// Whether a step that does not count puts out 0.
    pub zero_output_for_mask: bool,
    /// The share of inputs that Keras drops while it trains the layer; here none are.
    pub dropout: f32,
    /// The share of the state that Keras drops while it trains the layer; here none is.
    pub recurrent_dropout: f32,
    /// How the kernel begins.
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    pub bias_initializer: Initializer,
}

/// Names of kernel, recurrent kernel and bias.
pub(super) type Names = [&'static str; 3];
const NAMES: Names = ["cell_kernel", "cell_recurrent_kernel", "cell_bias"];

impl Recurrent {
    /// Reads the attributes of any of the classes. A state that is kept from batch to batch, or put out, is refused.
    pub fn from_config(cell: Cell, config: &Config<'_>) -> Result<Self> {
        for key in ["stateful", "return_state", "time_major"] {
            if config.bool_or(key, false)? {
                return Err(config.error(format!("`{key}` is true\nhelp: frostline has sequences that each begin with a state of 0 and put out no state")));
            }
        }
        let cell = match cell {
            // Keras before 2.1 had no other, and wrote nothing
            Cell::Gru { .. } => Cell::Gru { reset_after: config.bool_or("reset_after", false)? },
            other => other,
        };
        config.ignore(&["unroll", "implementation", "use_cudnn", "input_dim", "input_length", "input_shape"]);
        config.ignore(&["recurrent_initializer", "recurrent_regularizer", "recurrent_constraint"]);
        let units = config.usize("units")?;
        if units == 0 {
            return Err(config.error("`units` is 0\nhelp: expected a number above 0"));
        }
        let named = |key: &str, default: NamedActivation| match config.get(key) {
            None => Ok(default),
            Some(_) => NamedActivation::from_config(config, key),
        };
        let (dropout, recurrent_dropout) =
            (config.f32_or("dropout", 0.0)?, config.f32_or("recurrent_dropout", 0.0)?);
        let layer = Self {
            cell,
            units,
            activation: named("activation", NamedActivation::LINEAR)?,
            recurrent_activation: match cell {
                Cell::Simple => NamedActivation::LINEAR,
                _ => named("recurrent_activation", NamedActivation::SIGMOID)?,
            },
            use_bias: config.bool_or("use_bias", true)?,
            unit_forget_bias: config.bool_or("unit_forget_bias", true)?,
            return_sequences: config.bool_or("return_sequences", false)?,
            go_backwards: config.bool_or("go_backwards", false)?,
            zero_output_for_mask: config.bool_or("zero_output_for_mask", false)?,
            dropout,
            recurrent_dropout,
            kernel_initializer: Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?,
            bias_initializer: Initializer::read(config, "bias_initializer", Initializer::Constant(0.0))?,
        };
        for named in [&layer.activation, &layer.recurrent_activation] {
            squash(named).map_err(|message| config.error(message))?;
        }
        Ok(layer)
    }

    /// Whether Keras drops something while it trains the layer.
    pub fn drops(&self) -> bool {
        self.dropout > 0.0 || self.recurrent_dropout > 0.0
    }

    fn width(&self) -> usize {
        self.cell.gates() * self.units
    }

    fn bias_shape(&self) -> Shape {
        match self.cell {
            Cell::Gru { reset_after: true } => vec![2, self.width()],
            _ => vec![self.width()],
        }
    }

    /// The weights under these names.
    pub(super) fn named_weights(&self, inputs: &[Shape], names: Names) -> Result<Vec<WeightSpec>, String> {
        let [_, channels] = sequence(inputs)?;
        let kernel = self.kernel_initializer.clone();
        let recurrent = Initializer::GLOROT_UNIFORM;
        let mut weights = vec![
            WeightSpec::trainable(names[0], &[channels, self.width()], kernel),
            WeightSpec::trainable(names[1], &[self.units, self.width()], recurrent),
        ];
        if self.use_bias {
            let initializer = match (self.cell, self.unit_forget_bias, &self.bias_initializer) {
                (Cell::Lstm, true, Initializer::Constant(other)) => {
                    let own = |place: usize| if place / self.units == 1 { 1.0 } else { *other };
                    Initializer::Values((0..self.width()).map(own).collect())
                }
                (_, _, other) => other.clone(),
            };
            weights.push(WeightSpec::trainable(names[2], &self.bias_shape(), initializer));
        }
        Ok(weights)
    }

    /// Pushes the op that reads the weights with these names.
    pub(super) fn lower_named(
        &self,
        lowering: &mut Lowering<'_>,
        input: ValueId,
        names: Names,
        zero_output: bool,
    ) -> Result<ValueId> {
        let channels = lowering.shape(input).last().copied().unwrap_or(0);
        let mut params = vec![
            lowering.weight(names[0], &[channels, self.width()], Role::Trainable),
            lowering.weight(names[1], &[self.units, self.width()], Role::Trainable),
        ];
        if self.use_bias {
            params.push(lowering.weight(names[2], &self.bias_shape(), Role::Trainable));
        }
        let mask = lowering.mask(input);
        let op = ops::Recurrent {
            cell: self.cell,
            units: self.units,
            activation: squash(&self.activation).map_err(Error::surgery)?,
            recurrent_activation: squash(&self.recurrent_activation).map_err(Error::surgery)?,
            bias: self.use_bias,
            go_backwards: self.go_backwards,
            return_sequences: self.return_sequences,
            masked: mask.is_some(),
            zero_output,
        };
        let inputs: Vec<ValueId> = std::iter::once(input).chain(mask).collect();
        lowering.push(op, &inputs, &params)
    }
}

/// The only input, `[steps, channels]`.
fn sequence(inputs: &[Shape]) -> Result<[usize; 2], String> {
    let [input] = inputs else {
        return Err("it is called with a state to begin with, or with a mask that is not the one of the layers below\nhelp: frostline has sequences that begin with a state of 0".to_owned());
    };
    match input.as_slice() {
        [steps, channels] => Ok([*steps, *channels]),
        other => Err(format!("expected a sequence [steps, channels], received {other:?}")),
    }
}

/// The function of a cell that an activation is.
fn squash(activation: &NamedActivation) -> Result<Squash, String> {
    let plain = match activation.name() {
        "linear" => Activation::Linear,
        "relu" => Activation::relu(),
        "relu6" => Activation::relu6(),
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "silu" => Activation::Silu,
        "hard_sigmoid" => Activation::HardSigmoid,
        "elu" => Activation::Elu { alpha: 1.0 },
        "selu" => Activation::Selu,
        "gelu" => Activation::Gelu,
        "leaky_relu" => Activation::LeakyRelu { negative_slope: 0.2 },
        "softplus" => Activation::Softplus,
        "softsign" => Activation::Softsign,
        "exponential" => Activation::Exponential,
        HARD_SIGMOID_KERAS_2 => return Ok(Squash::HardSigmoidOfKeras2),
        other => {
            return Err(format!(
                "its activation is `{other}`\nhelp: a cell runs with tanh, sigmoid, relu, hard_sigmoid and the like"
            ));
        }
    };
    Ok(Squash::Plain(plain))
}

impl LayerKind for Recurrent {
    fn class_name(&self) -> &'static str {
        match self.cell {
            Cell::Lstm => "LSTM",
            Cell::Gru { .. } => "GRU",
            Cell::Simple => "SimpleRNN",
        }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([
            ("units".to_owned(), json!(self.units)),
            ("activation".to_owned(), self.activation.json()),
            ("use_bias".to_owned(), json!(self.use_bias)),
            ("kernel_initializer".to_owned(), self.kernel_initializer.to_config()),
            ("bias_initializer".to_owned(), self.bias_initializer.to_config()),
            ("dropout".to_owned(), number(self.dropout)),
            ("recurrent_dropout".to_owned(), number(self.recurrent_dropout)),
            ("return_sequences".to_owned(), json!(self.return_sequences)),
            ("go_backwards".to_owned(), json!(self.go_backwards)),
            ("zero_output_for_mask".to_owned(), json!(self.zero_output_for_mask)),
        ]);
        if self.cell != Cell::Simple {
            config.insert("recurrent_activation".to_owned(), self.recurrent_activation.json());
        }
        match self.cell {
            Cell::Lstm => drop(config.insert("unit_forget_bias".to_owned(), json!(self.unit_forget_bias))),
            Cell::Gru { reset_after } => drop(config.insert("reset_after".to_owned(), json!(reset_after))),
            Cell::Simple => {}
        }
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        self.named_weights(inputs, NAMES)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [steps, _] = sequence(inputs)?;
        Ok(if self.return_sequences { vec![steps, self.units] } else { vec![self.units] })
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let output = self.lower_named(lowering, inputs[0], NAMES, self.zero_output_for_mask)?;
        if let (true, Some(mask)) = (self.return_sequences, lowering.mask(inputs[0])) {
            lowering.set_mask(output, mask);
        }
        Ok(output)
    }

    fn sublayers(&self) -> &'static [Sublayer] {
        &[Sublayer { name: "cell", group: "cell" }]
    }

    fn keeps_steps(&self) -> bool {
        self.return_sequences
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn shapes_and_weights_are_those_of_keras() {
        let shapes = |class: &str, config: Value| {
            let kind = read(class, config).expect("valid");
            let weights: Vec<Shape> =
                kind.weights(&[vec![5, 3]]).expect("known").into_iter().map(|weight| weight.shape).collect();
            (kind.output_shape(&[vec![5, 3]]).expect("a sequence"), weights)
        };
        let lstm = json!({"units": 4, "return_sequences": true, "activation": "tanh"});
        assert_eq!(shapes("LSTM", lstm), (vec![5, 4], vec![vec![3, 16], vec![4, 16], vec![16]]));
        let gru = json!({"units": 4, "reset_after": true});
        assert_eq!(shapes("GRU", gru), (vec![4], vec![vec![3, 12], vec![4, 12], vec![2, 12]]));
        let old = json!({"units": 4, "recurrent_activation": HARD_SIGMOID_KERAS_2});
        assert_eq!(shapes("GRU", old).1[2], vec![12]);
        let simple = json!({"units": 4, "use_bias": false});
        assert_eq!(shapes("SimpleRNN", simple), (vec![4], vec![vec![3, 4], vec![4, 4]]));
    }

    #[test]
    fn the_forget_gate_of_an_lstm_begins_open() {
        let kind = read("LSTM", json!({"units": 2})).expect("valid");
        let bias = &kind.weights(&[vec![5, 3]]).expect("known")[2];
        assert_eq!(bias.initializer.draw(&bias.shape, 0, "a").data, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for config in [
            json!({"units": 4, "stateful": true}),
            json!({"units": 4, "return_state": true}),
            json!({"units": 0}),
            json!({"units": 4, "activation": "softmax"}),
        ] {
            assert!(read("LSTM", config).expect_err("refused").to_string().contains("help:"));
        }
        assert!(read("GRU", json!({"units": 4})).expect("valid").output_shape(&[vec![3]]).is_err());
    }
}
