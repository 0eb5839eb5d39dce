//! The feature cache: what leaves a frozen prefix, on disk, by the content of all that it depends on.
//!
//! A cache is a folder with a folder for each prefix, named by its [`PrefixKey`]; in it are immutable shards in the
//! safetensors format. A feature vector is found by its [`FeatureKey`]: the image's bytes and the view. Shards appear by renaming, so
//! several processes may use one cache. Each feature vector has a checksum, which is compared when the feature vector is first read: a feature vector that
//! is missing or damaged is computed again, never trusted. The least recently used prefixes go when the cache is full.
//!
//! Shards are mapped into memory, so a feature vector is copied once, from the system's page cache into the batch that needs it. A
//! shard that is removed while it is mapped stays readable; one that another program cuts off ends the process.

mod folder;
mod key;
mod shard;
mod stored;

pub use folder::{FeatureCache, Health, PrefixEntry};
pub use key::{FeatureKey, PrefixKey};
pub use shard::Form;
pub(crate) use stored::Located;
pub use stored::StoredFeatures;
