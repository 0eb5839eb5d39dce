//! `linear(floor)`: a straight line from 1 down to `floor`.
//! Source: `keras.optimizers.schedules.PolynomialDecay` with a power of 1.

use super::{Curve, Progress};
use frostline_graph::Spec;
use std::fmt;

/// What is left at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// In `[0, 1]`.
    pub floor: f32,
}

impl Curve for Linear {
    const EXAMPLE: &'static str = "linear";

    fn read(spec: &Spec<'_>) -> Result<Self, String> {
        Ok(Self { floor: spec.argument(0, 0.0f32, 1)?.clamp(0.0, 1.0) })
    }

    fn factor(self, at: Progress) -> f32 {
        (1.0 - self.floor) * (1.0 - at.share()) + self.floor
    }
}

impl fmt::Display for Linear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "linear({})", self.floor)
    }
}
