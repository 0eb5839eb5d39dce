//! `reduce`: one number in the place of all along some axes.

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};

/// Which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// Where the largest is, the first of equal ones; counted along all the axes together.
    ArgMax,
    /// Where the smallest is, likewise.
    ArgMin,
    /// `ln Σ eˣ`
    LogSumExp,
    /// The largest.
    Max,
    /// The mean.
    Mean,
    /// The smallest.
    Min,
    /// The product.
    Product,
    /// The sum.
    Sum,
    /// The mean square of the distance to the mean.
    Variance,
}

/// Attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Which number.
    pub kind: ReduceKind,
    /// Counted without the batch, each once.
    pub axes: Vec<usize>,
    /// Whether the axes stay, with one place.
    pub keep_dims: bool,
}

impl OpKind for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        if let Some(axis) = self.axes.iter().find(|axis| **axis >= input.len()) {
            return Err(format!("{input:?} has no axis {axis}"));
        }
        let extent = |(axis, extent): (usize, &usize)| match (self.axes.contains(&axis), self.keep_dims) {
            (false, _) => Some(*extent),
            (true, true) => Some(1),
            (true, false) => None,
        };
        Ok(input.iter().enumerate().filter_map(extent).collect())
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 4 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let input = &inputs[0];
        let places = |wanted: bool| offsets(input, |axis| self.axes.contains(&axis) == wanted);
        Box::new(Bound { kind: self.kind, bases: places(false), offsets: places(true) })
    }
}

/// The places of an array that the chosen axes span, the other axes at their first place.
fn offsets(shape: &[usize], chosen: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut found = vec![0u32];
    for axis in (0..shape.len()).filter(|axis| chosen(*axis)) {
        let stride = shape[axis + 1..].elements() as u32;
        found = found
            .iter()
            .flat_map(|base| (0..shape[axis] as u32).map(move |place| base + place * stride))
            .collect();
    }
    found
}

struct Bound {
    kind: ReduceKind,
    /// For each element of the output the first that it is made of.
    bases: Vec<u32>,
    /// How far the others are from the first.
    offsets: Vec<u32>,
}

impl Bound {
    /// What an element of the output is made of.
    fn group<'a>(&'a self, x: &'a [f32], base: u32) -> impl Iterator<Item = f32> + Clone + 'a {
        self.offsets.iter().map(move |offset| x[(base + offset) as usize])
    }

    fn mean(&self, values: impl Iterator<Item = f32>) -> f64 {
        values.map(f64::from).sum::<f64>() / self.offsets.len() as f64
    }

    fn value(&self, values: impl Iterator<Item = f32> + Clone) -> f32 {
        match self.kind {
            ReduceKind::ArgMax => place(values, |value, best| value > best),
            ReduceKind::ArgMin => place(values, |value, best| value < best),
            ReduceKind::LogSumExp => {
                let largest = extreme(values.clone(), f32::max);
                if !largest.is_finite() {
                    return largest;
                }
                let sum: f64 = values.map(|value| f64::from(value - largest).exp()).sum();
                largest + sum.ln() as f32
            }
            ReduceKind::Max => extreme(values, f32::max),
            ReduceKind::Mean => self.mean(values) as f32,
            ReduceKind::Min => extreme(values, f32::min),
            ReduceKind::Product => values.map(f64::from).product::<f64>() as f32,
            ReduceKind::Sum => values.map(f64::from).sum::<f64>() as f32,
            ReduceKind::Variance => {
                let mean = self.mean(values.clone());
                self.mean(values.map(|value| ((f64::from(value) - mean).powi(2)) as f32)) as f32
            }
        }
    }

    /// Adds to the gradients of a group, whose result is `y`.
    fn spread(&self, x: &[f32], base: u32, dy: f32, dx: &mut [f32]) {
        let count = self.offsets.len() as f32;
        let places = || self.offsets.iter().map(|offset| (base + offset) as usize);
        let group = || self.group(x, base);
        match self.kind {
            ReduceKind::ArgMax | ReduceKind::ArgMin => {}
            ReduceKind::Sum => places().for_each(|place| dx[place] += dy),
            ReduceKind::Mean => places().for_each(|place| dx[place] += dy / count),
            // equal ones share it, as in TensorFlow
            ReduceKind::Max | ReduceKind::Min => {
                let chosen = self.value(group());
                let sharing = group().filter(|value| *value == chosen).count() as f32;
                places().filter(|place| x[*place] == chosen).for_each(|place| dx[place] += dy / sharing);
            }
            ReduceKind::LogSumExp => {
                let y = self.value(group());
                places().for_each(|place| dx[place] += dy * (x[place] - y).exp());
            }
            ReduceKind::Product => {
                for (index, place) in places().enumerate() {
                    let others = group().enumerate().filter(|(other, _)| *other != index);
                    dx[place] += dy * others.map(|(_, value)| f64::from(value)).product::<f64>() as f32;
                }
            }
            ReduceKind::Variance => {
                let mean = self.mean(group()) as f32;
                places().for_each(|place| dx[place] += dy * 2.0 * (x[place] - mean) / count);
            }
        }
    }
}

