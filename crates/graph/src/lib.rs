//! Models as graphs. Three levels: a *layer* is Keras's, an *op* is the compiler's, and a *kernel* (the crate
//! `frostline-kernels`) is the processor's.
//!
//! A [`Model`] is a [`Graph`] of layers with its [`Weights`] behind handles. Surgery keeps its lower layers and puts
//! new ones on top; [`Freeze`] says which of them train.

mod error;
pub mod layers;
mod mix;
mod model;
pub mod ops;
mod precision;
mod spec;
mod tensor;

pub use error::{Error, Result};
pub use mix::mix;
pub use model::*;
pub use precision::{Numbers, Precision};
pub use spec::Spec;
pub use tensor::{Shape, Tensor};
