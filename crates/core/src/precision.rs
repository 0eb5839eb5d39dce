//! How the frozen prefix stores numbers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

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
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("`{other}` is no precision: write f32 or bf16")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
