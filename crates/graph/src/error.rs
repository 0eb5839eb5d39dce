//! What can go wrong, with the place and the remedy in the message.

use frostline_files::{FileError, io_words};
use std::path::PathBuf;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The library's error. Messages are lowercase, name the place in backticks and end in a `help:` line where
/// there is something that the user can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("`{}`: {}", path.display(), io_words(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is damaged, or not what its name says.
    #[error("`{}`: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with a `help:` line.
        message: String,
    },
    /// A layer's config has a key that is missing or has a value that cannot be used.
    #[error("layer `{layer}`: {message}")]
    Config {
        /// The layer's path.
        layer: String,
        /// What is wrong.
        message: String,
    },
    /// A layer of a kind that frostline cannot run is part of what was asked to run.
    #[error("layer `{layer}` is a `{class_name}`, which cannot be run here\nhelp: {help}")]
    Unsupported {
        /// The layer's path.
        layer: String,
        /// Its Keras class.
        class_name: String,
        /// What can be done, e.g. where to cut.
        help: String,
    },
    /// Shapes that do not fit together.
    #[error("layer `{layer}`: {message}")]
    Shape {
        /// The layer's path.
        layer: String,
        /// What was expected and what was received.
        message: String,
    },
    /// Weights that are missing, left over or of another shape.
    #[error("{0}")]
    Weights(String),
    /// A cut, a head or another change of the graph that cannot be done.
    #[error("{0}")]
    Surgery(String),
    /// Data that cannot be used.
    #[error("{0}")]
    Data(String),
    /// Settings of a training that contradict each other or the model.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// An [`Error::Io`] for a path.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// An [`Error::Format`] for a path.
    pub fn format(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Format { path: path.into(), message: message.into() }
    }

    /// An [`Error::Shape`] for a layer.
    pub fn shape(layer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Shape { layer: layer.into(), message: message.into() }
    }

    /// An [`Error::Config`] for a layer.
    pub fn config(layer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { layer: layer.into(), message: message.into() }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::io(error.path, error.source)
    }
}
