//! What can be wrong with a user's data.

use super::path_text;
use frostline_files::io_help;
use std::path::{Path, PathBuf};

/// The error of [`crate`]. Messages are lowercase, name the file, array or row in backticks, and end in a
/// `help:` line where the user can do something.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("`{}` cannot be read: {source}\nhelp: {}", path_text(path), io_help(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A source of examples (folder, CSV, npz) that cannot be used as it is.
    #[error("`{}`: {message}\nhelp: {help}", path_text(path))]
    Source {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// What can be done.
        help: String,
    },
    /// One image, or one row of an array, that cannot be used.
    #[error("image `{name}`: {message}\nhelp: {help}")]
    Image {
        /// The path, or the array and row as `x_train[17]`.
        name: String,
        /// What is wrong.
        message: String,
        /// What can be done.
        help: String,
    },
    /// One file of a kind that is not read: it may be as sound as any other.
    #[error("image `{name}`: {}\nhelp: {HELP_KIND}", unread(kind))]
    Kind {
        /// The path.
        name: String,
        /// The kind, as `HEIC`.
        kind: String,
    },
    /// A setting that does not exist, is out of range, or does not fit the model or the data.
    #[error("{message}\nhelp: {help}")]
    Setting {
        /// What is wrong.
        message: String,
        /// What can be done.
        help: String,
    },
}

const HELP_KIND: &str = "convert it to JPEG or PNG: viewers and phones export photos so";

/// Why a file of this kind is left out.
pub(crate) fn unread(kind: &str) -> String {
    format!("is a {kind} file, a kind that is not read")
}

impl DataError {
    /// Whether it says that one image is damaged or not there, so that others may do without it.
    pub fn is_of_one_image(&self) -> bool {
        match self {
            Self::Image { .. } | Self::Kind { .. } => true,
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Source { .. } | Self::Setting { .. } => false,
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn source(path: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Source { path: path.to_path_buf(), message: message.into(), help: help.into() }
    }

    /// What is wrong with one image, and what can be done.
    pub fn image(name: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Image { name: name.into(), message: message.into(), help: help.into() }
    }

    pub(crate) fn setting(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Setting { message: message.into(), help: help.into() }
    }
}

impl From<DataError> for frostline_graph::Error {
    fn from(error: DataError) -> Self {
        Self::data(error.to_string())
    }
}
