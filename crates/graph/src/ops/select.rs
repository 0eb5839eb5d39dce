//! `select`: of two values the one that a third says, element by element.

use super::binary::{broadcast, sources};
use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind};
use crate::{Extents, Shape};

/// Where the first input is not 0 the second, elsewhere the third. Shapes fit together as numpy's do.
#[derive(Clone, Debug, PartialEq)]
pub struct Select;

impl OpKind for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [condition, then, otherwise] = inputs else {
            return Err(format!("expected three inputs, received {}", inputs.len()));
        };
        broadcast(then, otherwise)
            .and_then(|values| broadcast(condition, &values))
            .ok_or_else(|| format!("shapes {inputs:?} do not fit together"))
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let values = self.output_shape(inputs, params).map_or(0, |shape| shape.elements()) as u64;
        Cost { multiply_adds: 0, bytes: 16 * values }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        let output = self.output_shape(inputs, params).unwrap_or_default();
        Box::new(Bound { sources: [0, 1, 2].map(|index| sources(&inputs[index], &output)) })
    }
}

struct Bound {
    /// For every element of the output, where it reads each input.
    sources: [Vec<u32>; 3],
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let [condition, then, otherwise] = &self.sources;
        for (y, ((c, a), b)) in output.iter_mut().zip(condition.iter().zip(then).zip(otherwise)) {
            *y = if inputs[0][*c as usize] != 0.0 { inputs[1][*a as usize] } else { inputs[2][*b as usize] };
        }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        for (side, grad) in args.input_grads.iter_mut().enumerate() {
            let Some(grad) = grad else { continue };
            let grad = grad.to_add();
            if side == 0 {
                continue; // a condition has no slope
            }
            each_image(args.batch, grad, |index, grad| {
                let condition = image(args.inputs[0], args.batch, index);
                let dy = image(args.output_grad, args.batch, index);
                for ((dy, c), source) in dy.iter().zip(&self.sources[0]).zip(&self.sources[side]) {
                    if (condition[*c as usize] != 0.0) == (side == 1) {
                        grad[*source as usize] += dy;
                    }
                }
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
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn backward_agrees_with_differences(h in 1usize..4, w in 1usize..4, c in 1usize..9, ones: [bool; 9], seed: u64) {
            let some = |extent: usize, one: bool| if one { 1 } else { extent };
            let shape = |first: usize| [some(h, ones[first]), some(w, ones[first + 1]), some(c, ones[first + 2])];
            Check::of(Select, &[&shape(0), &shape(3), &shape(6)]).run(seed);
        }
    }

    #[test]
    fn what_is_not_taken_may_be_no_number() {
        let op = Select.bind(&[vec![2], vec![2], vec![1]], &[], 0);
        let mut output = [0.0; 2];
        op.infer(&[&[1.0, 0.0], &[5.0, f32::NAN], &[7.0]], &[], &mut output, &mut []);
        assert_eq!(output, [5.0, 7.0]);
    }
}
