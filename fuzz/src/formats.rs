//! Which formats there are.

use crate::mutate::{self, Mutate};
use crate::readers;
use frostline_graph::Model;

/// A kind of file, or of request, that others make.
pub struct Format {
    /// What it is called, as the folder of its seeds is.
    pub name: &'static str,
    /// Reads the bytes as a user's command does. Errors are what it may end with; a model, where it is one, may be looked at.
    pub read: fn(&[u8]) -> Option<Model>,
    /// Changes bytes as such a file is built.
    pub mutate: Mutate,
    /// How many pixels a picture openly has: they take memory and time besides what every file may.
    pub declared: fn(&[u8]) -> usize,
}

const fn nothing(_: &[u8]) -> usize {
    0
}

const fn new(name: &'static str, read: fn(&[u8]) -> Option<Model>, mutate: Mutate) -> Format {
    Format { name, read, mutate, declared: nothing }
}

/// All formats.
pub const FORMATS: &[Format] = &[
    new("keras", readers::keras, mutate::keras),
    new("h5", readers::h5, mutate::h5),
    new("weights_h5", readers::weights_h5, mutate::h5),
    new("weights_json", readers::weights_json, mutate::json),
    new("onnx", readers::onnx, mutate::onnx),
    new("safetensors", readers::safetensors, mutate::safetensors),
    new("config_json", readers::config_json, mutate::json),
    new("npy", readers::npy, mutate::npy),
    new("npz", readers::npz, mutate::npz),
    new("csv", readers::csv, mutate::text),
    #[cfg(feature = "commands")]
    new("recipe", readers::recipe, mutate::text),
    #[cfg(feature = "commands")]
    new("run_json", readers::run_json, mutate::json),
    #[cfg(feature = "commands")]
    new("run_files", readers::run_files, mutate::run_files),
    #[cfg(feature = "commands")]
    new("cache", readers::cache, mutate::cache),
    Format { declared: readers::pixels_in, ..new("tar", readers::tar, mutate::tar) },
    Format { declared: readers::pixels_in, ..new("parquet", readers::parquet, mutate::parquet) },
    Format { declared: readers::pixels_of, ..new("images", readers::images, mutate::image) },
    #[cfg(feature = "commands")]
    new("requests", readers::requests, mutate::request),
];

/// The format of this name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
