//! What a training will take, before it runs: time, memory, disk.

pub(in crate::fit) mod dry_run;
pub(in crate::fit) mod plan;
pub(in crate::fit) mod probe;
