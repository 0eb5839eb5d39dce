//! How each format is read: through the library's own doors, as commands do it.

mod arrays;
#[cfg(feature = "commands")]
mod cache;
mod models;
mod packed;
mod pictures;
#[cfg(feature = "commands")]
mod requests;
#[cfg(feature = "commands")]
mod runs;
mod scratch;
mod tables;

pub(crate) use arrays::{npy, npz};
#[cfg(feature = "commands")]
pub(crate) use cache::cache;
pub(crate) use models::{config_json, h5, keras, onnx, safetensors, weights_h5, weights_json};
pub(crate) use packed::{parquet, pixels_in, tar};
pub(crate) use pictures::{images, pixels_of};
#[cfg(feature = "commands")]
pub(crate) use requests::requests;
#[cfg(feature = "commands")]
pub(crate) use runs::{recipe, run_files, run_json};
pub(crate) use tables::csv;