/// The extreme of some numbers; NaN where one is.
fn extreme(mut values: impl Iterator<Item = f32>, better: fn(f32, f32) -> f32) -> f32 {
    let first = values.next().unwrap_or(f32::NAN);
    values.fold(
        first,
        |best, value| if value.is_nan() || best.is_nan() { f32::NAN } else { better(best, value) },
    )
}

/// Where the first of the best numbers is.
fn place(values: impl Iterator<Item = f32>, is_better: fn(f32, f32) -> bool) -> f32 {
    let mut best = (0, f32::NAN);
    for (index, value) in values.enumerate() {
        if index == 0 || is_better(value, best.1) {
            best = (index, value);
        }
    }
    best.0 as f32
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        for (y, base) in output.iter_mut().zip(&self.bases) {
            *y = self.value(self.group(inputs[0], *base));
        }
    }

    fn reads(&self, _trains: bool) -> Reads {
        let inputs = !matches!(self.kind, ReduceKind::Sum | ReduceKind::Mean);
        Reads { inputs, output: false, either: false }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let Some(dx) = &mut args.input_grads[0] else { return };
        each_image(args.batch, dx.to_add(), |index, dx| {
            let x = if args.inputs[0].is_empty() { &[] } else { image(args.inputs[0], args.batch, index) };
            let dy = image(args.output_grad, args.batch, index);
            self.bases.iter().zip(dy).for_each(|(base, dy)| self.spread(x, *base, *dy, dx));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    const SMOOTH: [ReduceKind; 7] = [
        ReduceKind::LogSumExp,
        ReduceKind::Max,
        ReduceKind::Mean,
        ReduceKind::Min,
        ReduceKind::Product,
        ReduceKind::Sum,
        ReduceKind::Variance,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn backward_agrees_with_differences(
            shape in [1usize..4, 1usize..4, 2usize..7], chosen in [any::<bool>(), any::<bool>()], keep_dims: bool, seed: u64,
        ) {
            // the last axis always: of one element alone nothing varies
            let axes: Vec<usize> = (0..3).filter(|axis| chosen.get(*axis) != Some(&false)).collect();
            for kind in SMOOTH {
                Check::of(Reduce { kind, axes: axes.clone(), keep_dims }, &[&shape]).run(seed);
            }
        }
    }

    #[test]
    fn axes_vanish_or_stay_with_one_place() {
        let of = |kind: ReduceKind, axes: &[usize], keep_dims: bool| {
            let op = Reduce { kind, axes: axes.to_vec(), keep_dims };
            let shape = op.output_shape(&[vec![2, 3]], &[]).expect("fits");
            let mut output = vec![0.0; shape.elements()];
            op.bind(&[vec![2, 3]], &[], 0).infer(&[&[1., 5., 3., 7., 2., 7.]], &[], &mut output, &mut []);
            (shape, output)
        };
        assert_eq!(of(ReduceKind::Sum, &[1], false), (vec![2], vec![9., 16.]));
        assert_eq!(of(ReduceKind::Max, &[0], true), (vec![1, 3], vec![7., 5., 7.]));
        assert_eq!(of(ReduceKind::ArgMax, &[1], false), (vec![2], vec![1., 0.]));
        assert_eq!(of(ReduceKind::ArgMin, &[0], false), (vec![3], vec![0., 1., 0.]));
        assert_eq!(of(ReduceKind::Variance, &[0, 1], true).0, [1, 1]);
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let op =
            Reduce { kind: ReduceKind::LogSumExp, axes: vec![0], keep_dims: false }.bind(&[vec![2]], &[], 0);
        let mut output = [0.0];
        op.infer(&[&[1000.0, 1000.0]], &[], &mut output, &mut []);
        assert!((output[0] - 1_000.693_1).abs() < 1e-3);
    }
}
