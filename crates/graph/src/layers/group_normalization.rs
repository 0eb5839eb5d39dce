//! `GroupNormalization` over the last axis: groups of channels, each by the mean and variance of its own in the image.
//! Source: Wu and He 2018. Keras: `keras.layers.GroupNormalization`.

use super::{Config, Initializer, LayerKind, WeightSpec, number};
use crate::ops::{GroupNorm, Lowering, ParamId, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// A gamma and a beta a channel, and how they begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Whether there is a `gamma`.
    pub scale: bool,
    /// Whether there is a `beta`.
    pub center: bool,
    /// How `gamma` begins.
    pub gamma_initializer: Initializer,
    /// How `beta` begins.
    pub beta_initializer: Initializer,
}

impl Affine {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self {
            scale: config.bool_or("scale", true)?,
            center: config.bool_or("center", true)?,
            gamma_initializer: Initializer::read(config, "gamma_initializer", Initializer::Constant(1.0))?,
            beta_initializer: Initializer::read(config, "beta_initializer", Initializer::Constant(0.0))?,
        })
    }

    pub(super) fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("scale".to_owned(), json!(self.scale)),
            ("center".to_owned(), json!(self.center)),
            ("gamma_initializer".to_owned(), self.gamma_initializer.to_config()),
            ("beta_initializer".to_owned(), self.beta_initializer.to_config()),
        ])
    }

    /// Those that are there, with their names, in Keras's order.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &Initializer)> {
        let gamma = self.scale.then_some(("gamma", &self.gamma_initializer));
        gamma.into_iter().chain(self.center.then_some(("beta", &self.beta_initializer)))
    }

    pub(super) fn weights(&self, channels: usize) -> Vec<WeightSpec> {
        let spec = |(name, initializer): (_, &Initializer)| {
            WeightSpec::trainable(name, &[channels], initializer.clone())
        };
        self.parts().map(spec).collect()
    }

    pub(super) fn params(&self, lowering: &mut Lowering<'_>, channels: usize) -> Vec<ParamId> {
        self.parts().map(|(name, _)| lowering.weight(name, &[channels], Role::Trainable)).collect()
    }
}

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNormalization {
    /// How many groups; −1 for one a channel.
    pub groups: i64,
    /// Added to the variance.
    pub epsilon: f32,
    /// Gamma and beta.
    pub affine: Affine,
}

impl GroupNormalization {
    /// Reads the attributes; `axis` must be the last.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        match config.get("axis").map(Value::as_i64) {
            None | Some(Some(-1)) => {}
            Some(_) => {
                return Err(config.error("`axis` is not -1\nhelp: only the last axis can be normalised"));
            }
        }
        let groups = config.get("groups").map_or(Some(32), Value::as_i64);
        let groups = groups.filter(|groups| *groups == -1 || *groups > 0).ok_or_else(|| {
            config.error("`groups` cannot be read\nhelp: expected a number above 0, or -1 for one a channel")
        })?;
        Ok(Self { groups, epsilon: config.f32_or("epsilon", 1e-3)?, affine: Affine::from_config(config)? })
    }

    fn of(&self, channels: usize) -> GroupNorm {
        let Affine { scale, center, .. } = self.affine;
        let groups = usize::try_from(self.groups).unwrap_or(channels);
        GroupNorm { groups, by_pixel: false, epsilon: self.epsilon, scale, center }
    }
}

impl LayerKind for GroupNormalization {
    fn class_name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.affine.config();
        config.insert("groups".to_owned(), json!(self.groups));
        config.insert("axis".to_owned(), json!(-1));
        config.insert("epsilon".to_owned(), number(self.epsilon));
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let channels = self.output_shape(inputs)?.last().copied().unwrap_or(0);
        Ok(self.affine.weights(channels))
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        match input.last().map(|channels| (*channels, self.of(*channels).groups)) {
            Some((channels, groups)) if channels > 0 && channels.is_multiple_of(groups.max(1)) => {
                Ok(input.clone())
            }
            Some((channels, groups)) => {
                Err(format!("{channels} channels do not divide into {groups} groups"))
            }
            None => Err("expected values, received none".to_owned()),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let channels = lowering.shape(inputs[0]).last().copied().unwrap_or(1);
        let params = self.affine.params(lowering, channels);
        lowering.push(self.of(channels), inputs, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn groups_must_divide_the_channels() {
        let shape = |groups: i64| {
            read("GroupNormalization", json!({"groups": groups}))
                .expect("valid")
                .output_shape(&[vec![4, 5, 6]])
        };
        assert!(shape(3).is_ok() && shape(-1).is_ok() && shape(4).is_err());
        assert!(read("GroupNormalization", json!({"groups": 0})).is_err());
        assert!(read("GroupNormalization", json!({"axis": 1})).is_err());
    }
}
