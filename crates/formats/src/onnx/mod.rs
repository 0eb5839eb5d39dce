//! ONNX: files of PyTorch's exporters, of tf2onnx and of Keras become a model, and any model becomes such a file.

mod metadata;
// made by a script, whose output is what it is
#[allow(unreachable_pub, dead_code, clippy::all)]
#[rustfmt::skip]
mod proto;
pub(super) mod read;
pub(super) mod write;
