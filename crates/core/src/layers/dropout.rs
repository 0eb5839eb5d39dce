//! `Dropout` and `SpatialDropout2D`: off in inference and while the layer is frozen.
//! Source: Srivastava et al. 2014; Tompson et al. 2015.

use super::{Config, LayerKind, number};
use crate::ops::{self, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f32,
    /// Whole channels are dropped: `SpatialDropout2D`.
    pub spatial: bool,
}

impl Dropout {
    /// Reads `rate`.
    pub fn from_config(spatial: bool, config: &Config<'_>) -> Result<Self> {
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
        Map::from_iter([("rate".to_owned(), number(self.rate))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(ops::Dropout { rate: self.rate, spatial: self.spatial }, inputs, &[])
    }
}
