//! frostline reuses the lower layers of a pretrained network for a new task.
//!
//! ```
//! use frostline::prelude::*;
//!
//! let model_a = Model::load("../cli/assets/demo/my_model_A.h5")?;
//! let model_b = model_a.keep(-1)?.push(Dense::new(1).sigmoid())?;
//! let fitted = Trainer::new(&model_b, open_data("../cli/assets/demo/fashion_subset.npz".as_ref())?)
//!     .keep_head()
//!     .optimizer("sgd(momentum=0.9)")
//!     .stage(StageConfig::head().epochs(4).learning_rate(1e-2))
//!     .stage(StageConfig::fine_tune(Unfreeze::All).epochs(4))
//!     .train()?;
//! assert!(fitted.test_accuracy().unwrap() > 0.9);
//! # Ok::<(), Error>(())
//! ```
//!
//! A model file becomes a [`graph::Model`] (a graph of Keras layers and their weights behind handles); surgery
//! keeps its lower layers and puts a new head on top; [`graph::Freeze`] says what trains; [`compile::compile`]
//! makes an [`engine::Plan`] from both, which owns the freeze setting it was made from; [`fit`] trains it in
//! stages and proves that what was frozen stayed frozen.

pub mod classes;
#[cfg(feature = "depth")]
pub mod depth;
pub mod embed;
pub mod explain;
pub mod fit;
mod model_files;
pub mod predict;
pub mod prelude;
pub mod report;
mod shard;
mod trainer;
pub mod verify;

pub use fit::features::cache;
pub use frostline_data as data;
pub use frostline_engine::{self as engine, compile};
pub use frostline_files::{FileError, stream_atomically, write_atomically};
pub use frostline_formats as formats;
pub use frostline_graph::{
    self as graph, DType, Error, ErrorKind, PrefixDType, Result, Shape, Tensor, layers, ops,
};
pub use frostline_kernels::{bf16_instruction_set, instruction_set, int8_instruction_set};
pub use model_files::ModelFiles;
pub use shard::Shard;
pub use trainer::{Fitted, Trainer};
