//! A picture that is to be predicted.

use crate::fit::Pictures;
use frostline_data::{
    DataError, Example, HeldPicture, Image, Input, PackedPicture, Pipeline, path_text, picture_size,
    picture_size_of,
};
use std::borrow::Cow;
use std::path::PathBuf;

/// A picture that is to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// A file.
    File(PathBuf),
    /// What a file holds, in memory.
    Bytes {
        /// What it is called in messages.
        name: String,
        /// JPEG, PNG, WebP, BMP, GIF or TIFF.
        bytes: Vec<u8>,
    },
    /// What somebody else holds in memory.
    Held {
        /// What it is called in messages.
        name: String,
        /// The picture.
        picture: HeldPicture,
    },
    /// What lies in a file with others.
    Packed {
        /// What it is called in messages.
        name: String,
        /// The picture.
        picture: PackedPicture,
    },
}

impl Picture {
    /// That of an example; none where it is a row of an array, or lies in memory.
    pub fn of(example: &Example) -> Option<Self> {
        match &example.input {
            Input::File(path) => Some(Self::File(path.clone())),
            Input::Packed(picture) => {
                Some(Self::Packed { name: example.name.clone(), picture: picture.clone() })
            }
            Input::Row { .. } | Input::Picture(_) => None,
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::File(path) => path_text(path).into(),
            Self::Bytes { name, .. } | Self::Held { name, .. } | Self::Packed { name, .. } => name.into(),
        }
    }

    /// `[height, width]` of the upright picture, from its header alone.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is no picture of a kind that is.
    pub fn size(&self) -> Result<[usize; 2], DataError> {
        match self {
            Self::File(path) => picture_size(path),
            Self::Bytes { name, bytes } => picture_size_of(bytes, name),
            Self::Held { name, picture } => picture.size(name),
            Self::Packed { name, picture } => picture_size_of(&picture.read(name)?, name),
        }
    }

    /// Its pixels, as they lie in the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is no picture of a kind that is.
    pub fn decode(&self, pipeline: &Pipeline) -> Result<Image, DataError> {
        match self {
            Self::File(path) => pipeline.decode(path),
            Self::Bytes { name, bytes } => pipeline.decode_bytes(bytes, name),
            Self::Held { name, picture } => pipeline.open_held(picture, name),
            Self::Packed { name, picture } => pipeline.decode_bytes(&picture.read(name)?, name),
        }
    }
}

impl Pictures for [Picture] {
    fn count(&self) -> usize {
        self.len()
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        self[index].size().ok()
    }

    fn open(&self, index: usize, pipeline: &Pipeline) -> Result<Image, DataError> {
        self[index].decode(pipeline)
    }

    fn name(&self, index: usize) -> String {
        self[index].name().into_owned()
    }
}
