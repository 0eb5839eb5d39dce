//! `CustomScaleLayer`: `a + scale · b`, the residual of Inception-ResNet.
//! Source: Szegedy et al. 2016. Keras: `keras.applications.inception_resnet_v2`.

use super::{Config, LayerKind, number};
use crate::ops::{Affine, Binary, BinaryKind, Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledAdd {
    /// The second value's factor.
    pub scale: f32,
}

impl ScaledAdd {
    /// Reads `scale`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let scale = config.f32("scale")?.ok_or_else(|| config.error("`scale` is missing"))?;
        Ok(Self { scale })
    }
}

impl LayerKind for ScaledAdd {
    fn class_name(&self) -> &'static str {
        "CustomScaleLayer"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("scale".to_owned(), number(self.scale))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [a, b] if a == b => Ok(a.clone()),
            _ => Err(format!("expected two inputs of one shape, received {inputs:?}")),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let scaled =
            lowering.push(Affine { scale: vec![self.scale], offset: vec![0.0] }, &inputs[1..], &[])?;
        lowering.push(Binary { kind: BinaryKind::Add }, &[inputs[0], scaled], &[])
    }

    fn takes_list(&self) -> bool {
        true
    }

    fn keras_module(&self) -> &'static str {
        "keras.src.applications.inception_resnet_v2"
    }
}
