//! How processes that share a search see what the others write.

use frostline_graph::Result;
use std::time::Duration;

/// Keeps the folder of a search the same as a place that all its processes see, as an object store is. Called from any thread.
pub trait Exchange: Send + Sync {
    /// Brings what the others have written.
    ///
    /// # Errors
    ///
    /// A place that cannot be read.
    fn fetch(&self) -> Result<()>;

    /// Hands on what this process has written, and takes away what it has removed.
    ///
    /// # Errors
    ///
    /// A place that cannot be written to; another process that is the same shard.
    fn upload(&self) -> Result<()>;

    /// How long after [`Exchange::upload`] all others have it. Whoever claims a trial waits so long for the claims of others.
    fn delay(&self) -> Duration;
}

/// All processes see the folder itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommonFolder;

impl Exchange for CommonFolder {
    fn fetch(&self) -> Result<()> {
        Ok(())
    }

    fn upload(&self) -> Result<()> {
        Ok(())
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }
}
