//! What became of a file's content.

use crate::graph::Model;

/// A model and the report of its loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The report.
    pub report: LoadReport,
}

/// What became of a file's content. Every weight of the model is filled, or the load has failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Tensors of layers in the file (the optimizer's not counted).
    pub tensors: usize,
    /// Tensors that became weights of the model.
    pub loaded: usize,
    /// The names of those that did not.
    pub unused: Vec<String>,
    /// What is worth knowing: settings that mean nothing here, the optimizer's state left behind.
    pub notes: Vec<String>,
    /// Layers that cannot be run here: path and class.
    pub unsupported: Vec<(String, String)>,
}
