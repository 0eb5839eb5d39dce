//! `Normalization`: `(x − mean) / max(√variance, 1e-7)` a channel, by statistics of the data: given in the config,
//! or adapted and saved as weights that never train.
//! Keras: `keras.layers.Normalization`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{Affine, Lowering, Normalize, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Mean and variance, where the config gives them.
    pub given: Option<(Vec<f32>, Vec<f32>)>,
    /// The axis as the file has it; it must be the last one.
    pub axis: Value,
    /// Undo the normalisation instead.
    pub invert: bool,
}

impl Normalization {
    /// Reads `mean`, `variance`, `axis`, `invert`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let given = config.numbers("mean")?.zip(config.numbers("variance")?);
        if let Some((mean, variance)) = &given
            && mean.len() != variance.len()
        {
            let (mean, variance) = (mean.len(), variance.len());
            return Err(config.error(format!("{mean} means and {variance} variances do not go together")));
        }
        let axis = config.get("axis").cloned().unwrap_or(Value::Null);
        Ok(Self { given, axis, invert: config.bool_or("invert", false)? })
    }

    fn channels(&self, inputs: &[Shape]) -> Result<usize, String> {
        let input = super::one_of(inputs)?;
        let is_last = super::is_last_axis(&self.axis, input);
        match input.last() {
            Some(channels) if is_last => match &self.given {
                Some((mean, _)) if ![1, *channels].contains(&mean.len()) => {
                    Err(format!("{} means do not fit values of {input:?}", mean.len()))
                }
                _ => Ok(*channels),
            },
            _ if self.given.as_ref().is_some_and(|(mean, _)| mean.len() == 1) => Ok(1),
            _ => Err(format!(
                "normalises axis {} of {input:?}\nhelp: only the last axis can be run",
                self.axis
            )),
        }
    }
}

impl LayerKind for Normalization {
    fn class_name(&self) -> &'static str {
        "Normalization"
    }

    fn config(&self) -> Map<String, Value> {
        let list = |numbers: &[f32]| Value::Array(numbers.iter().map(|each| number(*each)).collect());
        let (mean, variance) = match &self.given {
            Some((mean, variance)) => (list(mean), list(variance)),
            None => (Value::Null, Value::Null),
        };
        Map::from_iter([
            ("axis".to_owned(), self.axis.clone()),
            ("invert".to_owned(), json!(self.invert)),
            ("mean".to_owned(), mean),
            ("variance".to_owned(), variance),
        ])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let channels = self.channels(inputs)?;
        Ok(match self.given {
            Some(_) => Vec::new(),
            None => vec![
                WeightSpec::state("mean", &[channels], Initializer::Constant(0.0)),
                WeightSpec::state("variance", &[channels], Initializer::Constant(1.0)),
                WeightSpec::state("count", &[], Initializer::Constant(0.0)),
            ],
        })
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.channels(inputs)?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let op = Normalize { invert: self.invert };
        if let Some((mean, variance)) = &self.given {
            let (scale, offset) = op.affine(mean, variance);
            return lowering.push(Affine { scale, offset }, inputs, &[]);
        }
        let channels = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let params = ["mean", "variance"].map(|name| lowering.weight(name, &[channels], Role::State));
        lowering.push(op, inputs, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn given_statistics_need_no_weights() {
        let given = json!({"axis": -1, "mean": [1.0, 2.0, 3.0], "variance": [1.0, 1.0, 4.0]});
        let kind = read("Normalization", given).expect("valid");
        assert_eq!(kind.weights(&[vec![4, 5, 3]]), Ok(Vec::new()));
        let adapted = read("Normalization", json!({"axis": [3]})).expect("valid");
        let names: Vec<_> =
            adapted.weights(&[vec![4, 5, 3]]).expect("known").iter().map(|w| w.name).collect();
        assert_eq!(names, ["mean", "variance", "count"]);
    }

    #[test]
    fn statistics_of_another_number_of_channels_are_an_error() {
        let given = json!({"axis": -1, "mean": [1.0, 2.0], "variance": [1.0, 1.0]});
        assert!(read("Normalization", given).expect("valid").output_shape(&[vec![4, 5, 3]]).is_err());
    }
}
