//! frostline reuses the lower layers of a pretrained network for a new task.
//!
//! A model file becomes a [`graph::Model`] (a graph of Keras layers and their weights behind handles); surgery
//! keeps its lower layers and puts a new head on top; `freeze::Freeze` says what trains; `compile::compile`
//! makes a `engine::Plan` from both, which owns the freeze setting it was made from; `fit` trains it in
//! stages and proves that what was frozen stayed frozen.

mod atomic;
pub mod cache;
pub mod compile;
pub mod data;
pub mod depth;
pub mod engine;
mod error;
pub mod fit;
pub mod formats;
pub mod freeze;
pub mod graph;
pub mod layers;
mod mix;
pub mod ops;
mod precision;
mod regular;
pub mod report;
mod tensor;
pub mod verify;

pub use atomic::write_atomically;
pub use error::{Error, Result};
pub use precision::{Numbers, Precision};
pub use tensor::{Shape, Tensor};
