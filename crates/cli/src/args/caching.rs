//! Where features are kept.

use super::values::size;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use frostline::cache::Origin;
use std::path::PathBuf;
use std::sync::Arc;

/// A folder of features.
#[derive(Clone, Debug)]
pub(crate) struct CachePlace {
    pub(crate) folder: PathBuf,
    /// The store that it is a copy of, if it is one.
    pub(crate) origin: Option<Arc<dyn Origin>>,
}

/// A folder, or the address of one.
pub(super) fn cache_place() -> impl TypedValueParser<Value = CachePlace> {
    PathBufValueParser::new().map(|folder| CachePlace { folder, origin: None })
}

/// Where features are kept by commands that always keep them.
#[derive(Args)]
pub(crate) struct CacheFolder {
    /// Where the features of frozen layers are kept [default: in the user's cache folder].
    #[arg(long, value_name = "DIR", value_parser = cache_place())]
    pub(crate) cache: Option<CachePlace>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) cache_limit: u64,
}
