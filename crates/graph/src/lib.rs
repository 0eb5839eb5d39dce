//! Models as graphs. Three levels: a *layer* is Keras's, an *op* is the compiler's, and a *kernel* (the crate
//! `frostline-kernels`) is the processor's.
//!
//! A [`Model`] is a [`Graph`] of layers with its [`Weights`] behind handles. Surgery keeps its lower layers and puts
//! new ones on top; [`Freeze`] says which of them train.

mod dtype;
mod error;
pub mod json;
pub mod layers;
mod mix;
mod model;
pub mod ops;
mod spec;
mod tensor;

pub use dtype::{DType, PrefixDType};
pub use error::{Error, ErrorKind, Place, Result};
pub use mix::mix;
pub use model::*;
pub use spec::Spec;
pub use tensor::{Extents, Shape, Tensor, permuted};
