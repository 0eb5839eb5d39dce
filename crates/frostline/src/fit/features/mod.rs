//! What frozen layers give, computed once: which values are kept, where, and who reads them.

pub(in crate::fit) mod ahead;
pub(in crate::fit) mod batches;
pub(in crate::fit) mod boundaries;
pub mod cache;
pub(in crate::fit) mod choice;
pub(in crate::fit) mod feature_store;
pub(in crate::fit) mod feature_table;
pub(in crate::fit) mod pass;
pub(in crate::fit) mod passes;
