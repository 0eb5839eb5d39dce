//! The feature cache, which other programs may have damaged.

use super::scratch::{file, path};
use crate::mutate::split_name;
use frostline::cache::FeatureCache;
use frostline_graph::Model;

/// What says of a folder what it is, in a line, and a shard in it.
pub(crate) fn cache(bytes: &[u8]) -> Option<Model> {
    let prefix = "cache/0123456789abcdef0123456789abcdef";
    let (about, shard) = split_name(bytes);
    file(&format!("{prefix}/about.json"), about);
    file(&format!("{prefix}/shard.safetensors"), shard);
    let cache = FeatureCache::new(path("cache"), FeatureCache::LIMIT);
    drop(cache.list());
    // what is damaged is removed by this
    drop(cache.verify());
    None
}
