//! Where the feature vectors of a frozen prefix are kept.

use crate::fit::features::cache::FeatureCache;

/// Where the feature vectors of a frozen prefix are kept, so that no epoch computes them again. What does not fit is computed
/// again; results are the same bit for bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Nowhere.
    Nothing,
    /// In memory, up to so many bytes, until no stage needs them.
    Memory(u64),
    /// On disk, for later stages and runs too. Where nothing is frozen there is nothing to compute, and the decoded images
    /// are kept in memory.
    Disk(FeatureCache),
}

impl Caching {
    /// How much is kept in memory where nothing else is said: 4 GiB.
    pub const MEMORY: u64 = 4 << 30;
}

impl Default for Caching {
    fn default() -> Self {
        Self::Memory(Self::MEMORY)
    }
}
