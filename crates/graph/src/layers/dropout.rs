//! `Dropout`, `SpatialDropout2D` and the `StochasticDepth` of `keras.applications`: off in inference and while the layer is
//! frozen. Source: Srivastava et al. 2014; Tompson et al. 2015; Huang et al. 2016.

use super::{Config, LayerKind, number};
use crate::ops::{self, Dropped, Lowering, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f32,
    /// What is dropped together: elements in `Dropout`, channels in `SpatialDropout2D`, images in `StochasticDepth`.
    pub dropped: Dropped,
    /// `noise_shape` of `Dropout`, behind the batch: 1 along axes that are dropped together. Empty where each element is alone.
    pub noise_shape: Vec<Option<usize>>,
}

impl Dropout {
    /// What is dropped together on values of this shape.
    fn dropped_on(&self, shape: &Shape) -> Result<Dropped, String> {
        let together = |axis: usize| self.noise_shape[axis] == Some(1) && shape[axis] != 1;
        let alone = |axis: usize| self.noise_shape[axis].is_none_or(|extent| extent == shape[axis]);
        let rank = shape.len();
        let fits = self.noise_shape.len() == rank && (0..rank).all(|axis| together(axis) || alone(axis));
        let gone = if fits { (0..rank).filter(|axis| together(*axis)).count() } else { 0 };
        match (self.noise_shape.is_empty(), fits) {
            (true, _) => Ok(self.dropped),
            (_, true) if gone == 0 => Ok(Dropped::Elements),
            (_, true) if (0..rank).all(|axis| together(axis) || shape[axis] == 1) => Ok(Dropped::Images),
            (_, true) if gone + 1 == rank && !together(rank - 1) => Ok(Dropped::Channels),
            _ => Err(format!(
                "`noise_shape` is {:?} behind the batch, on values of {shape:?}\nhelp: frostline drops elements, channels or whole images",
                self.noise_shape
            )),
        }
    }

    /// `noise_shape`, the batch in front, which must be each image's own.
    fn read_noise_shape(config: &Config<'_>) -> Result<Vec<Option<usize>>> {
        let wrong = || {
            config.error(
                "`noise_shape` is wrong\nhelp: expected none for the batch, then 1 or none for each axis",
            )
        };
        let extents = match config.get("noise_shape") {
            None => return Ok(Vec::new()),
            Some(shape) => shape.as_array().ok_or_else(wrong)?,
        };
        let [batch, extents @ ..] = extents.as_slice() else { return Err(wrong()) };
        let extent = |value: &Value| match value {
            Value::Null => Ok(None),
            _ => value.as_u64().map(|extent| Some(extent as usize)).ok_or_else(wrong),
        };
        if batch.is_null() { extents.iter().map(extent).collect() } else { Err(wrong()) }
    }

    /// Reads the rate, for single elements `noise_shape`, and for whole channels `data_format`, which must be `channels_last`.
    pub fn from_config(dropped: Dropped, config: &Config<'_>) -> Result<Self> {
        if dropped == Dropped::Channels {
            config.channels_last()?;
        }
        let key = rate_key(dropped);
        let rate = config.f32_or(key, 0.0)?;
        match (0.0..1.0).contains(&rate) {
            true => {
                let noise_shape = match dropped {
                    Dropped::Elements => Self::read_noise_shape(config)?,
                    Dropped::Channels | Dropped::Images => Vec::new(),
                };
                Ok(Self { rate, dropped, noise_shape })
            }
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
        if !self.noise_shape.is_empty() {
            let extents = self.noise_shape.iter().map(|extent| json!(extent));
            let shape = std::iter::once(Value::Null).chain(extents).collect();
            config.insert("noise_shape".to_owned(), Value::Array(shape));
        }
        config
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = super::one_of(inputs)?;
        self.dropped_on(shape).map(|_| shape.clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let dropped = self.dropped_on(lowering.shape(inputs[0])).map_err(Error::surgery)?;
        lowering.push(ops::Dropout { rate: self.rate, dropped }, inputs, &[])
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
    fn a_noise_shape_says_what_is_dropped_together() {
        let on = |shape: Value, input: &[usize]| {
            let kind = read("Dropout", json!({"rate": 0.5, "noise_shape": shape.clone()})).expect("valid");
            assert_eq!(kind.config()["noise_shape"], shape);
            let crate::layers::Kind::Dropout(dropout) = kind else { panic!("another kind") };
            dropout.dropped_on(&input.to_vec())
        };
        assert_eq!(on(json!([null, 1, 1, 1]), &[4, 5, 6]), Ok(Dropped::Images));
        assert_eq!(on(json!([null, 1, 1, null]), &[4, 5, 6]), Ok(Dropped::Channels));
        assert_eq!(on(json!([null, 1, 6]), &[4, 6]), Ok(Dropped::Channels));
        assert_eq!(on(json!([null, null, 6]), &[4, 6]), Ok(Dropped::Elements));
        assert!(on(json!([null, null, 1]), &[4, 6]).is_err(), "places, which frostline does not drop");
        assert!(on(json!([null, 1]), &[4, 6]).is_err());
        assert!(
            read("Dropout", json!({"rate": 0.5, "noise_shape": [1, 4]})).is_err(),
            "one draw for the batch"
        );
    }

    #[test]
    fn whole_channels_of_channels_first_images_are_refused() {
        let config = json!({"rate": 0.5, "data_format": "channels_first"});
        assert!(read("SpatialDropout2D", config).expect_err("refused").to_string().contains("`data_format`"));
    }
}
