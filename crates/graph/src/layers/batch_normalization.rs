//! `BatchNormalization` over the last axis.
//!
//! Training: the batch's mean and biased variance, which the moving ones follow. Inference, and training while
//! the layer is frozen: the moving ones, which then stay as they are.
//! Keras: `keras.layers.BatchNormalization`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{BatchNorm, Lowering, Role, ValueId};
use crate::{Result, Shape};
use frostline_kernels::Activation;
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
        let shape = vec![super::normalised(&self.axis.into(), inputs)?];
        let spec = |(name, role, initializer): (_, _, &Initializer)| WeightSpec {
            name,
            role,
            shape: shape.clone(),
            initializer: initializer.clone(),
        };
        Ok(self.names().map(spec).collect())
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::normalised(&self.axis.into(), inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let channels = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let params: Vec<_> =
            self.names().map(|(name, role, _)| lowering.weight(name, &[channels], role)).collect();
        let (epsilon, momentum, scale, center) = (self.epsilon, self.momentum, self.scale, self.center);
        lowering.push(
            BatchNorm { epsilon, momentum, scale, center, activation: Activation::Linear },
            &inputs[..1],
            &params,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn what_the_config_leaves_out_is_as_in_keras() {
        let kind = read("BatchNormalization", json!({})).expect("valid");
        assert_eq!(kind.config(), BatchNormalization::new().config());
        assert_eq!(
            (kind.config()["momentum"].clone(), kind.config()["epsilon"].clone()),
            (json!(0.99), json!(0.001))
        );
    }

    #[test]
    fn only_the_last_axis_can_be_run() {
        let shape = |axis: Value| {
            let kind = read("BatchNormalization", json!({"axis": axis})).expect("valid");
            kind.output_shape(&[vec![4, 5, 3]])
        };
        for axis in [json!(-1), json!(3), json!([3])] {
            assert_eq!(shape(axis), Ok(vec![4, 5, 3]));
        }
        for axis in [json!(1), json!([1, 2]), json!("x")] {
            assert!(shape(axis).expect_err("another axis").contains("help:"));
        }
    }

    #[test]
    fn weights_come_in_the_order_of_keras() {
        let names = |config| {
            let kind = read("BatchNormalization", config).expect("valid");
            kind.weights(&[vec![4, 5, 3]])
                .expect("known")
                .iter()
                .map(|w| (w.name, w.role))
                .collect::<Vec<_>>()
        };
        let statistics = [("moving_mean", Role::State), ("moving_variance", Role::State)];
        assert_eq!(names(json!({"scale": false, "center": false})), statistics);
        let trainable = [("gamma", Role::Trainable), ("beta", Role::Trainable)];
        assert_eq!(names(json!({})), [trainable, statistics].concat());
    }

    #[test]
    fn batch_renormalisation_is_refused() {
        assert!(
            read("BatchNormalization", json!({"renorm": true}))
                .expect_err("refused")
                .to_string()
                .contains("`renorm`")
        );
    }
}
