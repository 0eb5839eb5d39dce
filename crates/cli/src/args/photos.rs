//! Photos that are brought when it is known which of them are wanted.

use crate::Failure;
use crate::console::Console;
use std::path::Path;

/// The photos of a store, in a folder that looks as if all of them were in it.
pub(crate) trait Photos: Send + Sync {
    /// Fills these files.
    ///
    /// Errors: what cannot be fetched.
    fn bring(&self, files: &[&Path], console: &Console) -> Result<(), Failure>;
}
