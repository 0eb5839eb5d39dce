//! The numbers that forward kernels read and write. Between two ops a number may be stored in fewer bits than the f32
//! that all sums are taken in.

use crate::activation::Activation;
use crate::dispatch::vectorized;
use std::fmt::Debug;

/// A number as kernels store it.
pub trait Element: Copy + Default + PartialEq + Debug + Send + Sync + 'static {
    /// Below every number.
    const LOWEST: Self;

    /// The nearest one; of two as near the even one.
    fn of(value: f32) -> Self;

    /// Its value, exactly.
    fn value(self) -> f32;
}

impl Element for f32 {
    const LOWEST: Self = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// The upper half of an f32: its range, and 8 bits of precision.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub(crate) u16);

impl Element for Bf16 {
    const LOWEST: Self = Self(0xff80);

    #[inline(always)]
    fn of(value: f32) -> Self {
        let bits = value.to_bits();
        // NaN would become infinity if only its lower bits were set.
        let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        Self(if value.is_nan() { (bits >> 16 | 0x40) as u16 } else { rounded as u16 })
    }

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// What a byte stands for is its reader's affair; its order is that of the numbers.
impl Element for u8 {
    const LOWEST: Self = 0;

    #[inline(always)]
    fn of(value: f32) -> Self {
        value.round_ties_even() as u8
    }

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Debug for Bf16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Debug::fmt(&self.value(), f)
    }
}

vectorized! {
    /// `y = x`, rounded; slices of one length.
    pub fn encode<E: Element>(x: &[f32], y: &mut [E]) {
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (y, &x) in y.iter_mut().zip(x) {
            *y = E::of(x);
        }
    }
}

vectorized! {
    /// `y = x`; slices of one length.
    pub fn decode<E: Element>(x: &[E], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "x and y have one length");
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x.value();
        }
    }
}

/// The f32 that hold `len` elements as scratch memory.
pub fn scratch_floats<E: Element>(len: usize) -> usize {
    (len * size_of::<E>()).div_ceil(size_of::<f32>())
}

vectorized! {
    /// `y = f(y)`, in f32.
    pub(crate) fn activate_in_place<E: Element>(activation: Activation, y: &mut [E]) {
        crate::activation::for_known_variant!(activation, f => for y in y.iter_mut() {
            *y = E::of(f.apply(y.value()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_and_of_two_to_the_even() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.01 / 256.0, 1.0 + 2.0 / 256.0),
            (-3.3, -3.296875),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(Bf16::of(value).value(), expected);
        }
        assert!(Bf16::of(f32::NAN).value().is_nan());
        assert!(Bf16::of(f32::from_bits(0x7f80_0001)).value().is_nan());
    }

    #[test]
    fn slices_are_encoded_and_decoded() {
        let x: Vec<f32> = (-40..41).map(|i| i as f32 * 0.37).collect();
        let (mut y, mut back) = (vec![Bf16::default(); x.len()], vec![0.0; x.len()]);
        encode(&x, &mut y);
        decode(&y, &mut back);
        for (x, back) in x.iter().zip(back) {
            assert!((x - back).abs() <= x.abs() / 256.0, "{x} became {back}");
        }
        assert_eq!(scratch_floats::<Bf16>(7), 4);
    }
}
