//! `exp`, `tanh` and `erf` in plain arithmetic without branches, so that loops over them vectorise.
//!
//! The polynomials are minimax fits on the stated intervals.

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// The upper bits of ln 2: `n * LN2_HIGH` is exact for every exponent `n` of an f32.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding this to a small f32 rounds it to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `eˣ` within 2 ULP where the result is a normal number; 0, infinity and NaN as the standard function.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mantissa = exp_m1_near_zero(r) + 1.0;
    // 2^n in two factors, so that overflow ends in infinity and underflow in subnormal numbers.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    mantissa * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^r - 1 = r + r² q(r)`, `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_m1_near_zero(r: f32) -> f32 {
    let q = 0.001_381_461_f32;
    let q = q * r + 0.008_368_71;
    let q = q * r + 0.041_668_39;
    let q = q * r + 0.166_665_21;
    let q = q * r + 0.499_999_94;
    q * (r * r) + r
}

/// `eˣ - 1`, which keeps its digits near zero.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    if x.abs() < 0.34 { exp_m1_near_zero(x) } else { exp(x) - 1.0 }
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent within 3 ULP.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    // tanh x = x + x³ q(x²), x² <= 0.4
    let q = -0.005_660_780_7_f32;
    let q = q * z + 0.020_602;
    let q = q * z - 0.053_729_23;
    let q = q * z + 0.133_313_28;
    let q = q * z - 0.333_332_78;
    let small = x + x * z * q;
    let magnitude = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if z < 0.4 { small } else { magnitude.copysign(x) }
}

/// The error function, within 3e-7.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let z = x * x;
    // erf x = x p(x²), |x| <= 1
    let p = 7.889_119e-5_f32;
    let p = p * z - 0.000_802_084_1;
    let p = p * z + 0.005_189_535;
    let p = p * z - 0.026_854_444;
    let p = p * z + 0.112_836;
    let p = p * z - 0.376_126_26;
    let p = p * z + std::f32::consts::FRAC_2_SQRT_PI;
    // erf x = 1 - e^-q(x), 1 <= x <= 4; beyond, the difference from 1 is below the last bit
    let a = x.abs();
    let a = if a > 4.0 { 4.0 } else { a };
    let q = -2.513_267e-7_f32;
    let q = q * a + 2.531_481e-5;
    let q = q * a - 4.637_88e-4;
    let q = q * a + 0.004_282_383;
    let q = q * a - 0.025_373_556;
    let q = q * a + 0.108_638_995;
    let q = q * a + 0.633_039_6;
    let q = q * a + 1.129_661_2;
    let q = q * a - 2.043_599e-4;
    if z < 1.0 { x * p } else { (1.0 - exp(-q)).copysign(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(low: f64, high: f64) -> impl Iterator<Item = f32> {
        (0..200_000).map(move |i| (low + (high - low) * f64::from(i) / 199_999.0) as f32)
    }

    /// The distance in units of the last place of the true value.
    fn ulps(value: f32, truth: f64) -> f64 {
        let rounded = (truth as f32).abs();
        let unit = f64::from(f32::from_bits(rounded.to_bits() + 1) - rounded);
        (f64::from(value) - truth).abs() / unit
    }

    #[test]
    fn exp_is_within_two_ulps() {
        let worst = points(-87.0, 88.7).map(|x| ulps(exp(x), f64::from(x).exp())).fold(0.0, f64::max);
        assert!(worst <= 2.0, "{worst}");
    }

    #[test]
    fn exp_ends_like_the_standard_function() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(90.0), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!((f64::from(exp(-95.0)) / f64::from(-95.0_f32).exp() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn tanh_is_within_three_ulps() {
        let worst = points(-12.0, 12.0).map(|x| ulps(tanh(x), f64::from(x).tanh())).fold(0.0, f64::max);
        assert!(worst <= 3.0, "{worst}");
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
    }

    #[test]
    fn sigmoid_agrees_with_f64() {
        for x in points(-80.0, 80.0) {
            let truth = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - truth).abs() <= 4e-7 * truth, "{x}");
        }
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn erf_agrees_with_its_integral() {
        // Simpson's rule over 2/√π e^(-t²) from 0 to x.
        let truth = |x: f64| {
            let steps = 2000;
            let h = x / f64::from(steps);
            let f = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
            let odd: f64 = (0..steps / 2).map(|i| f(2 * i + 1)).sum();
            let even: f64 = (1..steps / 2).map(|i| f(2 * i)).sum();
            (f(0) + f(steps) + 4.0 * odd + 2.0 * even) * h / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
        };
        for i in -500..=500 {
            let x = i as f32 * 0.01;
            assert!((f64::from(erf(x)) - truth(f64::from(x))).abs() < 3e-7, "{x}");
        }
        assert!(erf(f32::NAN).is_nan());
    }
}
