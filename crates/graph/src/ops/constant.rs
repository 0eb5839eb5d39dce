//! `constant`: numbers that are part of the model and the same for every image.

use super::{Backward, Cost, Instance, OpKind, Reads};
use crate::{Shape, Tensor};
use std::sync::Arc;

/// Attributes: the numbers, in the shape that they have beside an image's values. It takes no input.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// The numbers.
    pub tensor: Arc<Tensor>,
}

impl OpKind for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [] => Ok(self.tensor.shape.clone()),
            _ => Err(format!("a constant takes no input, received {}", inputs.len())),
        }
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, _: &[Shape], _: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * self.tensor.len() as u64 }
    }

    fn bind(&self, _: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { tensor: self.tensor.clone() })
    }
}

struct Bound {
    tensor: Arc<Tensor>,
}

impl Instance for Bound {
    fn infer(&self, _: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.copy_from_slice(&self.tensor.data);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn backward(&self, _: Backward<'_, '_>) {}
}
