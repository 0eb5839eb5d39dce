//! `cosine(floor)`: half a cosine from 1 down to `floor`. Source: `keras.optimizers.schedules.CosineDecay`.

use super::{Curve, Progress};
use frostline_graph::Spec;
use std::fmt;

/// What is left at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// In `[0, 1]`.
    pub floor: f32,
}

impl Curve for Cosine {
    const EXAMPLE: &'static str = "cosine";

    fn read(spec: &Spec<'_>) -> Result<Self, String> {
        Ok(Self { floor: spec.argument(0, 0.0f32, 1)?.clamp(0.0, 1.0) })
    }

    fn factor(self, at: Progress) -> f32 {
        self.floor + (1.0 - self.floor) * 0.5 * (1.0 + (std::f32::consts::PI * at.share()).cos())
    }
}

impl fmt::Display for Cosine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cosine({})", self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `keras.optimizers.schedules.CosineDecay(1.0, 100)(25)` is 0.8535534.
    #[test]
    fn cosine_agrees_with_keras() {
        let factor = Cosine { floor: 0.0 }.factor(Progress { step: 25, total: 100, steps_per_epoch: 10 });
        assert!((factor - 0.853_553_4).abs() < 1e-6);
    }
}
