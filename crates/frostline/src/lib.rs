//! frostline reuses the lower layers of a pretrained network for a new task.
//!
//! A model file becomes a [`graph::Model`] (a graph of Keras layers and their weights behind handles); surgery
//! keeps its lower layers and puts a new head on top; [`graph::Freeze`] says what trains; [`compile::compile`]
//! makes an [`engine::Plan`] from both, which owns the freeze setting it was made from; [`fit`] trains it in
//! stages and proves that what was frozen stayed frozen.

#[cfg(feature = "depth")]
pub mod depth;
pub mod fit;
mod model_files;
pub mod prelude;
pub mod report;
mod trainer;
pub mod verify;

pub use fit::features::cache;
pub use frostline_data as data;
pub use frostline_engine::{self as engine, compile};
pub use frostline_files::write_atomically;
pub use frostline_formats as formats;
pub use frostline_graph::{
    self as graph, DType, Error, ErrorKind, PrefixDType, Result, Shape, Tensor, layers, ops,
};
pub use model_files::ModelFiles;
pub use trainer::{Fitted, Trainer};
