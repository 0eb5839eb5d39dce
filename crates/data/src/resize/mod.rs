//! Resizing by a named kernel, so that training, prediction and Keras see the same pixels.
//!
//! Two families disagree, and a model notices: TensorFlow's `tf.image.resize` takes samples (no antialiasing, f32
//! results), Pillow's `Image.resize` averages over the area when it shrinks (u8 results). The aspect is not kept, as
//! `keras.utils.image_dataset_from_directory` does by default.

mod pil;
mod tf;

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
        if [height, width, image.height, image.width, image.channels].contains(&0)
            || out.len() != height * width * image.channels
        {
            let message = format!(
                "{} x {} x {} does not go into {height} x {width} with {} values",
                image.height,
                image.width,
                image.channels,
                out.len()
            );
            return Err(DataError::setting(message, "this cannot be resized; check the extents"));
        }
        if (image.height, image.width) == (height, width) {
            match &image.pixels {
                Pixels::U8(v) => out.iter_mut().zip(v).for_each(|(o, &v)| *o = f32::from(v)),
                Pixels::F32(v) => out.copy_from_slice(v),
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
                    Pixels::U8(v) => self.sampled(v, image, height, width, out),
                    Pixels::F32(v) => self.sampled(v, image, height, width, out),
                }
                return Ok(());
            }
            Resize::PilBox => pil::Filter::Box,
            Resize::PilBilinear => pil::Filter::Bilinear,
            Resize::PilHamming => pil::Filter::Hamming,
            Resize::PilBicubic => pil::Filter::Bicubic,
            Resize::PilLanczos => pil::Filter::Lanczos,
        };
        pil::convolve(filter, image, height, width, out);
        Ok(())
    }

    fn sampled<T: tf::Sample>(
        self,
        values: &[T],
        image: &Image,
        height: usize,
        width: usize,
        out: &mut [f32],
    ) {
        let from = tf::Source { values, height: image.height, width: image.width, channels: image.channels };
        match self {
            Resize::TfNearest => tf::nearest(&from, height, width, out),
            Resize::TfBicubic => tf::bicubic(&from, height, width, out),
            Resize::TfArea => tf::area(&from, height, width, out),
            Resize::PilNearest => pil::nearest(&from, height, width, out),
            _ => tf::bilinear(&from, height, width, out),
        }
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
