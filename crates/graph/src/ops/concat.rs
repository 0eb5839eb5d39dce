//! `concat`: several values behind each other along one axis.

use super::images::{each_image, image};
use super::{Backward, Cost, Forward, Infer, Instance, OpKind, Quantizations, Reads};
use crate::{Extents, Shape};
use frostline_kernels::{Bf16, Element, Quantization};

/// Attributes: the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// Counted without the batch.
    pub axis: usize,
}

impl OpKind for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let first = inputs.first().ok_or("expected at least one input, received none")?;
        let fits = |shape: &Shape| {
            shape.len() == first.len()
                && self.axis < shape.len()
                && shape.iter().zip(first).enumerate().all(|(axis, (a, b))| axis == self.axis || a == b)
        };
        if !inputs.iter().all(fits) {
            return Err(format!("shapes {inputs:?} cannot be joined along axis {}", self.axis));
        }
        let mut shape = first.clone();
        shape[self.axis] = inputs.iter().map(|input| input[self.axis]).sum();
        Ok(shape)
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values: usize = inputs.iter().map(|shape| shape.elements()).sum();
        Cost { multiply_adds: 0, bytes: 8 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { joined: Joined::new(inputs, self.axis) })
    }

    fn bind_bf16(&self, inputs: &[Shape], _: &[Shape], _: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
        Some(Box::new(Joined::new(inputs, self.axis)))
    }

    fn bind_int8(
        &self,
        inputs: &[Shape],
        _: &[Shape],
        _: &[&[f32]],
        between: &Quantizations<'_>,
    ) -> Option<Box<dyn Infer<u8>>> {
        let is_kept = self.keeps_bytes(inputs, &between.inputs).is_some();
        is_kept.then(|| Box::new(Joined::new(inputs, self.axis)) as _)
    }

    fn keeps_bytes(&self, shapes: &[Shape], inputs: &[&Quantization]) -> Option<Quantization> {
        let zero = inputs.first()?.zero;
        let scales = inputs.iter().flat_map(|input| input.scales.iter().copied()).collect();
        let is_alike = self.axis + 1 == shapes[0].len() && inputs.iter().all(|input| input.zero == zero);
        is_alike.then_some(Quantization { scales, zero })
    }
}

/// Matrices whose columns are joined: everything from the axis on is one row.
struct Joined {
    rows: usize,
    columns: Vec<usize>,
    total: usize,
}

impl Joined {
    fn new(inputs: &[Shape], axis: usize) -> Self {
        let columns: Vec<usize> = inputs.iter().map(|shape| shape[axis..].iter().product()).collect();
        let rows = inputs[0][..axis].iter().product();
        Self { rows, total: columns.iter().sum(), columns }
    }

    fn join<'a, E: Element>(&self, inputs: impl Iterator<Item = &'a [E]>, y: &mut [E]) {
        let mut offset = 0;
        for (x, columns) in inputs.zip(&self.columns) {
            frostline_kernels::copy_columns(self.rows, *columns, x, self.total, offset, y);
            offset += columns;
        }
    }
}

impl<E: Element> Infer<E> for Joined {
    fn scratch(&self) -> usize {
        0
    }

    fn infer(&self, inputs: &[&[E]], _: &[&[f32]], output: &mut [E], _: &mut [f32]) {
        self.join(inputs.iter().copied(), output);
    }
}

struct Bound {
    joined: Joined,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        self.joined.join(inputs.iter().copied(), output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn forward(&self, args: Forward<'_>) {
        let joined = &self.joined;
        each_image(args.batch, args.output, |index, y| {
            joined.join(args.inputs.iter().map(|x| image(x, args.batch, index)), y);
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (rows, total, batch) = (self.joined.rows, self.joined.total, args.batch);
        let mut offset = 0;
        for (dx, columns) in args.input_grads.iter_mut().zip(&self.joined.columns) {
            if let Some(dx) = dx {
                each_image(batch, dx.to_add(), |index, dx| {
                    let dy = image(args.output_grad, batch, index);
                    frostline_kernels::add_columns_back(rows, *columns, dx, total, offset, dy);
                });
            }
            offset += columns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    #[test]
    fn what_is_joined_is_read_and_written_once() {
        let inputs = [vec![5, 5, 8], vec![5, 5, 3]];
        assert_eq!(Concat { axis: 2 }.cost(&inputs, &[]).bytes, 2 * 4 * 5 * 5 * 11);
        // of many inputs, too
        assert_eq!(Concat { axis: 0 }.cost(&vec![vec![9; 3]; 100], &[]).bytes, 8 * 100 * 729);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(
            shape in [1usize..4, 1usize..4, 1usize..20], axis in 0usize..3, parts in 1usize..4, seed: u64,
        ) {
            let shapes: Vec<Vec<usize>> = (0..parts)
                .map(|part| {
                    let mut shape = shape.to_vec();
                    shape[axis] += part;
                    shape
                })
                .collect();
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            Check::of(Concat { axis }, &shapes).linear().run(seed);
        }
    }
}
