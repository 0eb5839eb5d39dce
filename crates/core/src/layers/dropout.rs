//! `Dropout` and `SpatialDropout2D`: off in inference and while the layer is frozen.
//! Source: Srivastava et al. 2014; Tompson et al. 2015.

use super::{Config, LayerKind, number};
use crate::ops::{self, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f32,
    /// Whole channels are dropped: `SpatialDropout2D`.
    pub spatial: bool,
}

impl Dropout {
    /// Reads `rate`, and for whole channels `data_format`, which must be `channels_last`.
    pub fn from_config(spatial: bool, config: &Config<'_>) -> Result<Self> {
        if spatial {
            config.channels_last()?;
        }
        let rate = config.f32_or("rate", 0.0)?;
        match (0.0..1.0).contains(&rate) {
            true => Ok(Self { rate, spatial }),
            false => Err(config.error(format!("`rate` is {rate}\nhelp: expected 0 to below 1"))),
        }
    }
}

impl LayerKind for Dropout {
    fn class_name(&self) -> &'static str {
        if self.spatial { "SpatialDropout2D" } else { "Dropout" }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([("rate".to_owned(), number(self.rate))]);
        if self.spatial {
            config.insert("data_format".to_owned(), json!("channels_last"));
        }
        config
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(ops::Dropout { rate: self.rate, spatial: self.spatial }, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn the_rate_lies_from_zero_to_below_one() {
        for rate in [0.0, 0.5] {
            assert_eq!(read("Dropout", json!({"rate": rate})).expect("valid").config()["rate"], json!(rate));
        }
        for rate in [-0.1, 1.0, 7.0] {
            assert!(
                read("Dropout", json!({"rate": rate})).expect_err("wrong").to_string().contains("`rate`")
            );
        }
    }

    #[test]
    fn whole_channels_of_channels_first_images_are_refused() {
        let config = json!({"rate": 0.5, "data_format": "channels_first"});
        assert!(read("SpatialDropout2D", config).expect_err("refused").to_string().contains("`data_format`"));
    }
}
