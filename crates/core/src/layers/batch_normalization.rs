//! `BatchNormalization` over the last axis.
//!
//! Training: the batch's mean and biased variance, which the moving ones follow. Inference, and training while
//! the layer is frozen: the moving ones, which then stay as they are.
//! Keras: `keras.layers.BatchNormalization`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{BatchNorm, Lowering, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormalization {
    /// As the file has it: −1, or the index of the last axis, batch counted.
    pub axis: i64,
    /// How much of the moving statistics stays at each step.
    pub momentum: f32,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether there is a `beta`.
    pub center: bool,
    /// Whether there is a `gamma`.
    pub scale: bool,
    /// How `beta`, `gamma`, the moving mean and the moving variance begin.
    pub initializers: [Initializer; 4],
}

const INITIALIZERS: [(&str, f32); 4] = [
    ("beta_initializer", 0.0),
    ("gamma_initializer", 1.0),
    ("moving_mean_initializer", 0.0),
    ("moving_variance_initializer", 1.0),
];

impl BatchNormalization {
    /// Keras's defaults.
    pub fn new() -> Self {
        let initializers = INITIALIZERS.map(|(_, value)| Initializer::Constant(value));
        Self { axis: -1, momentum: 0.99, epsilon: 1e-3, center: true, scale: true, initializers }
    }

    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axis = match config.get("axis") {
            None => -1,
            Some(Value::Array(axes)) if axes.len() == 1 => axes[0].as_i64().unwrap_or(0),
            Some(axis) => axis.as_i64().unwrap_or(0),
        };
        let mut initializers = Self::new().initializers;
        for (initializer, (key, default)) in initializers.iter_mut().zip(INITIALIZERS) {
            *initializer = Initializer::read(config, key, Initializer::Constant(default))?;
        }
        if config.get("renorm").and_then(Value::as_bool) == Some(true) {
            return Err(config.error("`renorm` is true\nhelp: batch renormalisation cannot be run"));
        }
        Ok(Self {
            axis,
            momentum: config.f32_or("momentum", 0.99)?,
            epsilon: config.f32_or("epsilon", 1e-3)?,
            center: config.bool_or("center", true)?,
            scale: config.bool_or("scale", true)?,
            initializers,
        })
    }

    fn channels(&self, inputs: &[Shape]) -> Result<usize, String> {
        let input = super::one_of(inputs)?;
        match input.last() {
            Some(channels) if self.axis == -1 || self.axis == input.len() as i64 => Ok(*channels),
            _ => Err(format!(
                "normalises axis {} of {input:?}\nhelp: only the last axis can be run",
                self.axis
            )),
        }
    }

    /// Names in the order in which Keras makes the weights, with their roles.
    fn names(&self) -> impl Iterator<Item = (&'static str, Role, &Initializer)> {
        let [beta, gamma, mean, variance] = &self.initializers;
        let rows = [
            (self.scale, "gamma", Role::Trainable, gamma),
            (self.center, "beta", Role::Trainable, beta),
            (true, "moving_mean", Role::State, mean),
            (true, "moving_variance", Role::State, variance),
        ];
        rows.into_iter()
            .filter(|(is_there, ..)| *is_there)
            .map(|(_, name, role, initializer)| (name, role, initializer))
    }
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerKind for BatchNormalization {
    fn class_name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([
            ("axis".to_owned(), json!(self.axis)),
            ("momentum".to_owned(), number(self.momentum)),
            ("epsilon".to_owned(), number(self.epsilon)),
            ("center".to_owned(), json!(self.center)),
            ("scale".to_owned(), json!(self.scale)),
        ]);
        for ((key, _), initializer) in INITIALIZERS.iter().zip(&self.initializers) {
            config.insert((*key).to_owned(), initializer.to_config());
        }
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let shape = vec![self.channels(inputs)?];
        let spec = |(name, role, initializer): (_, _, &Initializer)| WeightSpec {
            name,
            role,
            shape: shape.clone(),
            initializer: initializer.clone(),
        };
        Ok(self.names().map(spec).collect())
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.channels(inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let channels = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let params: Vec<_> =
            self.names().map(|(name, role, _)| lowering.weight(name, &[channels], role)).collect();
        let (epsilon, momentum, scale, center) = (self.epsilon, self.momentum, self.scale, self.center);
        lowering.push(BatchNorm { epsilon, momentum, scale, center }, &inputs[..1], &params)
    }
}
