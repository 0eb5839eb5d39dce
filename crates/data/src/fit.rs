//! How a picture of one shape becomes one of another.
//!
//! The kernel is the same in all three cases: what differs is the size that the picture is resized to, and what is then cut
//! off or added. Sizes and offsets are whole pixels, rounded as the libraries do that people train with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DataError;
use super::image::Image;
use super::resize::{Axis, Part, Resize};

/// How a picture meets a shape that is not its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Both sides are resized, each by its own factor; all is seen, and shapes are distorted. The default of Keras's
    /// `image_dataset_from_directory`.
    #[default]
    Squash,
    /// Resized until it covers the shape, by one factor; what stands over is cut off on both sides. With a square shape
    /// torchvision's `Resize(size)` and `CenterCrop(size)`: the longer side is rounded down, the offset to the nearest whole
    /// number, halves to the even one.
    Crop,
    /// Resized until it lies within the shape, by one factor; the rest is black, the same on both sides. Pillow's
    /// `ImageOps.pad`: the shorter side and the offset are rounded to the nearest whole number, halves to the even one.
    Pad,
}

/// Where a picture lies in the input of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `[height, width]` that it is resized to.
    pub resized: [usize; 2],
    /// The row and column of the input at which it begins; below 0 where it is cut off.
    pub offset: [i64; 2],
}

impl Fit {
    /// All of them.
    pub const ALL: [Fit; 3] = [Fit::Squash, Fit::Crop, Fit::Pad];

    /// `squash`, `crop` or `pad`.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Squash => "squash",
            Fit::Crop => "crop",
            Fit::Pad => "pad",
        }
    }

    /// `[height, width]` that a picture is resized to for a shape.
    fn resized([height, width]: [usize; 2], shape: [usize; 2], fit: Fit) -> [usize; 2] {
        // whether the picture is at least as wide, for its height, as the shape
        let is_wide = width as u128 * shape[0] as u128 >= height as u128 * shape[1] as u128;
        let scaled_down = |side: usize, to: usize, from: usize| {
            usize::try_from(side as u128 * to as u128 / from.max(1) as u128).unwrap_or(usize::MAX)
        };
        let nearest = |side: usize, from: usize, to: usize| {
            ((side as f64 / from as f64 * to as f64).round_ties_even() as usize).clamp(1, usize::MAX)
        };
        match (fit, is_wide) {
            (Fit::Squash, _) => shape,
            (Fit::Crop, true) => [shape[0], scaled_down(shape[0], width, height).max(shape[1])],
            (Fit::Crop, false) => [scaled_down(shape[1], height, width).max(shape[0]), shape[1]],
            (Fit::Pad, true) => [nearest(height, width, shape[1]).min(shape[0]), shape[1]],
            (Fit::Pad, false) => [shape[0], nearest(width, height, shape[0]).min(shape[1])],
        }
    }

    /// Where a picture of `[height, width]` lies in a shape.
    pub fn place(self, picture: [usize; 2], shape: [usize; 2]) -> Place {
        let resized = Self::resized(picture, shape, self);
        let offset = |extent: usize, wanted: usize| match extent > wanted {
            true => -(half(extent - wanted) as i64),
            false => half(wanted - extent) as i64,
        };
        Place { resized, offset: [offset(resized[0], shape[0]), offset(resized[1], shape[1])] }
    }

    /// Brings a picture to `[height, width, image.channels]`, written to `out`, which has that length. `black`: what is added.
    pub(super) fn apply(
        self,
        resize: Resize,
        image: &Image,
        shape: [usize; 2],
        black: f32,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let Place { resized: [height, width], offset } = self.place([image.height, image.width], shape);
        let part = |extent: usize, wanted: usize, offset: i64| match extent > wanted {
            true => Axis { extent, start: offset.unsigned_abs() as usize, len: wanted },
            false => Axis::whole(extent),
        };
        let part =
            Part { rows: part(height, shape[0], offset[0]), columns: part(width, shape[1], offset[1]) };
        if [height, width] == shape || self != Fit::Pad {
            return resize.apply_part(image, &part, out);
        }
        let mut inner = vec![0.0; height * width * image.channels];
        resize.apply_part(image, &part, &mut inner)?;
        let (top, left) = (offset[0] as usize, offset[1] as usize * image.channels);
        let row = width * image.channels;
        out.fill(black);
        let lines = out.chunks_exact_mut(shape[1] * image.channels).skip(top);
        lines
            .zip(inner.chunks_exact(row))
            .for_each(|(out, line)| out[left..left + row].copy_from_slice(line));
        Ok(())
    }
}

