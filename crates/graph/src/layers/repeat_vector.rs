//! `RepeatVector`: a vector several times, one below the other.

use super::{Config, LayerKind};
use crate::ops::{self, Lowering, Resize, ResizeMethod, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatVector {
    /// How many times.
    pub n: usize,
}

impl RepeatVector {
    /// Reads `n`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        match config.usize("n")? {
            n @ 1..=65_536 => Ok(Self { n }),
            n => Err(config.error(format!("`n` is {n}\nhelp: expected 1 to 65536"))),
        }
    }
}

impl LayerKind for RepeatVector {
    fn class_name(&self) -> &'static str {
        "RepeatVector"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("n".to_owned(), json!(self.n))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match super::one_of(inputs)?.as_slice() {
            [width] => Ok(vec![self.n, *width]),
            other => Err(format!("expected a vector, received {other:?}")),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let width = lowering.shape(inputs[0]).iter().product();
        let row = lowering.push(ops::Reshape { shape: vec![1, 1, width] }, inputs, &[])?;
        let rows = Resize { height: self.n, width: 1, method: ResizeMethod::Nearest };
        let rows = lowering.push(rows, &[row], &[])?;
        lowering.push(ops::Reshape { shape: vec![self.n, width] }, &[rows], &[])
    }
}
