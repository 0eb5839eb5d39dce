//! How the frozen prefix stores numbers.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What the frozen prefix keeps its weights and the images between its ops in. Sums are always taken in f32, vectors (what
/// comes after a global pooling) are always kept in it, and the trainable suffix computes in nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As Keras does.
    #[default]
    F32,
    /// 8 bits of precision in the range of f32: half the memory traffic, and twice the products a second on processors
    /// with AVX512-BF16.
    Bf16,
    /// Bytes, with a scale a channel that is measured on some of the training images: four times the products a second on
    /// processors with AVX512-VNNI. Features are rounded to about two digits.
    Int8,
}

impl FromStr for Precision {
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

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// A [`Precision`], with what it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Numbers {
    /// See [`Precision::F32`].
    #[default]
    F32,
    /// See [`Precision::Bf16`].
    Bf16,
    /// See [`Precision::Int8`]: the images on which the ranges of bytes are measured, `[images, all inputs]`, such as will
    /// come.
    Int8(Arc<[f32]>),
}

impl Numbers {
    /// Which they are.
    pub fn precision(&self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
            Self::Int8(_) => Precision::Int8,
        }
    }
}

/// For precisions that need nothing else.
impl TryFrom<Precision> for Numbers {
    type Error = Error;

    fn try_from(precision: Precision) -> Result<Self, Error> {
        match precision {
            Precision::F32 => Ok(Self::F32),
            Precision::Bf16 => Ok(Self::Bf16),
            Precision::Int8 => Err(Error::Setting(
                "int8 measures the ranges of its numbers on the images of a training, and is for training alone\nhelp: leave --precision out, or give bf16".to_owned(),
            )),
        }
    }
}
