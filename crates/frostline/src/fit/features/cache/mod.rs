//! The feature cache: what leaves a frozen prefix, on disk, by the content of all that it depends on.
//!
//! A cache is a folder with a folder for each prefix, named by its [`PrefixKey`]; in it are immutable shards in the
//! safetensors format. A feature vector is found by its [`FeatureKey`]: the image's bytes and the view. Shards appear by renaming, so
//! several processes may use one cache. Each feature vector has a checksum, which is compared whenever it is read: one that
//! is missing or damaged is computed again, never trusted. The least recently used prefixes go when the cache is full.
//!
//! Shards are read by position, so a feature vector is copied once, from the system's page cache into the batch that needs it. What
//! another program removes, cuts off or changes meanwhile is computed again.

mod folder;
mod key;
mod open_files;
mod origin;
mod shard;
mod stored;

pub use folder::{FeatureCache, Health, PrefixEntry};
pub use key::{FeatureKey, PrefixKey};
pub use origin::Origin;
pub use shard::Form;
pub(crate) use stored::Located;
pub use stored::StoredFeatures;
