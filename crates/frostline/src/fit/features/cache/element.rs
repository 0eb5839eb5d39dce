//! What the numbers of a row are stored in.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The kind of numbers of stored rows. They are read as f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowElement {
    /// As they are computed.
    #[default]
    F32,
    /// Rounded to 8 bits of precision: half the bytes.
    Bf16,
}

impl RowElement {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

impl FromStr for RowElement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("features are not stored in `{other}`: write f32 or bf16")),
        }
    }
}

impl fmt::Display for RowElement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
