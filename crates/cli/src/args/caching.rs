//! Where features are kept by commands that always keep them.

use super::values::size;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct CacheFolder {
    /// Where the features of frozen layers are kept [default: in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) cache_limit: u64,
}
