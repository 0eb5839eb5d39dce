//! What can go wrong: what it is, where, and what can be done.

use frostline_files::{FileError, io_words};
use std::fmt;
use std::path::{Path, PathBuf};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The library's error: what is wrong, the place and the remedy. Texts are lowercase, with names in backticks. A remedy speaks
/// of settings, as "the setting `keep = -1`"; the command line writes them as its flags.
///
/// ```
/// use frostline_graph::{Error, ErrorKind};
///
/// let error = Error::format("model.h5", "it is cut off\nhelp: copy it again");
/// assert_eq!((error.kind(), error.what()), (ErrorKind::Format, "it is cut off"));
/// assert_eq!(error.help(), Some("copy it again"));
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    place: Place,
    what: String,
    help: Option<String>,
    source: Option<std::io::Error>,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read or written.
    Io,
    /// A file is damaged, or not what its name says.
    Format,
    /// A layer's config has a key that is missing or has a value that cannot be used.
    Config,
    /// A layer of a kind that frostline cannot run is part of what was asked to run.
    Unsupported,
    /// Shapes that do not fit together.
    Shape,
    /// Weights that are missing, left over or of another shape.
    Weights,
    /// A cut, a head or another change of the graph that cannot be done.
    Surgery,
    /// Data that cannot be used.
    Data,
    /// Settings of a training that contradict each other or the model.
    Setting,
    /// A training that was told to stop, and can go on.
    Stopped,
}

/// Where an error is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The error has no recorded place.
    Nowhere,
    /// In a file.
    File(PathBuf),
    /// In a layer, by its path.
    Layer(String),
}

impl Error {
    /// `message`: what is wrong; what can be done on a second line that begins with `help: `.
    fn new(kind: ErrorKind, place: Place, message: impl Into<String>) -> Self {
        let mut what: String = message.into();
        let help = what.split_once("\nhelp: ").map(|(_, help)| help.to_owned());
        if let Some(help) = &help {
            what.truncate(what.len() - help.len() - "\nhelp: ".len());
        }
        Self(Box::new(Inner { kind, place, what, help, source: None }))
    }

    /// A file could not be read or written.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, Place::File(path.into()), io_words(&source));
        error.0.source = Some(source);
        error
    }

    /// A file is damaged, or not what its name says.
    pub fn format(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, Place::File(path.into()), message)
    }

    /// A layer's config cannot be used.
    pub fn config(layer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Place::Layer(layer.into()), message)
    }

    /// A layer of a class that cannot be run. `help`: what can be done, e.g. where to cut.
    pub fn unsupported(layer: impl Into<String>, class_name: &str, help: &str) -> Self {
        let message = format!("is a `{class_name}`, which cannot be run here\nhelp: {help}");
        Self::new(ErrorKind::Unsupported, Place::Layer(layer.into()), message)
    }

    /// Shapes that do not fit a layer.
    pub fn shape(layer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Shape, Place::Layer(layer.into()), message)
    }

    /// Weights that are missing, left over or of another shape.
    pub fn weights(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Weights, Place::Nowhere, message)
    }

    /// A change of the graph that cannot be done.
    pub fn surgery(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Surgery, Place::Nowhere, message)
    }

    /// Data that cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, Place::Nowhere, message)
    }

    /// Settings that contradict each other or the model.
    pub fn setting(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Setting, Place::Nowhere, message)
    }

    /// A training was told to stop, and can go on.
    pub fn stopped(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Stopped, Place::Nowhere, message)
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What can be done, where there is something.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The file that it is in.
    pub fn file(&self) -> Option<&Path> {
        match self.place() {
            Place::File(path) => Some(path),
            Place::Nowhere | Place::Layer(_) => None,
        }
    }

    /// The path of the layer that it is in.
    pub fn layer(&self) -> Option<&str> {
        match self.place() {
            Place::Layer(path) => Some(path),
            Place::Nowhere | Place::File(_) => None,
        }
    }

    /// What is wrong and what can be done, without the place.
    pub fn message(&self) -> String {
        match self.help() {
            Some(help) => format!("{}\nhelp: {help}", self.what()),
            None => self.what().to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place(), self.kind()) {
            (Place::Nowhere, _) => {}
            (Place::File(path), _) => write!(formatter, "`{}`: ", path.display())?,
            (Place::Layer(path), ErrorKind::Unsupported) => write!(formatter, "layer `{path}` ")?,
            (Place::Layer(path), _) => write!(formatter, "layer `{path}`: ")?,
        }
        formatter.write_str(&self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::io(error.path, error.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_what_can_be_done() {
        let error = Error::format("model.h5", "it is cut off\nhelp: copy it again");
        assert_eq!((error.what(), error.help()), ("it is cut off", Some("copy it again")));
        assert_eq!(error.file(), Some(Path::new("model.h5")));
        assert_eq!(error.to_string(), "`model.h5`: it is cut off\nhelp: copy it again");
        let error = Error::unsupported("top", "Lambda", "keep less");
        assert_eq!(error.to_string(), "layer `top` is a `Lambda`, which cannot be run here\nhelp: keep less");
        assert_eq!(Error::data("nothing").help(), None);
    }
}
