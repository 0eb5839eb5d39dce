//! `permute`: the axes of an image in another order.

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::Shape;
use crate::{Extents, permuted};

/// Attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Permute {
    /// For each axis of the output the axis of the input, from 0, without the batch.
    pub order: Vec<usize>,
}

impl OpKind for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        match sorted.iter().copied().eq(0..input.len()) {
            true => Ok(self.order.iter().map(|axis| input[*axis]).collect()),
            false => Err(format!("the order {:?} does not name each axis of {input:?} once", self.order)),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * inputs[0].elements() as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { sources: sources(&inputs[0], &self.order) })
    }
}

/// For each element of the output its place in the input.
fn sources(input: &[usize], order: &[usize]) -> Vec<u32> {
    let places: Vec<u32> = (0..input.elements() as u32).collect();
    permuted(input, order, &places).map_or_else(Vec::new, |(_, sources)| sources)
}

struct Bound {
    sources: Vec<u32>,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        for (y, source) in output.iter_mut().zip(&self.sources) {
            *y = inputs[0][*source as usize];
        }
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn backward(&self, args: Backward<'_, '_>) {
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(args.batch, dx.to_add(), |index, dx| {
                for (dy, source) in image(args.output_grad, args.batch, index).iter().zip(&self.sources) {
                    dx[*source as usize] += dy;
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
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(shape in [1usize..5, 1usize..5, 1usize..9], turns in 0usize..6, seed: u64) {
            let order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][turns].to_vec();
            Check::of(Permute { order }, &[&shape]).linear().run(seed);
        }
    }

    #[test]
    fn the_order_names_axes_of_the_input() {
        assert_eq!(sources(&[2, 3], &[1, 0]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(sources(&[2, 1, 2], &[2, 0, 1]), [0, 2, 1, 3]);
        assert!(Permute { order: vec![0, 0] }.output_shape(&[vec![2, 3]], &[]).is_err());
    }
}
