//! `by weight`: element by element with a weight that is repeated over the image: a factor, or the slope of what is negative.

use super::images::{each_image, image};
use super::{Backward, Cost, Forward, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};

/// What the weight does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByWeightKind {
    /// `y = x · w`.
    Scale,
    /// `y = x` where `x > 0`, else `x · w`. Source: He et al. 2015.
    NegativeSlope,
}

/// The weight has as many axes as the image or fewer; those that it lacks in front, and those of extent 1, are repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct ByWeight {
    /// What the weight does.
    pub kind: ByWeightKind,
}

impl OpKind for ByWeight {
    fn name(&self) -> &'static str {
        "by weight"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        let fits = |weight: &Shape| {
            let pairs = || weight.iter().rev().zip(input.iter().rev());
            weight.len() <= input.len() && pairs().all(|(own, extent)| *own == 1 || own == extent)
        };
        match params {
            [weight] if fits(weight) => Ok(input.clone()),
            _ => Err(format!("weights of {params:?} do not fit values of {input:?}")),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        let places = places(&inputs[0], &params[0]);
        let is_pixelwise = inputs[0].last().is_some_and(|channels| channels.is_multiple_of(places.len()));
        Box::new(Bound { kind: self.kind, places, is_pixelwise })
    }
}

/// Which element of the weight each element of an image takes, as far as it does not repeat itself.
fn places(input: &[usize], weight: &[usize]) -> Vec<u32> {
    let skipped = input.len() - weight.len();
    let first = weight.iter().position(|extent| *extent > 1).map_or(input.len(), |axis| axis + skipped);
    let mut places = vec![0];
    for axis in first..input.len() {
        let extent = weight[axis - skipped];
        let step = |place: &u32, index: usize| {
            if extent > 1 { place * extent as u32 + index as u32 } else { *place }
        };
        places =
            places.iter().flat_map(|place| (0..input[axis]).map(move |index| step(place, index))).collect();
    }
    places
}

struct Bound {
    kind: ByWeightKind,
    places: Vec<u32>,
    is_pixelwise: bool,
}

impl Bound {
    fn apply(&self, x: &[f32], weight: &[f32], y: &mut [f32]) {
        let len = self.places.len();
        for (x, y) in x.chunks(len).zip(y.chunks_mut(len)) {
            for ((y, &x), &place) in y.iter_mut().zip(x).zip(&self.places) {
                let factor = weight[place as usize];
                *y = match self.kind {
                    ByWeightKind::NegativeSlope if x > 0.0 => x,
                    _ => x * factor,
                };
            }
        }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        self.apply(inputs[0], params[0], output);
    }

    fn reads(&self, trains: bool) -> Reads {
        let inputs = trains || self.kind == ByWeightKind::NegativeSlope;
        Reads { inputs, output: false, either: false }
    }

    fn is_pixelwise(&self) -> bool {
        self.is_pixelwise
    }

    fn forward(&self, args: Forward<'_>) {
        self.apply(args.inputs[0], args.params[0], args.output);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (weight, places, len) = (args.params[0], &self.places, self.places.len());
        let (x, dy, kind) = (args.inputs[0], args.output_grad, self.kind);
        let passes = |x: f32| kind == ByWeightKind::NegativeSlope && x > 0.0;
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(args.batch, dx.to_add(), |index, dx| {
                let dy = image(dy, args.batch, index);
                if kind == ByWeightKind::Scale {
                    for (dx, dy) in dx.chunks_mut(len).zip(dy.chunks(len)) {
                        for ((dx, &dy), &place) in dx.iter_mut().zip(dy).zip(places) {
                            *dx += dy * weight[place as usize];
                        }
                    }
                    return;
                }
                let x = image(x, args.batch, index);
                for ((dx, dy), x) in dx.chunks_mut(len).zip(dy.chunks(len)).zip(x.chunks(len)) {
                    for (((dx, &dy), &x), &place) in dx.iter_mut().zip(dy).zip(x).zip(places) {
                        *dx += if passes(x) { dy } else { dy * weight[place as usize] };
                    }
                }
            });
        }
        if let Some(dw) = &mut args.param_grads[0] {
            for (x, dy) in x.chunks(len).zip(dy.chunks(len)) {
                for ((&x, &dy), &place) in x.iter().zip(dy).zip(places) {
                    if !passes(x) {
                        dw[place as usize] += x * dy;
                    }
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
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn backward_agrees_with_differences(
            shape in [1usize..5, 1usize..5, 1usize..9], shared in [any::<bool>(), any::<bool>(), any::<bool>()], skip in 0usize..3, seed: u64,
        ) {
            let weight: Vec<usize> =
                (skip..3).map(|axis| if shared[axis] { 1 } else { shape[axis] }).collect();
            for kind in [ByWeightKind::Scale, ByWeightKind::NegativeSlope] {
                Check::of(ByWeight { kind }, &[&shape]).weights(&[&weight]).run(seed);
            }
        }
    }

    #[test]
    fn a_weight_is_repeated_along_its_axes_of_extent_one() {
        assert_eq!(places(&[2, 2, 3], &[3]), [0, 1, 2]);
        assert_eq!(places(&[2, 2, 3], &[1, 1, 3]), [0, 1, 2]);
        assert_eq!(places(&[2, 2, 3], &[2, 1, 1]), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(places(&[2, 2, 2], &[2, 1, 2]), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert_eq!(places(&[2, 2], &[1, 1]), [0]);
    }
}
