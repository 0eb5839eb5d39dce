//! `constant`: the rate stays as it is.

use super::{Curve, Progress};
use frostline_graph::Spec;
use std::fmt;

/// No settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant;

impl Curve for Constant {
    const EXAMPLE: &'static str = "constant";

    fn read(spec: &Spec<'_>) -> Result<Self, String> {
        spec.argument(0, 0.0, 0).map(|_: f32| Self)
    }

    fn factor(self, _: Progress) -> f32 {
        1.0
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("constant")
    }
}
