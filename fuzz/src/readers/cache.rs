//! The feature cache, which other programs may have damaged.

use super::scratch::{file, path};
use frostline::cache::FeatureCache;
use frostline_graph::Model;

/// A shard, or what says of its folder what it is.
pub(crate) fn cache(bytes: &[u8]) -> Option<Model> {
    let prefix = "cache/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    match bytes.first() {
        Some(b'{') => drop(file(&format!("{prefix}/about.json"), bytes)),
        _ => drop(file(&format!("{prefix}/shard.safetensors"), bytes)),
    }
    let cache = FeatureCache::new(path("cache"), FeatureCache::LIMIT);
    drop(cache.list());
    // what is damaged is removed by this
    drop(cache.verify());
    None
}
