//! Values of settings that are written as text.

use frostline_graph::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is put on top of the kept layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Head {
    /// An output layer for the labels alone.
    #[default]
    Output,
    /// These layers, then the output layer.
    Layers(String),
    /// The model's own head stays: the graph is as it was.
    Keep,
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text.trim() {
            "" | "none" => Head::Output,
            "keep" => Head::Keep,
            spec => {
                frostline_graph::layers::parse_head(spec)?;
                Head::Layers(spec.to_owned())
            }
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Head::Output => "none",
            Head::Layers(spec) => spec,
            Head::Keep => "keep",
        })
    }
}

/// Where the learning rates of stages come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LearningRates {
    /// As the stages say.
    #[default]
    Given,
    /// That of the first stage is found by a range test; the others keep their ratios to it.
    Auto,
}

impl LearningRates {
    pub(in crate::fit) fn are_given(&self) -> bool {
        *self == Self::Given
    }
}

impl FromStr for LearningRates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "given" => Ok(Self::Given),
            other => {
                Err(format!("`{other}` is no `lr` of all stages: write `auto`, or a number in a [[stage]]"))
            }
        }
    }
}

impl fmt::Display for LearningRates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Given => "given",
            Self::Auto => "auto",
        })
    }
}

/// Whether the pretrained weights are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PretrainedWeights {
    /// Yes.
    #[default]
    Copy,
    /// No: the architecture is trained from scratch.
    Reinit,
}

/// `[height, width]`, written `224` or `160x224`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize(pub [usize; 2]);

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let extent = |text: &str| text.trim().parse().ok().filter(|extent| (1..=1 << 14).contains(extent));
        let size = match text.split_once('x') {
            Some((height, width)) => extent(height).zip(extent(width)),
            None => extent(text).map(|extent| (extent, extent)),
        };
        let (height, width) =
            size.ok_or_else(|| format!("`{text}` is no image size: write `224` or `160x224`"))?;
        Ok(Self([height, width]))
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.0[0], self.0[1])
    }
}
