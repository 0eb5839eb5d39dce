//! Files that are read only where they are files, and written whole or not at all.

mod atomic;
mod error;
pub mod positioned;
pub mod regular;

pub use atomic::{TEMPORARY, remove_abandoned, stream_atomically, temporary_file, write_atomically};
pub use error::{FileError, io_help, io_words};
