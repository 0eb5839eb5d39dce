//! `exponential(rate)`: multiplied with `rate` at each epoch, smoothly.
//! Source: `keras.optimizers.schedules.ExponentialDecay` over an epoch's steps.

use super::{Curve, Progress, share};
use frostline_graph::Spec;
use std::fmt;

/// How much is left after an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// In `(0, 1]`.
    pub rate: f32,
}

impl Curve for Exponential {
    const EXAMPLE: &'static str = "exponential(0.9)";

    fn read(spec: &Spec<'_>) -> Result<Self, String> {
        Ok(Self { rate: share(spec, spec.argument(0, 0.9, 1)?)? })
    }

    fn factor(self, at: Progress) -> f32 {
        self.rate.powf(at.step as f32 / at.steps_per_epoch.max(1) as f32)
    }
}

impl fmt::Display for Exponential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exponential({})", self.rate)
    }
}
