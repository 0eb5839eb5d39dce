//! What is said of a source beside its path.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::file_name::serialize_optional_path;
use super::{DataError, Exclude};

/// What labels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// Names, or numbers that stand for names: each example is of one class.
    #[default]
    Classes,
    /// Names too, of which an example may have several, one, or none.
    Labels,
    /// Numbers to learn.
    Numbers,
}

impl FromStr for LabelKind {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "classes" => Ok(Self::Classes),
            "labels" => Ok(Self::Labels),
            "numbers" => Ok(Self::Numbers),
            other => Err(DataError::setting(
                format!("labels are no `{other}`"),
                "give `classes` (one an image), `labels` (several an image) or `numbers`",
            )),
        }
    }
}

/// Where the channels of arrays of images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Height, width, channels: Keras, TensorFlow.
    #[default]
    Last,
    /// Channels, height, width: PyTorch.
    First,
}

impl FromStr for Channels {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "last" => Ok(Self::Last),
            "first" => Ok(Self::First),
            other => Err(DataError::setting(
                format!("channels are not `{other}`"),
                "give `last` (height x width x channels) or `first` (channels x height x width)",
            )),
        }
    }
}

/// What is said of a source beside its path. By default nothing is: what can be told by the values is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// What the labels are; by their values, where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<LabelKind>,
    /// The folder that the paths of a list are relative to; its own, where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_optional_path")]
    pub root: Option<PathBuf>,
    /// Just these classes, in this order; all, where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// What is left out.
    #[serde(skip_serializing_if = "Exclude::is_empty")]
    pub exclude: Exclude,
    /// Where the channels of arrays are.
    #[serde(skip_serializing_if = "Reading::are_last")]
    pub channels: Channels,
}

impl Reading {
    /// Whether nothing is said.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    fn are_last(channels: &Channels) -> bool {
        *channels == Channels::Last
    }
}
