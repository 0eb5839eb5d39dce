//! Where `Resize` takes its pixels from, as ONNX Runtime computes it, beside where Keras's layers take theirs from: only where
//! both are the same for every pixel is one the other.

use super::node::Node;

/// Pixels that are interpolated may lie so far apart, in pixels: rounding alone.
const CLOSE: f32 = 1e-3;
/// No axis is resized by more shares.
const MOST_SHARES: usize = 1 << 22;

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
    /// By cubic curves of this coefficient. Source: Keys, "Cubic convolution interpolation", 1981.
    Cubic(f32),
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
            "cubic" => Rounding::Cubic(node.float("cubic_coeff_a", -0.75)),
            mode => return Err(format!("it resizes by `{mode}`, which no layer here does")),
        };
        Ok(Self { centres, rounding })
    }

    /// As Keras names it.
    pub(super) fn interpolation(&self) -> &'static str {
        match self.rounding {
            Rounding::Linear => "bilinear",
            Rounding::Cubic(_) => "bicubic",
            _ => "nearest",
        }
    }

    /// In the words of its attributes.
    pub(super) fn in_words(&self) -> String {
        let centres = self.centres;
        match self.rounding {
            Rounding::Linear => format!("`linear` with `{centres}` centres"),
            Rounding::Cubic(_) => format!("`cubic` with `{centres}` centres"),
            Rounding::Nearest(rounding) => {
                format!("`nearest` with `{centres}` centres rounded by `{rounding}`")
            }
            Rounding::Cut => format!("`nearest` with `{centres}` centres"),
        }
    }

    /// Whether Keras takes every pixel of this axis from where the node does.
    pub(super) fn is_of_keras(&self, axis: Resized) -> bool {
        // its cubic curves have another coefficient, -0.5
        !matches!(self.rounding, Rounding::Cubic(_))
            && (0..axis.to).all(|out| {
                self.position(out, axis).is_some_and(|position| {
                    let keras = self.of_keras(out, axis);
                    (position - keras).abs() <= CLOSE
                })
            })
    }

    /// For each new pixel the shares of the old ones, `[to, from]`, as ONNX defines them: pixels beyond the axis are its last ones.
    /// `None` for what is not known here.
    pub(super) fn shares(&self, axis: Resized) -> Option<Vec<f32>> {
        let mut shares = vec![0.0f32; axis.to.checked_mul(axis.from).filter(|len| *len <= MOST_SHARES)?];
        for (out, row) in shares.chunks_mut(axis.from).enumerate() {
            let last = axis.from as i64 - 1;
            let taps: Vec<(i64, f32)> = match self.rounding {
                Rounding::Cubic(a) => {
                    let position = self.unbounded(out, axis)?;
                    let near = position.floor() as i64;
                    (near - 1..=near + 2).map(|at| (at, cubic((at as f32 - position).abs(), a))).collect()
                }
                _ => {
                    let position = self.position(out, axis)?;
                    let share = position.fract();
                    vec![(position as i64, 1.0 - share), (position as i64 + 1, share)]
                }
            };
            for (at, share) in taps {
                *row.get_mut(at.clamp(0, last) as usize)? += share;
            }
        }
        Some(shares)
    }

    /// Where the pixel comes from, between the first and the last one of the axis.
    fn position(&self, out: usize, axis: Resized) -> Option<f32> {
        let position = self.unbounded(out, axis)?;
        let is_half = position == position.trunc() + 0.5;
        let rounded = match self.rounding {
            Rounding::Linear | Rounding::Cubic(_) => position,
            Rounding::Nearest("round_prefer_floor") if is_half => position.floor(),
            Rounding::Nearest("round_prefer_floor" | "round_prefer_ceil") => position.round(),
            Rounding::Nearest("floor") => position.floor(),
            Rounding::Nearest("ceil") => position.ceil(),
            Rounding::Nearest(_) => return None,
            Rounding::Cut if axis.scale < 1.0 => position.ceil(),
            Rounding::Cut => position.trunc(),
        };
        Some(rounded.clamp(0.0, axis.from as f32 - 1.0))
    }

    /// Where the pixel comes from, which may lie beyond the axis.
    fn unbounded(&self, out: usize, axis: Resized) -> Option<f32> {
        let (at, from, to, scale) = (out as f32, axis.from as f32, axis.to as f32, axis.scale);
        if scale == 1.0 {
            return Some(at);
        }
        Some(match self.centres {
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if axis.to == 1 => 0.0,
            "pytorch_half_pixel" => (at + 0.5) / scale - 0.5,
            "half_pixel_symmetric" => from / 2.0 * (1.0 - to / (scale * from)) + (at + 0.5) / scale - 0.5,
            "asymmetric" => at / scale,
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "align_corners" if axis.to == 1 => 0.0,
            "align_corners" => at * (from - 1.0) / (to - 1.0),
            _ => return None,
        })
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

/// The curve over a distance from the pixel.
fn cubic(x: f32, a: f32) -> f32 {
    match x {
        ..=1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        ..2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        _ => 0.0,
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
