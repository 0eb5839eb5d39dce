//! Large JPEGs decoded small. The inverse transform gives a half, a quarter or an eighth of the extents for a part of the
//! work, as Pillow's `Image.draft` asks of it. Pixels are others than those of the whole picture scaled down, so that it
//! is a choice, which is saved with the model.

use std::fmt;
use std::str::FromStr;

use image::metadata::Orientation;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// How many times the target a JPEG that is scaled down while it is decoded must still be, in both directions; 0: it is
/// decoded whole.
/// On 412 photos, 307 x 172 pixels most of them, for a target of 40 x 40, 2 takes a half (and of the larger ones a quarter),
/// 1 a quarter. Mean absolute difference to the photo decoded whole and resized by the same kernel, in levels of 255:
///
/// | kernel | 2 | 1 |
/// |---|---|---|
/// | `pil-bilinear` | 1.3 | 2.3 |
/// | `pil-lanczos` | 1.7 | 2.9 |
/// | `tf-area` | 1.8 | 3.6 |
/// | `pil-box` | 3.3 | 5.9 |
/// | `tf-bilinear` | 5.0 | 9.0 |
///
/// `tf-bilinear` does not average when it shrinks, so that decoding whole is itself 10.0 from `pil-bilinear`; scaled, it
/// comes closer: 7.5 and 3.9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct ScaledDecode(u8);

impl ScaledDecode {
    /// Every JPEG is decoded whole.
    pub const OFF: Self = Self(0);
    /// The largest multiple.
    pub const MOST: u8 = 8;

    /// Whether every JPEG is decoded whole.
    pub fn is_off(&self) -> bool {
        *self == Self::OFF
    }

    /// How many times the target.
    pub fn times(&self) -> u8 {
        self.0
    }

    /// The extents that suffice for a target; none where all pixels are wanted.
    pub(super) fn enough(self, [height, width]: [usize; 2]) -> Option<Enough> {
        let times = |extent: usize| extent.saturating_mul(usize::from(self.0));
        (!self.is_off()).then(|| Enough { height: times(height), width: times(width) })
    }
}

impl TryFrom<u8> for ScaledDecode {
    type Error = DataError;

    fn try_from(times: u8) -> Result<Self, DataError> {
        if times <= Self::MOST {
            return Ok(Self(times));
        }
        Err(refused(&times))
    }
}

impl FromStr for ScaledDecode {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        text.trim().parse::<u8>().map_err(|_| refused(&text)).and_then(Self::try_from)
    }
}

fn refused(given: &dyn fmt::Display) -> DataError {
    DataError::setting(
        format!("JPEGs cannot be decoded at `{given}` times the target"),
        format!("give a whole number from 1 to {}, usually 2, or 0 to decode them whole", ScaledDecode::MOST),
    )
}

impl fmt::Display for ScaledDecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a picture may shrink to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Enough {
    height: usize,
    width: usize,
}

impl Enough {
    /// Before the picture is turned upright.
    pub(super) fn before(self, orientation: Orientation) -> Self {
        match orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => Self { height: self.width, width: self.height },
            _ => self,
        }
    }

    /// The fewest eighths of its extents at which a picture is not smaller than that.
    #[cfg(feature = "jpeg")]
    pub(super) fn eighths(self, height: usize, width: usize) -> u8 {
        let fits = |eighths: &u8| {
            let by = 8 / usize::from(*eighths);
            height / by >= self.height && width / by >= self.width
        };
        [1, 2, 4].into_iter().find(fits).unwrap_or(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eighths(times: u8, target: [usize; 2], height: usize, width: usize) -> u8 {
        ScaledDecode(times).enough(target).unwrap().eighths(height, width)
    }

    #[test]
    fn the_largest_reduction_is_taken_that_leaves_enough_in_both_directions() {
        assert_eq!(eighths(1, [100, 100], 800, 800), 1);
        assert_eq!(eighths(1, [100, 100], 799, 800), 2);
        assert_eq!(eighths(2, [100, 100], 800, 800), 2);
        assert_eq!(eighths(2, [100, 50], 400, 400), 4);
        assert_eq!(eighths(2, [100, 50], 399, 4000), 8);
        assert_eq!(eighths(2, [100, 100], 10, 10), 8);
        assert_eq!(ScaledDecode::OFF.enough([1, 1]), None);
    }

    #[test]
    fn a_picture_on_its_side_is_measured_on_its_side() {
        let enough = ScaledDecode(1).enough([100, 50]).unwrap();
        assert_eq!(enough.before(Orientation::Rotate180), enough);
        assert_eq!(enough.before(Orientation::Rotate90), Enough { height: 50, width: 100 });
    }

    #[test]
    fn multiples_are_read_back_and_others_refused() {
        for times in 0..=ScaledDecode::MOST {
            let read: ScaledDecode = times.to_string().parse().unwrap();
            assert_eq!(read.to_string(), times.to_string());
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<ScaledDecode>(&json).unwrap(), read);
        }
        for bad in ["9", "-1", "true", ""] {
            let error = bad.parse::<ScaledDecode>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")) && error.contains("help:"), "{error}");
        }
        assert!(serde_json::from_str::<ScaledDecode>("9").is_err());
    }
}
