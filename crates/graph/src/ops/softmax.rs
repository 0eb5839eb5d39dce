//! `softmax` over the last axis.

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};

/// No attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax;

impl OpKind for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        one_of(inputs).cloned()
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: 4 * values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { width: inputs[0].last().copied().unwrap_or(1) })
    }
}

struct Bound {
    width: usize,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        frostline_kernels::softmax(self.width, inputs[0], output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::OUTPUT
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (width, batch) = (self.width, args.batch);
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                let (y, dy) = (image(args.output, batch, index), image(args.output_grad, batch, index));
                frostline_kernels::softmax_backward(width, y, dy, dx);
            });
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
        fn backward_agrees_with_differences(rows in 1usize..6, width in 2usize..20, seed: u64) {
            Check::of(Softmax, &[&[rows, width]]).run(seed);
        }
    }
}
