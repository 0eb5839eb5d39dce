//! Resizing by a named kernel, so that training, prediction and Keras see the same pixels.
//!
//! Two families disagree, and a model notices: TensorFlow's `tf.image.resize` takes samples (no antialiasing, f32
//! results), Pillow's `Image.resize` averages over the area when it shrinks (u8 results). What becomes of a picture's shape is
//! for [`Fit`](crate::Fit) to say.

mod part;
mod pil;
mod tf;

pub(super) use part::{Axis, Part};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DataError;
use super::image::{Image, Pixels};

/// A resize kernel, named after what it agrees with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// `tf.image.resize(method="bilinear")`, the default of `image_dataset_from_directory`.
    #[default]
    TfBilinear,
    /// `tf.image.resize(method="nearest")`.
    TfNearest,
    /// `tf.image.resize(method="bicubic")`; may overshoot 0 to 255.
    TfBicubic,
    /// `tf.image.resize(method="area")`.
    TfArea,
    /// `PIL.Image.resize(resample=NEAREST)`, the default of `keras.utils.load_img`.
    PilNearest,
    /// `PIL.Image.resize(resample=BOX)`.
    PilBox,
    /// `PIL.Image.resize(resample=BILINEAR)`.
    PilBilinear,
    /// `PIL.Image.resize(resample=HAMMING)`.
    PilHamming,
    /// `PIL.Image.resize(resample=BICUBIC)`.
    PilBicubic,
    /// `PIL.Image.resize(resample=LANCZOS)`.
    PilLanczos,
}

impl Resize {
    /// Every kernel.
    pub const ALL: [Resize; 10] = [
        Resize::TfBilinear,
        Resize::TfNearest,
        Resize::TfBicubic,
        Resize::TfArea,
        Resize::PilNearest,
        Resize::PilBox,
        Resize::PilBilinear,
        Resize::PilHamming,
        Resize::PilBicubic,
        Resize::PilLanczos,
    ];

    /// The name, e.g. `tf-bilinear`.
    pub fn name(self) -> &'static str {
        match self {
            Resize::TfBilinear => "tf-bilinear",
            Resize::TfNearest => "tf-nearest",
            Resize::TfBicubic => "tf-bicubic",
            Resize::TfArea => "tf-area",
            Resize::PilNearest => "pil-nearest",
            Resize::PilBox => "pil-box",
            Resize::PilBilinear => "pil-bilinear",
            Resize::PilHamming => "pil-hamming",
            Resize::PilBicubic => "pil-bicubic",
            Resize::PilLanczos => "pil-lanczos",
        }
    }

    /// Resizes `image` to `[height, width, image.channels]`, written to `out`, which has that length. Equal extents
    /// give the values as they are. f32 pictures are resized in f32 by all kernels.
    pub fn apply(self, image: &Image, height: usize, width: usize, out: &mut [f32]) -> Result<(), DataError> {
        self.apply_part(image, &Part { rows: Axis::whole(height), columns: Axis::whole(width) }, out)
    }

    /// [`Resize::apply`], of which only a part is wanted: the same values, and no work for the others.
    pub(super) fn apply_part(self, image: &Image, part: &Part, out: &mut [f32]) -> Result<(), DataError> {
        let Part { rows, columns } = part;
        if [rows.len, columns.len, image.height, image.width, image.channels].contains(&0)
            || [rows, columns].iter().any(|axis| axis.wanted().end > axis.extent)
            || out.len() != rows.len * columns.len * image.channels
        {
            let message = format!(
                "{} x {} x {} does not go into {} x {} with {} values",
                image.height,
                image.width,
                image.channels,
                rows.len,
                columns.len,
                out.len()
            );
            return Err(DataError::setting(message, "this cannot be resized; check the extents"));
        }
        if (image.height, image.width) == (rows.extent, columns.extent) {
            match &image.pixels {
                Pixels::U8(v) => taken(v, image, part, out),
                Pixels::F32(v) => taken(v, image, part, out),
            }
            return Ok(());
        }
        let filter = match self {
            Resize::TfBilinear
            | Resize::TfNearest
            | Resize::TfBicubic
            | Resize::TfArea
            | Resize::PilNearest => {
                match &image.pixels {
                    Pixels::U8(v) => self.sampled(v, image, part, out),
                    Pixels::F32(v) => self.sampled(v, image, part, out),
                }
                return Ok(());
            }
            Resize::PilBox => pil::Filter::Box,
            Resize::PilBilinear => pil::Filter::Bilinear,
            Resize::PilHamming => pil::Filter::Hamming,
            Resize::PilBicubic => pil::Filter::Bicubic,
            Resize::PilLanczos => pil::Filter::Lanczos,
        };
        pil::convolve(filter, image, part, out);
        Ok(())
    }

    fn sampled<T: tf::Sample>(self, values: &[T], image: &Image, part: &Part, out: &mut [f32]) {
        let from = tf::Source { values, height: image.height, width: image.width, channels: image.channels };
        match self {
            Resize::TfNearest => tf::nearest(&from, part, out),
            Resize::TfBicubic => tf::bicubic(&from, part, out),
            Resize::TfArea => tf::area(&from, part, out),
            Resize::PilNearest => pil::nearest(&from, part, out),
            _ => tf::bilinear(&from, part, out),
        }
    }
}

/// A part of a picture that is not resized.
fn taken<T: tf::Sample>(values: &[T], image: &Image, part: &Part, out: &mut [f32]) {
    let row = part.columns.len * image.channels;
    for (y, out) in part.rows.wanted().zip(out.chunks_exact_mut(row)) {
        let start = (y * image.width + part.columns.start) * image.channels;
        out.iter_mut().zip(&values[start..][..row]).for_each(|(out, value)| *out = value.value());
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Resize {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Resize::ALL.into_iter().find(|r| r.name() == name).ok_or_else(|| {
            DataError::setting(
                format!("there is no resize kernel `{name}`"),
                format!("it is one of {}", Resize::ALL.map(|r| format!("`{r}`")).join(", ")),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_are_read_back() {
        for kernel in Resize::ALL {
            assert_eq!(kernel.to_string().parse::<Resize>().unwrap(), kernel);
            assert_eq!(serde_json::to_string(&kernel).unwrap(), format!("\"{kernel}\""));
        }
        let error = "bilinear".parse::<Resize>().unwrap_err().to_string();
        assert!(error.contains("`tf-bilinear`") && error.contains("`pil-bilinear`"), "{error}");
    }

    #[test]
    fn a_constant_stays_constant_under_every_kernel() {
        let u8s = Image { height: 5, width: 7, channels: 3, pixels: Pixels::U8(vec![77; 105]) };
        let f32s = Image { pixels: Pixels::F32(vec![77.0; 105]), ..u8s.clone() };
        for kernel in Resize::ALL {
            for image in [&u8s, &f32s] {
                for (height, width) in [(3, 4), (11, 13), (5, 7), (1, 1)] {
                    let mut out = vec![0.0; height * width * 3];
                    kernel.apply(image, height, width, &mut out).unwrap();
                    assert!(out.iter().all(|v| (v - 77.0).abs() < 1e-4), "{kernel} {height} {width} {out:?}");
                }
            }
        }
    }

    #[test]
    fn extents_of_zero_are_an_error() {
        let image = Image { height: 1, width: 1, channels: 1, pixels: Pixels::U8(vec![1]) };
        assert!(Resize::PilLanczos.apply(&image, 0, 4, &mut []).is_err());
        assert!(Resize::TfBilinear.apply(&image, 2, 2, &mut [0.0; 3]).is_err());
    }
}
