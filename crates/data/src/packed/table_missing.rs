//! A build without the feature `parquet`: each such file is refused by name.

use std::path::Path;
use std::sync::Arc;

use super::Contents;
use crate::DataError;

/// None are read.
#[derive(Debug, Default)]
pub(super) struct Blocks {}

/// There is none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Table {}

impl Table {
    pub(super) fn path(&self) -> &Path {
        match *self {}
    }

    pub(super) fn picture(&self, _: usize, _: &str) -> Result<Vec<u8>, DataError> {
        match *self {}
    }
}

/// Refuses the file.
pub(super) fn read(path: &Path, _: &Arc<Blocks>) -> Result<Contents, DataError> {
    let help = "build frostline with its feature `parquet`, or give the pictures as files";
    Err(DataError::source(path, "is a Parquet file, which this build does not read", help))
}
