//! The size of the input that a picture is seen at. Several views of one picture, averaged, say more than one.
//!
//! A network that ends in pooled features takes any size. The extents of an input stay those of the model, in steps of
//! [`View::STEP`]: most networks halve an image five times, and an extent that is no multiple would move their padding.

use super::DataError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One view of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// The model's own input, whatever the picture's shape: [`Fit`](crate::Fit) says what becomes of that.
    Own,
    /// The picture's shape, and this many times the area of the model's own input, squared: 1.4 is about twice the pixels.
    Shape(f32),
}

impl View {
    /// Extents differ from the model's own by multiples of this.
    pub const STEP: f64 = 32.0;
    /// A picture that is longer than this is taken to be so long: its short side would vanish.
    pub const LONGEST: f64 = 3.0;

    /// The views of a solved head, where the model can take them (shared measurements: two sizes are better than one, more
    /// sizes and flips are not).
    pub const USUAL: [View; 2] = [View::Shape(1.0), View::Shape(1.4)];

    /// `[height, width]` of the input for a picture of `[height, width]`, where the model's own is `own`.
    pub fn size(self, picture: [usize; 2], own: [usize; 2]) -> [usize; 2] {
        let View::Shape(scale) = self else { return own };
        let [height, width] = picture.map(|extent| extent.max(1) as f64);
        let stretch =
            (width / height * own[0] as f64 / own[1] as f64).clamp(1.0 / Self::LONGEST, Self::LONGEST).sqrt();
        let extent = |own: usize, wanted: f64| {
            let steps = ((wanted - own as f64) / Self::STEP).round();
            // at least half of what the model was trained on: below that its last maps have no pixels left
            let least = -((own as f64 / 2.0) / Self::STEP).floor();
            (own as f64 + Self::STEP * steps.max(least)) as usize
        };
        let scale = f64::from(scale);
        [extent(own[0], scale * own[0] as f64 / stretch), extent(own[1], scale * own[1] as f64 * stretch)]
    }

    /// Whether it never asks for another size than the model's own.
    pub fn is_own(self) -> bool {
        self == View::Own
    }
}

impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            View::Own => formatter.write_str("own"),
            View::Shape(scale) => write!(formatter, "{scale}"),
        }
    }
}

impl FromStr for View {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let scale = |text: &str| text.parse().ok().filter(|scale| (0.5..=4.0).contains(scale));
        match text.trim() {
            // its name in models of frostline 0.2 and before
            "own" | "squash" => Ok(View::Own),
            text => scale(text).map(View::Shape).ok_or_else(|| {
                DataError::setting(
                    format!("`{text}` is no view"),
                    "give `own`, or a factor from 0.5 to 4 by which the model's own input size grows, as `1.4`",
                )
            }),
        }
    }
}

impl Serialize for View {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_the_pictures_shape_in_steps() {
        let own = [160, 160];
        assert_eq!(View::Own.size([480, 640], own), own);
        assert_eq!(View::Shape(1.0).size([500, 500], own), own);
        // 160 / sqrt(4/3) = 138.6 and 160 sqrt(4/3) = 184.8
        assert_eq!(View::Shape(1.0).size([480, 640], own), [128, 192]);
        assert_eq!(View::Shape(1.4).size([640, 480], own), [256, 192]);
        assert_eq!(View::Shape(1.0).size([1, 1000], own), [96, 288]);
        // an own size that is no multiple of the step is left as it is
        assert_eq!(View::Shape(1.0).size([10, 10], [299, 299]), [299, 299]);
        assert_eq!(View::Shape(1.4).size([28, 28], [28, 28]), [28, 28]);
    }

    #[test]
    fn views_are_written_as_they_are_read() {
        for text in ["own", "1", "1.4"] {
            assert_eq!(text.parse::<View>().map(|view| view.to_string()).ok().as_deref(), Some(text));
        }
        for text in ["", "9", "-1", "crop"] {
            assert!(text.parse::<View>().is_err(), "{text}");
        }
    }
}
