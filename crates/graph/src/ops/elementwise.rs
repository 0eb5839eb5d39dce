//! `elementwise`: a function of mathematics, element by element. Activations are in `unary.rs`.

use super::{Backward, Cost, Forward, Instance, OpKind, one_of};
use crate::{Extents, Shape};
use frostline_kernels::erf;
use std::f32::consts::{LN_2, LN_10, PI};

/// A function of one number, as `keras.ops` defines it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `|x|`
    Absolute,
    /// `x` rounded up.
    Ceil,
    /// `x` between two bounds.
    Clip {
        /// The lower one.
        min: f32,
        /// The upper one.
        max: f32,
    },
    /// Cosine.
    Cos,
    /// The error function.
    Erf,
    /// `eˣ − 1`
    Expm1,
    /// `x` rounded down.
    Floor,
    /// `x` where it is farther from 0 than the threshold, else 0.
    HardShrink {
        /// How far from 0 what passes is at least.
        threshold: f32,
    },
    /// The natural logarithm.
    Log,
    /// `ln(1 + x)`
    Log1p,
    /// The logarithm to base 2.
    Log2,
    /// The logarithm to base 10.
    Log10,
    /// 1 for 0, else 0.
    Not,
    /// `x` to a power that is fixed.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `1 / x`
    Reciprocal,
    /// `x` rounded, halves to even.
    Round,
    /// `1 / √x`
    Rsqrt,
    /// −1, 0 or 1.
    Sign,
    /// Sine.
    Sin,
    /// `x` without what is nearer to 0 than the threshold.
    SoftShrink {
        /// What is taken off.
        threshold: f32,
    },
    /// `√x`
    Sqrt,
    /// `x`, through which no gradient passes.
    StopGradient,
    /// `x` where it is above the threshold, else another number.
    Threshold {
        /// Above it `x` passes.
        threshold: f32,
        /// What stands elsewhere.
        otherwise: f32,
    },
    /// `x` without what is behind the point.
    Trunc,
}

impl Function {
    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Absolute => x.abs(),
            Self::Ceil => x.ceil(),
            // NaN stays NaN
            Self::Clip { min, max } => {
                if x < min {
                    min
                } else if x > max {
                    max
                } else {
                    x
                }
            }
            Self::Cos => x.cos(),
            Self::Erf => erf(x),
            Self::Expm1 => x.exp_m1(),
            Self::Floor => x.floor(),
            Self::HardShrink { threshold } => {
                if x.abs() > threshold || x.is_nan() {
                    x
                } else {
                    0.0
                }
            }
            Self::Log => x.ln(),
            Self::Log1p => x.ln_1p(),
            Self::Log2 => x.log2(),
            Self::Log10 => x.log10(),
            Self::Not => f32::from(x == 0.0),
            Self::Power { exponent } => power(x, exponent),
            Self::Reciprocal => x.recip(),
            Self::Round => x.round_ties_even(),
            Self::Rsqrt => x.sqrt().recip(),
            Self::Sign => sign(x),
            Self::Sin => x.sin(),
            Self::SoftShrink { threshold } => {
                if x > threshold {
                    x - threshold
                } else if x < -threshold {
                    x + threshold
                } else {
                    x * 0.0
                }
            }
            Self::Sqrt => x.sqrt(),
            Self::StopGradient => x,
            Self::Threshold { threshold, otherwise } => {
                if x > threshold || x.is_nan() {
                    x
                } else {
                    otherwise
                }
            }
            Self::Trunc => x.trunc(),
        }
    }

    /// The slope at `x`; where it jumps, that of TensorFlow.
    fn slope(self, x: f32) -> f32 {
        match self {
            Self::Absolute => sign(x),
            Self::Ceil
            | Self::Floor
            | Self::Not
            | Self::Round
            | Self::Sign
            | Self::StopGradient
            | Self::Trunc => 0.0,
            Self::Clip { min, max } => f32::from(x >= min && x <= max),
            Self::Cos => -x.sin(),
            Self::Erf => 2.0 / PI.sqrt() * (-x * x).exp(),
            Self::Expm1 => x.exp(),
            Self::HardShrink { threshold } | Self::SoftShrink { threshold } => f32::from(x.abs() > threshold),
            Self::Log => x.recip(),
            Self::Log1p => (1.0 + x).recip(),
            Self::Log2 => (x * LN_2).recip(),
            Self::Log10 => (x * LN_10).recip(),
            Self::Power { exponent } => power_slope(x, exponent),
            Self::Reciprocal => -(x * x).recip(),
            Self::Rsqrt => -0.5 * x.sqrt().recip() / x,
            Self::Sin => x.cos(),
            Self::Sqrt => 0.5 / x.sqrt(),
            Self::Threshold { threshold, .. } => f32::from(x > threshold),
        }
    }
}

