//! Where `Resize` takes its pixels from, as ONNX Runtime computes it, beside where Keras's layers take theirs from: only where
//! both are the same for every pixel is one the other.

use super::node::Node;

/// Pixels that are interpolated may lie so far apart, in pixels: rounding alone.
const CLOSE: f32 = 1e-3;

/// An axis that is resized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resized {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What the node says, or what follows from its sizes: `to / from` but for rounding.
    pub(super) scale: f32,
}

/// How a node makes new pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling<'a> {
    centres: &'a str,
    rounding: Rounding<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounding<'a> {
    /// `nearest_mode`.
    Nearest(&'a str),
    /// Before there was a `nearest_mode`: up where the image becomes smaller, else down.
    Cut,
    /// None: the pixels around are interpolated.
    Linear,
}

impl<'a> Sampling<'a> {
    /// The attributes. `is_old`: of an opset below 11, or an `Upsample`.
    pub(super) fn read(node: &'a Node, is_old: bool) -> Result<Self, String> {
        let default = if is_old { "asymmetric" } else { "half_pixel" };
        let centres = match is_old {
            true => default,
            false => node.text("coordinate_transformation_mode", default),
        };
        let rounding = match node.text("mode", "nearest") {
            "nearest" if is_old => Rounding::Cut,
            "nearest" => Rounding::Nearest(node.text("nearest_mode", "round_prefer_floor")),
            "linear" | "bilinear" => Rounding::Linear,
            mode => return Err(format!("it resizes by `{mode}`, which no layer here does")),
        };
        Ok(Self { centres, rounding })
    }

    /// As Keras names it.
    pub(super) fn interpolation(&self) -> &'static str {
        if self.rounding == Rounding::Linear { "bilinear" } else { "nearest" }
    }

    /// In the words of its attributes.
    pub(super) fn in_words(&self) -> String {
        let centres = self.centres;
        match self.rounding {
            Rounding::Linear => format!("`linear` with `{centres}` centres"),
            Rounding::Nearest(rounding) => {
                format!("`nearest` with `{centres}` centres rounded by `{rounding}`")
            }
            Rounding::Cut => format!("`nearest` with `{centres}` centres"),
        }
    }

    /// Whether Keras takes every pixel of this axis from where the node does.
    pub(super) fn is_of_keras(&self, axis: Resized) -> bool {
        (0..axis.to).all(|out| {
            self.position(out, axis).is_some_and(|position| {
                let keras = self.of_keras(out, axis);
                (position - keras).abs() <= CLOSE
            })
        })
    }

    /// Where the pixel comes from, between the first and the last one of the axis.
    fn position(&self, out: usize, axis: Resized) -> Option<f32> {
        let (at, from, to, scale) = (out as f32, axis.from as f32, axis.to as f32, axis.scale);
        if scale == 1.0 {
            return Some(at);
        }
        let position = match self.centres {
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if axis.to == 1 => 0.0,
            "pytorch_half_pixel" => (at + 0.5) / scale - 0.5,
            "half_pixel_symmetric" => from / 2.0 * (1.0 - to / (scale * from)) + (at + 0.5) / scale - 0.5,
            "asymmetric" => at / scale,
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "align_corners" if axis.to == 1 => 0.0,
            "align_corners" => at * (from - 1.0) / (to - 1.0),
            _ => return None,
        };
        let is_half = position == position.trunc() + 0.5;
        let rounded = match self.rounding {
            Rounding::Linear => position,
            Rounding::Nearest("round_prefer_floor") if is_half => position.floor(),
            Rounding::Nearest("round_prefer_floor" | "round_prefer_ceil") => position.round(),
            Rounding::Nearest("floor") => position.floor(),
            Rounding::Nearest("ceil") => position.ceil(),
            Rounding::Nearest(_) => return None,
            Rounding::Cut if scale < 1.0 => position.ceil(),
            Rounding::Cut => position.trunc(),
        };
        Some(rounded.clamp(0.0, from - 1.0))
    }

    /// [`Sampling::position`] of Keras's layers: half-pixel centres.
    fn of_keras(&self, out: usize, axis: Resized) -> f32 {
        let (step, last) = (axis.from as f32 / axis.to as f32, axis.from as f32 - 1.0);
        let centre = (out as f32 + 0.5) * step;
        match self.rounding {
            Rounding::Linear => (centre - 0.5).clamp(0.0, last),
            _ => centre.floor().min(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(centres: &str, rounding: Rounding<'_>, from: usize, to: usize) -> bool {
        let scale = to as f32 / from as f32;
        Sampling { centres, rounding }.is_of_keras(Resized { from, to, scale })
    }

    #[test]
    fn twice_the_size_by_the_nearest_pixel() {
        for (centres, rounding, fits) in [
            ("half_pixel", "round_prefer_floor", true),
            ("half_pixel", "round_prefer_ceil", true),
            ("half_pixel", "floor", false),
            ("half_pixel", "ceil", false),
            ("asymmetric", "floor", true),
            ("asymmetric", "round_prefer_floor", true),
            ("asymmetric", "round_prefer_ceil", false),
            ("tf_half_pixel_for_nn", "floor", true),
            ("align_corners", "floor", false),
            ("tf_crop_and_resize", "floor", false),
        ] {
            assert_eq!(agrees(centres, Rounding::Nearest(rounding), 8, 16), fits, "{centres} {rounding}");
        }
    }

    #[test]
    fn half_the_size_by_the_nearest_pixel() {
        // the centre lies between two pixels: Keras takes the upper one
        assert!(agrees("half_pixel", Rounding::Nearest("round_prefer_ceil"), 8, 4));
        assert!(!agrees("half_pixel", Rounding::Nearest("round_prefer_floor"), 8, 4));
        assert!(!agrees("asymmetric", Rounding::Nearest("floor"), 8, 4));
    }

    #[test]
    fn interpolated_pixels() {
        for (from, to) in [(8, 16), (8, 4), (8, 11)] {
            assert!(agrees("half_pixel", Rounding::Linear, from, to));
            assert!(!agrees("align_corners", Rounding::Linear, from, to));
            assert!(!agrees("asymmetric", Rounding::Linear, from, to));
        }
        // one pixel is all there is
        assert!(agrees("align_corners", Rounding::Linear, 1, 7));
        // the node's own scale, where the size that it makes is rounded down
        let axis = Resized { from: 5, to: 7, scale: 1.5 };
        let half = Sampling { centres: "half_pixel", rounding: Rounding::Linear };
        assert!(!half.is_of_keras(axis));
    }
}
