//! Where features lie that other machines have computed.

use std::fmt::Debug;

/// A store that several machines have in common, of which a [`FeatureCache`](super::FeatureCache) is a copy: it brings what is
/// needed. Called from any thread.
pub trait Origin: Debug + Send + Sync {
    /// Brings the shards of a prefix into its folder of the copy, up to so many bytes in all. What cannot be had is computed here, so
    /// there is no error. `prefix`: the name of the folder.
    fn bring(&self, prefix: &str, limit: u64);
}
