//! Where the rows of a frozen prefix are kept.

use crate::Result;
use crate::cache::{FeatureCache, PrefixKey, Store};
use crate::data::Pipeline;
use crate::engine::Plan;

/// Where the rows of a frozen prefix are kept, so that no epoch computes them again. What does not fit is computed
/// again; results are the same bit for bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Nowhere.
    Nothing,
    /// In memory, up to so many bytes, until the stage ends.
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

/// What a [`Caching`] has become for one plan.
#[derive(Debug)]
pub(super) enum Keeper {
    /// So many bytes are left.
    Memory(u64),
    /// The rows of this prefix.
    Disk(Box<Store>),
}

impl Keeper {
    pub(super) fn of(caching: &Caching, plan: &Plan, pipeline: &Pipeline, model: &str) -> Result<Self> {
        let prefix = plan.prefix();
        Ok(match caching {
            Caching::Nothing => Self::Memory(0),
            Caching::Memory(limit) => Self::Memory(*limit),
            Caching::Disk(_) if prefix.is_identity() => Self::Memory(Caching::MEMORY),
            Caching::Disk(cache) => {
                let key = PrefixKey::new(prefix, pipeline);
                Self::Disk(Box::new(cache.open(key, prefix.row_len(), model, plan.boundary())?))
            }
        })
    }
}
