//! `Dropout`, `SpatialDropout2D` and the `StochasticDepth` of `keras.applications`: off in inference and while the layer is
//! frozen. Source: Srivastava et al. 2014; Tompson et al. 2015; Huang et al. 2016.

use super::{Config, LayerKind, number};
use crate::ops::{self, Dropped, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f32,
    /// What is dropped together: elements in `Dropout`, channels in `SpatialDropout2D`, images in `StochasticDepth`.
    pub dropped: Dropped,
}

impl Dropout {
    /// Reads the rate, and for whole channels `data_format`, which must be `channels_last`.
    pub fn from_config(dropped: Dropped, config: &Config<'_>) -> Result<Self> {
        if dropped == Dropped::Channels {
            config.channels_last()?;
        }
        let key = rate_key(dropped);
        let rate = config.f32_or(key, 0.0)?;
        match (0.0..1.0).contains(&rate) {
            true => Ok(Self { rate, dropped }),
            false => Err(config.error(format!("`{key}` is {rate}\nhelp: expected 0 to below 1"))),
        }
    }
}

/// Keras's name of the rate.
fn rate_key(dropped: Dropped) -> &'static str {
    if dropped == Dropped::Images { "drop_path_rate" } else { "rate" }
}

impl LayerKind for Dropout {
    fn class_name(&self) -> &'static str {
        match self.dropped {
            Dropped::Elements => "Dropout",
            Dropped::Channels => "SpatialDropout2D",
            Dropped::Images => "StochasticDepth",
        }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([(rate_key(self.dropped).to_owned(), number(self.rate))]);
        if self.dropped == Dropped::Channels {
            config.insert("data_format".to_owned(), json!("channels_last"));
        }
        config
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(ops::Dropout { rate: self.rate, dropped: self.dropped }, inputs, &[])
    }

    fn keras_module(&self) -> &'static str {
        match self.dropped {
            Dropped::Images => "keras.src.applications.convnext",
            Dropped::Elements | Dropped::Channels => super::KERAS_LAYERS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn the_rate_lies_from_zero_to_below_one() {
        let depth = read("StochasticDepth", json!({"drop_path_rate": 0.2})).expect("valid");
        assert_eq!(depth.config()["drop_path_rate"], json!(0.2));
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
