//! Activations: element by element, with the slope for the backward pass beside the value.

use crate::dispatch::vectorized;
use crate::exponential::{erf, exp, exp_m1, sigmoid, tanh};

const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_SCALE: f32 = 1.050_701;
const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;
const INV_SQRT_2PI: f32 = 0.398_942_3;

/// A function of one number, as Keras defines it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Activation {
    /// `x`.
    #[default]
    Linear,
    /// `min(x, max)` where `x > threshold`, else `negative_slope * (x - threshold)`.
    Relu {
        /// The largest value; infinity for none.
        max: f32,
        /// The slope below the threshold.
        negative_slope: f32,
        /// Where the unit begins to pass its input.
        threshold: f32,
    },
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * sigmoid(x)`, also named swish.
    Silu,
    /// `relu6(x + 3) / 6`.
    HardSigmoid,
    /// `x * relu6(x + 3) / 6`, also named hard swish.
    HardSilu,
    /// `x` where positive, else `alpha * (eˣ - 1)`.
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// ELU with the constants of self-normalising networks.
    Selu,
    /// `x Φ(x)`, by the error function.
    Gelu,
    /// GELU by the approximation with `tanh`.
    GeluTanh,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `eˣ`.
    Exponential,
    /// `x` where positive, else `negative_slope * x`.
    LeakyRelu {
        /// The slope for negative numbers.
        negative_slope: f32,
    },
}

/// Runs `$body` with `$fixed` bound to the same activation, its variant known to the compiler: the choice is made once
/// and not for each element.
macro_rules! for_known_variant {
    ($activation:expr, $fixed:ident => $body:expr; $($unit:ident),*) => {
        match $activation {
            Activation::Relu { max, negative_slope: 0.0, threshold: 0.0 } => {
                let $fixed = Activation::Relu { max, negative_slope: 0.0, threshold: 0.0 };
                $body
            }
            Activation::Relu { max, negative_slope, threshold } => {
                let $fixed = Activation::Relu { max, negative_slope, threshold };
                $body
            }
            Activation::Elu { alpha } => {
                let $fixed = Activation::Elu { alpha };
                $body
            }
            Activation::LeakyRelu { negative_slope } => {
                let $fixed = Activation::LeakyRelu { negative_slope };
                $body
            }
            $(Activation::$unit => {
                let $fixed = Activation::$unit;
                $body
            })*
        }
    };
    ($activation:expr, $fixed:ident => $body:expr) => {
        $crate::activation::for_known_variant!(
            $activation, $fixed => $body;
            Linear, Sigmoid, Tanh, Silu, HardSigmoid, HardSilu, Selu, Gelu, GeluTanh, Softplus, Softsign, Exponential
        )
    };
}
pub(crate) use for_known_variant;

impl Activation {
    /// `max(x, 0)`.
    pub fn relu() -> Self {
        Self::Relu { max: f32::INFINITY, negative_slope: 0.0, threshold: 0.0 }
    }

    /// `min(max(x, 0), 6)`.
    pub fn relu6() -> Self {
        Self::Relu { max: 6.0, negative_slope: 0.0, threshold: 0.0 }
    }

    /// The value at `x`. NaN stays NaN.
    #[inline(always)]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Linear => x,
            Self::Relu { max, negative_slope: 0.0, threshold: 0.0 } => clamp(x, 0.0, max),
            Self::Relu { max, negative_slope, threshold } => {
                if x > threshold {
                    if x > max { max } else { x }
                } else if negative_slope == 0.0 && !x.is_nan() {
                    0.0
                } else {
                    negative_slope * (x - threshold)
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => tanh(x),
            Self::Silu => x * sigmoid(x),
            Self::HardSigmoid => clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0),
            Self::HardSilu => x * (clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)),
            Self::Elu { alpha } => elu(x, alpha),
            Self::Selu => SELU_SCALE * elu(x, SELU_ALPHA),
            Self::Gelu => x * gelu_gate(x),
            Self::GeluTanh => x * (0.5 * (1.0 + tanh(gelu_argument(x)))),
            Self::Softplus => (if x > 0.0 { x } else { 0.0 }) + exp(-x.abs()).ln_1p(),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Exponential => exp(x),
            Self::LeakyRelu { negative_slope } => {
                if x > 0.0 {
                    x
                } else {
                    negative_slope * x
                }
            }
        }
    }

    /// The slope at `x`. Where the slope jumps, the value of the side that does not pass the input.
    #[inline(always)]
    pub(crate) fn slope(self, x: f32) -> f32 {
        match self {
            Self::Linear => 1.0,
            Self::Relu { max, negative_slope, threshold } => {
                let passed = if x < max { 1.0 } else { 0.0 };
                if x > threshold { passed } else { negative_slope }
            }
            Self::Sigmoid => {
                let s = sigmoid(x);
                s * (1.0 - s)
            }
            Self::Tanh => {
                let t = tanh(x);
                1.0 - t * t
            }
            Self::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }
            Self::HardSigmoid => {
                if x > -3.0 && x < 3.0 {
                    1.0 / 6.0
                } else {
                    0.0
                }
            }
            Self::HardSilu => {
                let middle = (2.0 * x + 3.0) * (1.0 / 6.0);
                let upper = if x < 3.0 { middle } else { 1.0 };
                if x > -3.0 { upper } else { 0.0 }
            }
            Self::Elu { alpha } => elu_slope(x, alpha),
            Self::Selu => SELU_SCALE * elu_slope(x, SELU_ALPHA),
            Self::Gelu => gelu_gate(x) + x * INV_SQRT_2PI * exp(-0.5 * x * x),
            Self::GeluTanh => {
                let t = tanh(gelu_argument(x));
                let argument_slope = SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * argument_slope
            }
            Self::Softplus => sigmoid(x),
            Self::Softsign => {
                let d = 1.0 + x.abs();
                1.0 / (d * d)
            }
            Self::Exponential => exp(x),
            Self::LeakyRelu { negative_slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    negative_slope
                }
            }
        }
    }

    /// `dy * slope(x)`.
    #[inline(always)]
    pub(crate) fn backward(self, x: f32, dy: f32) -> f32 {
        match self {
            Self::Linear => dy,
            // a mask instead of a product
            Self::Relu { max, negative_slope: 0.0, threshold } => {
                let bounded = if x < max { dy } else { 0.0 };
                if x > threshold { bounded } else { 0.0 }
            }
            _ => dy * self.slope(x),
        }
    }

    /// Whether the activation only bounds its input by 0 or by nothing from below, and from above.
    pub fn only_bounds(self) -> bool {
        self.bounds().is_some()
    }

    /// The bounds, where the activation only bounds its input: what a convolution can do before it stores.
    pub(crate) fn bounds(self) -> Option<(f32, f32)> {
        match self {
            Self::Linear => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Self::Relu { max, negative_slope: 0.0, threshold: 0.0 } => Some((0.0, max)),
            _ => None,
        }
    }

    /// The bounds that a convolution applies before it stores, and the activation that is left for a second pass over what it stored.
    pub(crate) fn in_passes(self) -> ((f32, f32), Option<Self>) {
        match self.bounds() {
            Some(bounds) => (bounds, None),
            None => ((f32::NEG_INFINITY, f32::INFINITY), Some(self)),
        }
    }
}

/// NaN stays NaN.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[inline(always)]
fn elu(x: f32, alpha: f32) -> f32 {
    if x > 0.0 { x } else { alpha * exp_m1(x) }
}

#[inline(always)]
fn elu_slope(x: f32, alpha: f32) -> f32 {
    if x > 0.0 { 1.0 } else { alpha * exp(x) }
}

#[inline(always)]
fn gelu_gate(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_argument(x: f32) -> f32 {
    SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x)
}

vectorized! {
    /// `y = f(x)`; slices of one length.
    pub fn activate(activation: Activation, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for_known_variant!(activation, f => for (y, &x) in y.iter_mut().zip(x) {
            *y = f.apply(x);
        });
    }
}

vectorized! {
    /// `dx += dy * f'(x)`; slices of one length, `x` being the input of the activation.
    pub fn activate_backward(activation: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert!(x.len() == dy.len() && x.len() == dx.len(), "x, dy and dx have one length");
        for_known_variant!(activation, f => for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
            *dx += f.backward(x, dy);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 17] = [
        Activation::Linear,
        Activation::Relu { max: f32::INFINITY, negative_slope: 0.0, threshold: 0.0 },
        Activation::Relu { max: 6.0, negative_slope: 0.0, threshold: 0.0 },
        Activation::Relu { max: 2.0, negative_slope: 0.25, threshold: 0.5 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::HardSigmoid,
        Activation::HardSilu,
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Exponential,
        Activation::LeakyRelu { negative_slope: 0.3 },
    ];

    /// None lies where a slope jumps.
    fn points() -> Vec<f32> {
        (-801..800).map(|i| i as f32 * 0.0101 + 0.0007).collect()
    }

    /// The formulas once more, in f64 and with the standard library's functions.
    fn truth(activation: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::Linear => x,
            Activation::Relu { max, negative_slope, threshold } => {
                let (max, slope, threshold) =
                    (f64::from(max), f64::from(negative_slope), f64::from(threshold));
                if x >= max {
                    max
                } else if x > threshold {
                    x
                } else {
                    slope * (x - threshold)
                }
            }
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::HardSilu => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            Activation::Selu => {
                1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() }
            }
            Activation::Gelu => {
                // Φ(x) by Simpson's rule over the density from 0 to x.
                let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let h = x / 600.0;
                let inner: f64 =
                    (1..600).map(|i| density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
                x * (0.5 + (density(0.0) + density(x) + inner) * h / 3.0)
            }
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Softplus => x.exp().ln_1p(),
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Exponential => x.exp(),
            Activation::LeakyRelu { negative_slope } => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(negative_slope) * x
                }
            }
        }
    }

    #[test]
    fn values_agree_with_the_formulas_in_f64() {
        let x = points();
        let mut y = vec![0.0; x.len()];
        for activation in ALL {
            activate(activation, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let truth = truth(activation, f64::from(x));
                // One part in a million of the value or of the input, whichever cancellation leaves.
                let tolerance = 1e-6 * truth.abs().max(f64::from(x.abs()).min(1.0));
                assert!((f64::from(y) - truth).abs() <= tolerance, "{activation:?} at {x}: {y}, not {truth}");
                assert_eq!(y, activation.apply(x), "{activation:?} at {x}");
            }
        }
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let x = points();
        let dy: Vec<f32> = x.iter().map(|x| 1.0 + x.sin()).collect();
        for activation in ALL {
            let mut dx = vec![0.5; x.len()];
            activate_backward(activation, &x, &dy, &mut dx);
            for i in 0..x.len() {
                let at = f64::from(x[i]);
                let h = 1e-5;
                let slope = (truth(activation, at + h) - truth(activation, at - h)) / (2.0 * h);
                let expected = 0.5 + f64::from(dy[i]) * slope;
                assert!(
                    (f64::from(dx[i]) - expected).abs() < 3e-6 * expected.abs().max(1.0),
                    "{activation:?} at {at}: {} not {expected}",
                    dx[i]
                );
            }
        }
    }

    #[test]
    fn nan_is_not_hidden() {
        for activation in ALL {
            assert!(activation.apply(f32::NAN).is_nan(), "{activation:?}");
        }
    }
}