/// `x` to a power: whole ones and roots as products, so that they are exact.
pub(super) fn power(x: f32, exponent: f32) -> f32 {
    match exponent {
        0.5 => x.sqrt(),
        -0.5 => x.sqrt().recip(),
        whole if whole.fract() == 0.0 && whole.abs() <= 16.0 => x.powi(whole as i32),
        exponent => x.powf(exponent),
    }
}

/// The slope of a power at `x`.
pub(super) fn power_slope(x: f32, exponent: f32) -> f32 {
    if exponent == 0.0 { 0.0 } else { exponent * power(x, exponent - 1.0) }
}

/// −1, 0 or 1; NaN stays NaN.
fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Attributes: the function.
#[derive(Clone, Debug, PartialEq)]
pub struct Elementwise {
    /// The function.
    pub function: Function,
}

impl OpKind for Elementwise {
    fn name(&self) -> &'static str {
        "elementwise"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        one_of(inputs).cloned()
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, _: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { function: self.function })
    }
}

struct Bound {
    function: Function,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = self.function.apply(*x));
    }

    fn is_pixelwise(&self) -> bool {
        true
    }

    fn forward(&self, args: Forward<'_>) {
        self.infer(args.inputs, &[], args.output, &mut []);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (x, dy) = (args.inputs[0], args.output_grad);
        if let Some(dx) = &mut args.input_grads[0] {
            let slopes = x.iter().map(|x| self.function.slope(*x));
            for ((dx, slope), dy) in dx.to_add().iter_mut().zip(slopes).zip(dy) {
                // an infinite slope where nothing arrives, or nothing passes, is none
                *dx += if slope == 0.0 || *dy == 0.0 { 0.0 } else { slope * dy };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;
    use std::f32::consts::FRAC_1_SQRT_2;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn backward_agrees_with_differences(len in 30usize..70, seed: u64) {
            let everywhere = [
                Function::Absolute,
                Function::Clip { min: -0.5, max: 1.0 },
                Function::Cos,
                Function::Erf,
                Function::Expm1,
                Function::HardShrink { threshold: 0.5 },
                Function::Power { exponent: 2.0 },
                Function::Power { exponent: 3.0 },
                Function::Sin,
                Function::SoftShrink { threshold: 0.5 },
                Function::Threshold { threshold: 0.5, otherwise: 7.0 },
            ];
            for function in everywhere {
                Check::of(Elementwise { function }, &[&[len]]).images(3).run(seed);
            }
            let above_zero = [
                Function::Log,
                Function::Log1p,
                Function::Log2,
                Function::Log10,
                Function::Power { exponent: 0.5 },
                Function::Power { exponent: 1.7 },
                Function::Power { exponent: -1.0 },
                Function::Reciprocal,
                Function::Rsqrt,
                Function::Sqrt,
            ];
            for function in above_zero {
                Check::of(Elementwise { function }, &[&[len]]).positive().images(3).run(seed);
            }
        }
    }

    #[test]
    fn functions_without_a_slope_pass_no_gradient() {
        for function in [Function::Ceil, Function::Floor, Function::Not, Function::Round, Function::Sign] {
            Check::of(Elementwise { function }, &[&[40]]).run(3);
            assert_eq!(function.slope(0.3), 0.0);
        }
        assert_eq!((Function::StopGradient.apply(0.3), Function::StopGradient.slope(0.3)), (0.3, 0.0));
    }

    #[test]
    fn values_are_those_of_numpy() {
        let at = |function: Function, x: f32| function.apply(x);
        assert_eq!(
            [at(Function::Round, 0.5), at(Function::Round, 1.5), at(Function::Round, -2.5)],
            [0.0, 2.0, -2.0]
        );
        assert_eq!(
            [at(Function::Sign, -3.0), at(Function::Sign, 0.0), at(Function::Sign, -0.0)],
            [-1.0, 0.0, 0.0]
        );
        assert_eq!([at(Function::Not, 0.0), at(Function::Not, 2.0)], [1.0, 0.0]);
        assert!((at(Function::Erf, FRAC_1_SQRT_2) - 0.682_689_5).abs() < 1e-6);
        assert_eq!(at(Function::Power { exponent: -2.0 }, 4.0), 0.0625);
        for function in [
            Function::Clip { min: 0.0, max: 1.0 },
            Function::Sign,
            Function::Threshold { threshold: 0.0, otherwise: 1.0 },
        ] {
            assert!(at(function, f32::NAN).is_nan(), "{function:?}");
        }
    }
}
