//! What numbers are kept in.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What the numbers of images, weights and features are kept in. Sums are always taken in f32, vectors (what comes after a
/// global pooling) are computed in it, and the trainable suffix knows nothing else.
///
/// ```
/// assert_eq!("bf16".parse::<frostline_graph::DType>()?.bytes(), 2);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// Keras's default.
    #[default]
    F32,
    /// 8 bits of precision in the range of f32: half the memory traffic, and twice the products a second on processors
    /// with AVX512-BF16.
    Bf16,
    /// Bytes, with a scale a channel that is measured on some of the training images: four times the products a second on
    /// processors with AVX512-VNNI. Features are rounded to about two digits.
    Int8,
}

impl DType {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }

    /// What features are stored in: f32 or bf16, since bytes need a scale beside them.
    pub fn of_features(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(dtype @ (Self::F32 | Self::Bf16)) => Ok(dtype),
            _ => Err(format!("features are not stored in `{text}`: write f32 or bf16")),
        }
    }
}

impl FromStr for DType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            other => Err(format!("`{other}` is no precision: write f32, bf16 or int8")),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// The [`DType`] of a frozen prefix, with what it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PrefixDType {
    /// See [`DType::F32`].
    #[default]
    F32,
    /// See [`DType::Bf16`].
    Bf16,
    /// See [`DType::Int8`]: the images on which the ranges of bytes are measured, `[images, all inputs]`, like those that the
    /// model will see.
    Int8(Arc<[f32]>),
}

impl PrefixDType {
    /// Which it is.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::Bf16,
            Self::Int8(_) => DType::Int8,
        }
    }
}

/// Converts every [`DType`] except int8, which needs calibration images.
impl TryFrom<DType> for PrefixDType {
    type Error = Error;

    fn try_from(dtype: DType) -> Result<Self, Error> {
        match dtype {
            DType::F32 => Ok(Self::F32),
            DType::Bf16 => Ok(Self::Bf16),
            DType::Int8 => Err(Error::setting(
                "int8 measures the ranges of its numbers on the images of a training, and is for training alone\nhelp: leave the setting `precision` out, or give bf16".to_owned(),
            )),
        }
    }
}
