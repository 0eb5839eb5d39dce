//! Fuzzing of every parser that reads what others have made.
//!
//! A [`Format`] has a reader, which hands bytes to the library as a user's command does, and a mutator, which knows how such a file is
//! built. Both are used twice: by `drive`, which counts mutations and watches time and memory, and by the targets for libFuzzer in
//! `fuzz_targets/`.

#[cfg(feature = "libfuzzer")]
pub mod for_libfuzzer;
mod formats;
pub mod mutate;
#[rustfmt::skip]
#[allow(clippy::all, missing_docs)]
#[path = "../../crates/formats/src/onnx/proto.rs"]
mod proto;
mod readers;
pub mod whole;

pub use formats::{FORMATS, Format, format};
