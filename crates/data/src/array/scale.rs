//! The scale that the values of an array are on, told by their range, and the way from there to pixels of 0 to 255.

use crate::image::{Image, Pixels};
use crate::{Preprocess, ValueRange};

/// What may lie outside of a range: a kernel that overshoots, a rounding.
const SLACK: f32 = 0.02;

/// The scale of the values of an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrayScale {
    /// Pixels of 0 to 255.
    #[default]
    Bytes,
    /// Pixels that were divided by 255: 0 to 1.
    Unit,
    /// Pixels that were divided by 127.5, less 1: -1 to 1.
    Signed,
}

impl ArrayScale {
    /// The scale of values in this range; `None` where they are on none of the scales, as after a normalisation by mean
    /// and deviation.
    pub fn of(range: ValueRange) -> Option<Self> {
        let ValueRange { min, max } = range;
        if min > max || min < -1.0 - SLACK || max > 255.0 + 255.0 * SLACK {
            None
        } else if min >= -SLACK {
            Some(if max <= 1.0 + SLACK { Self::Unit } else { Self::Bytes })
        } else {
            (max <= 1.0 + SLACK).then_some(Self::Signed)
        }
    }

    /// The scale that a model takes images in, by what makes them of pixels of 0 to 255.
    pub fn taken_by(preprocess: &Preprocess) -> Option<Self> {
        match preprocess {
            Preprocess::None => Some(Self::Bytes),
            Preprocess::Unit => Some(Self::Unit),
            Preprocess::Tf => Some(Self::Signed),
            _ => None,
        }
    }

    /// The preprocessing that brings pixels of 0 to 255 to this scale.
    pub fn as_preprocess(self) -> Preprocess {
        match self {
            Self::Bytes => Preprocess::None,
            Self::Unit => Preprocess::Unit,
            Self::Signed => Preprocess::Tf,
        }
    }

    /// Values of this scale as pixels of 0 to 255.
    pub fn to_bytes(self, image: Image) -> Image {
        let (scale, offset) = match self {
            Self::Bytes => return image,
            Self::Unit => (255.0, 0.0),
            Self::Signed => (127.5, 127.5),
        };
        let values = match image.pixels {
            Pixels::U8(values) => values.into_iter().map(f32::from).collect(),
            Pixels::F32(values) => values,
        };
        let pixels = Pixels::F32(values.into_iter().map(|value| value * scale + offset).collect());
        Image { pixels, ..image }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_tells_the_scale() {
        let all = [
            (0.0, 255.0, Some(ArrayScale::Bytes)),
            (3.0, 7.0, Some(ArrayScale::Bytes)),
            (0.0, 1.0, Some(ArrayScale::Unit)),
            (-0.01, 1.01, Some(ArrayScale::Unit)),
            (-1.0, 1.0, Some(ArrayScale::Signed)),
            (-1.0, 0.2, Some(ArrayScale::Signed)),
            (-2.1, 2.6, None),
            (-123.0, 151.0, None),
            (0.0, 65535.0, None),
            (f32::INFINITY, f32::NEG_INFINITY, None),
        ];
        for (min, max, expected) in all {
            assert_eq!(ArrayScale::of(ValueRange { min, max }), expected, "{min} to {max}");
        }
    }

    #[test]
    fn every_scale_comes_from_bytes_by_its_preprocessing() {
        for scale in [ArrayScale::Bytes, ArrayScale::Unit, ArrayScale::Signed] {
            assert_eq!(ArrayScale::taken_by(&scale.as_preprocess()), Some(scale));
            let mut values = vec![0.0, 64.0, 255.0];
            scale.as_preprocess().apply(&mut values, 1);
            let image = Image { height: 1, width: 3, channels: 1, pixels: Pixels::F32(values) };
            let Pixels::F32(back) = scale.to_bytes(image).pixels else { panic!("floats are expected") };
            assert!(back.iter().zip([0.0, 64.0, 255.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{back:?}");
        }
    }
}