/// The half of a number, to the nearest whole number, of two as near the even one.
fn half(number: usize) -> usize {
    let down = number / 2;
    down + (number % 2) * (down % 2)
}

impl fmt::Display for Fit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Fit {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::ALL.into_iter().find(|fit| fit.name() == name).ok_or_else(|| {
            DataError::setting(
                format!("a picture cannot be made to fit by `{name}`"),
                "give `squash` (each side by its own factor), `crop` (the middle) or `pad` (all of it, with black added)",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Pixels;

    fn ramp(height: usize, width: usize) -> Image {
        let value = |i: usize| ((i % width) * 10 + i / width) as u8;
        Image { height, width, channels: 1, pixels: Pixels::U8((0..height * width).map(value).collect()) }
    }

    fn fitted(fit: Fit, image: &Image, shape: [usize; 2]) -> Vec<f32> {
        let mut out = vec![f32::NAN; shape[0] * shape[1]];
        fit.apply(Resize::PilBilinear, image, shape, 0.0, &mut out).unwrap();
        out
    }

    #[test]
    fn a_picture_of_the_right_height_is_cut_and_not_resized() {
        assert_eq!(fitted(Fit::Crop, &ramp(2, 5), [2, 2]), [20.0, 30.0, 21.0, 31.0]);
        // an odd rest: 3 / 2 is 1.5, which is rounded to 2
        assert_eq!(fitted(Fit::Crop, &ramp(1, 4), [1, 1]), [20.0]);
    }

    #[test]
    fn a_picture_of_the_right_width_is_padded_and_not_resized() {
        assert_eq!(fitted(Fit::Pad, &ramp(1, 3), [3, 3]), [0.0, 0.0, 0.0, 0.0, 10.0, 20.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn sizes_are_those_of_torchvision_and_pillow() {
        // torchvision 0.29: Resize(224) of 500 x 333 is 336 x 224, of 1000 x 999 it is 224 x 224
        assert_eq!(Fit::resized([333, 500], [224, 224], Fit::Crop), [224, 336]);
        assert_eq!(Fit::resized([999, 1000], [224, 224], Fit::Crop), [224, 224]);
        // Pillow 13: ImageOps.contain
        assert_eq!(Fit::resized([333, 500], [224, 224], Fit::Pad), [149, 224]);
        assert_eq!(Fit::resized([500, 333], [160, 224], Fit::Pad), [160, 107]);
        assert_eq!(Fit::resized([10, 10_000], [224, 224], Fit::Pad), [1, 224]);
    }

    #[test]
    fn a_very_long_picture_takes_no_more_memory_than_its_part() {
        let long = Image { height: 1, width: 100_000, channels: 1, pixels: Pixels::U8(vec![7; 100_000]) };
        for kernel in [Resize::PilBilinear, Resize::PilNearest, Resize::TfBilinear] {
            let mut out = vec![0.0; 224 * 224];
            Fit::Crop.apply(kernel, &long, [224, 224], 0.0, &mut out).unwrap();
            assert!(out.iter().all(|value| *value == 7.0), "{kernel}");
        }
    }

    #[test]
    fn a_part_has_the_values_of_the_whole() {
        let image = ramp(23, 17);
        for kernel in Resize::ALL {
            let mut whole = vec![0.0; 40 * 31];
            kernel.apply(&image, 40, 31, &mut whole).unwrap();
            let part = Part {
                rows: Axis { extent: 40, start: 3, len: 30 },
                columns: Axis { extent: 31, start: 5, len: 20 },
            };
            let mut out = vec![0.0; 30 * 20];
            kernel.apply_part(&image, &part, &mut out).unwrap();
            for (y, line) in out.chunks(20).enumerate() {
                assert_eq!(line, &whole[(y + 3) * 31 + 5..][..20], "{kernel}");
            }
        }
    }

    #[test]
    fn a_place_says_what_of_a_picture_is_seen() {
        let place = |fit: Fit| fit.place([300, 500], [100, 100]);
        assert_eq!(place(Fit::Squash), Place { resized: [100, 100], offset: [0, 0] });
        assert_eq!(place(Fit::Crop), Place { resized: [100, 166], offset: [0, -33] });
        assert_eq!(place(Fit::Pad), Place { resized: [60, 100], offset: [20, 0] });
    }

    #[test]
    fn names_are_read_back() {
        for fit in Fit::ALL {
            assert_eq!(fit.to_string().parse::<Fit>().unwrap(), fit);
        }
        assert!("letterbox".parse::<Fit>().unwrap_err().to_string().contains("help:"));
    }
}
