//! `plateau(factor,patience)`: multiplied with `factor` after `patience` epochs without a better score, by
//! [`Watch`](super::Watch). Source: `keras.callbacks.ReduceLROnPlateau`.

use super::{Curve, Progress, share};
use frostline_graph::Spec;
use std::fmt;

/// By how much, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// In `(0, 1]`.
    pub factor: f32,
    /// Epochs.
    pub patience: usize,
}

impl Curve for Plateau {
    const EXAMPLE: &'static str = "plateau(0.5,3)";

    fn read(spec: &Spec<'_>) -> Result<Self, String> {
        let factor = share(spec, spec.argument(0, 0.5, 2)?)?;
        Ok(Self { factor, patience: spec.argument(1, 3.0f32, 2)? as usize })
    }

    fn factor(self, _: Progress) -> f32 {
        1.0
    }
}

impl fmt::Display for Plateau {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "plateau({},{})", self.factor, self.patience)
    }
}
