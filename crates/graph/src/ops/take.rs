//! `take`: some places of one axis, in any order, each as often as it is wanted: slices, turned axes, repetitions, margins.

use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use std::sync::Arc;

/// Attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// Counted without the batch.
    pub axis: usize,
    /// For each place of the output the place of the input; [`Take::FILL`] for one that has none.
    pub places: Arc<[u32]>,
    /// What stands at places that have none.
    pub fill: f32,
}

impl Take {
    /// A place of the output that no place of the input is taken for.
    pub const FILL: u32 = u32::MAX;

    /// Places that all are in the input.
    pub fn new(axis: usize, places: impl IntoIterator<Item = usize>) -> Self {
        Self { axis, places: places.into_iter().map(|place| place as u32).collect(), fill: 0.0 }
    }
}

impl OpKind for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let mut shape = one_of(inputs)?.clone();
        let extent =
            shape.get_mut(self.axis).ok_or_else(|| format!("{inputs:?} has no axis {}", self.axis))?;
        if let Some(place) =
            self.places.iter().find(|place| **place != Self::FILL && **place as usize >= *extent)
        {
            return Err(format!("place {place} of an axis of {extent} is wanted"));
        }
        *extent = self.places.len();
        Ok(shape)
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let values = self.output_shape(inputs, params).map_or(0, |shape| shape.elements());
        Cost { multiply_adds: 0, bytes: 8 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let input = &inputs[0];
        Box::new(Bound {
            op: self.clone(),
            extent: input[self.axis],
            inner: input[self.axis + 1..].elements(),
        })
    }
}

struct Bound {
    op: Take,
    /// The axis's in the input.
    extent: usize,
    /// The elements of one place.
    inner: usize,
}

impl Bound {
    /// The blocks of one row of the axis: of the output's, and the place in the input's, if it has one.
    fn places(&self) -> impl Iterator<Item = Option<usize>> {
        self.op.places.iter().map(|place| (*place != Take::FILL).then_some(*place as usize * self.inner))
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (from, to) = (self.extent * self.inner, self.op.places.len() * self.inner);
        if to == 0 {
            return;
        }
        for (x, y) in inputs[0].chunks_exact(from).zip(output.chunks_exact_mut(to)) {
            for (y, place) in y.chunks_exact_mut(self.inner).zip(self.places()) {
                match place {
                    Some(place) => y.copy_from_slice(&x[place..][..self.inner]),
                    None => y.fill(self.op.fill),
                }
            }
        }
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let Some(dx) = &mut args.input_grads[0] else { return };
        let (from, to) = (self.extent * self.inner, self.op.places.len() * self.inner);
        let dx = dx.to_add();
        if to == 0 {
            return;
        }
        for (dx, dy) in dx.chunks_exact_mut(from).zip(args.output_grad.chunks_exact(to)) {
            for (dy, place) in dy.chunks_exact(self.inner).zip(self.places()) {
                if let Some(place) = place {
                    frostline_kernels::add_assign(&mut dx[place..][..self.inner], dy);
                }
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
        fn backward_agrees_with_differences(
            shape in [1usize..4, 1usize..4, 1usize..9], axis in 0usize..3, wanted in proptest::collection::vec(0usize..9, 1..6), seed: u64,
        ) {
            let extent = shape[axis];
            let mut op = Take::new(axis, wanted.iter().map(|place| place % extent));
            Check::of(op.clone(), &[&shape]).linear().run(seed);
            op.fill = 0.75;
            op.places = op.places.iter().copied().chain([Take::FILL]).collect();
            Check::of(op, &[&shape]).linear().run(seed);
        }
    }

    #[test]
    fn places_are_taken_in_the_order_in_which_they_are_named() {
        let op = Take { axis: 1, places: [2, Take::FILL, 0].into(), fill: 9.0 };
        assert_eq!(op.output_shape(&[vec![2, 3]], &[]), Ok(vec![2, 3]));
        let mut output = [0.0; 6];
        op.bind(&[vec![2, 3]], &[], 0).infer(&[&[1., 2., 3., 4., 5., 6.]], &[], &mut output, &mut []);
        assert_eq!(output, [3., 9., 1., 6., 9., 4.]);
        assert!(Take::new(0, [3]).output_shape(&[vec![3]], &[]).is_err());
        assert!(Take::new(1, [0]).output_shape(&[vec![3]], &[]).is_err());
    }
}
