//! Models from files and to files, as methods.

use crate::Result;
use frostline_formats as formats;
use frostline_graph::Model;
use std::path::Path;

/// Loads and saves models. In scope by the [prelude](crate::prelude).
pub trait ModelFiles: Sized {
    /// Reads a `.keras`, `.h5`, `.onnx` or `.safetensors` file, or the directory of a run. The format is detected from the
    /// content, not the extension; [`formats::load`](crate::formats::load) also returns a load report.
    ///
    /// # Errors
    ///
    /// The file is no model, is damaged, or does not fill every weight.
    ///
    /// ```
    /// use frostline::prelude::*;
    ///
    /// let model = Model::load("../cli/assets/demo/my_model_A.h5")?;
    /// assert_eq!(model.graph.counted_paths().last().unwrap(), "output");
    /// # Ok::<(), Error>(())
    /// ```
    fn load(path: impl AsRef<Path>) -> Result<Self>;

    /// Writes the model, whole or not at all, in the format that the ending names: `.keras`, `.h5`, `.weights.h5`,
    /// `.safetensors` or `.onnx`.
    ///
    /// # Errors
    ///
    /// The ending names no format, the format cannot hold the model, or the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<()>;
}

impl ModelFiles for Model {
    fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(formats::load(path.as_ref())?.model)
    }

    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        formats::save(self, path.as_ref())
    }
}
