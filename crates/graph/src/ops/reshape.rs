//! `reshape`: the same elements in another shape. The batch stays.

use super::{Backward, Cost, Forward, Instance, OpKind, Reads};
use crate::{Extents, Shape};
use frostline_kernels::Accumulate;

/// Attributes: the new shape, without the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// As many elements as the input has.
    pub shape: Shape,
}

impl OpKind for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [input] = inputs else {
            return Err(format!("reshape takes one input, received {}", inputs.len()));
        };
        let fits = input.elements() == self.shape.elements();
        fits.then(|| self.shape.clone())
            .ok_or_else(|| format!("cannot reshape {input:?} to {:?}", self.shape))
    }

    fn cost(&self, _: &[Shape], _: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * self.shape.elements() as u64 }
    }

    fn bind(&self, _: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound)
    }
}

#[derive(Debug)]
struct Bound;

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.copy_from_slice(inputs[0]);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn forward(&self, args: Forward<'_>) {
        args.output.copy_from_slice(args.inputs[0]);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        if let Some(dx) = &mut args.input_grads[0] {
            match dx.parts() {
                (dx, Accumulate::Overwrite) => dx.copy_from_slice(args.output_grad),
                (dx, Accumulate::Add) => frostline_kernels::add_assign(dx, args.output_grad),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(shape in [1usize..5, 1usize..5, 1usize..9], seed: u64) {
            let [height, width, channels] = shape;
            let op = Reshape { shape: vec![channels, height * width] };
            Check::of(op, &[&shape]).linear().run(seed);
        }
    }
}
