//! `unit norm`: rows of the last axis divided by their Euclidean norm, which counts as 1e-12 at least.
//! Source: `keras.ops.normalize`.

use super::{Backward, Cost, Forward, Instance, OpKind, one_of};
use crate::{Extents, Shape};

/// No attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitNorm;

const LEAST: f64 = 1e-12;

impl OpKind for UnitNorm {
    fn name(&self) -> &'static str {
        "unit norm"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        one_of(inputs).cloned()
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: 2 * values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { width: inputs[0].last().copied().unwrap_or(1).max(1) })
    }
}

struct Bound {
    width: usize,
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// What a row is multiplied with.
fn factor(x: &[f32]) -> f64 {
    1.0 / dot(x, x).sqrt().max(LEAST)
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        for (x, y) in inputs[0].chunks(self.width).zip(output.chunks_mut(self.width)) {
            let factor = factor(x) as f32;
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x * factor);
        }
    }

    fn is_pixelwise(&self) -> bool {
        true
    }

    fn forward(&self, args: Forward<'_>) {
        self.infer(args.inputs, &[], args.output, &mut []);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let Some(dx) = &mut args.input_grads[0] else { return };
        let rows = args.inputs[0].chunks(self.width).zip(args.output_grad.chunks(self.width));
        for ((x, dy), dx) in rows.zip(dx.to_add().chunks_mut(self.width)) {
            let factor = factor(x);
            // below the least norm the row is only scaled
            let along = if factor * LEAST < 1.0 { factor * factor * dot(x, dy) } else { 0.0 };
            for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx += (factor * (f64::from(*dy) - along * f64::from(*x))) as f32;
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
        fn backward_agrees_with_differences(rows in 1usize..6, width in 2usize..20, seed: u64) {
            Check::of(UnitNorm, &[&[rows, width]]).run(seed);
        }
    }

    #[test]
    fn a_row_of_zeros_stays_one() {
        let mut y = [f32::NAN; 2];
        Bound { width: 2 }.infer(&[&[0.0, 0.0]], &[], &mut y, &mut []);
        assert_eq!(y, [0.0, 0.0]);
    }
}
