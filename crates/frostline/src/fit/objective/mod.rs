//! What is made small, and what decides: losses, metrics, targets, and what they say of a task.

pub(in crate::fit) mod class_weights;
pub(in crate::fit) mod labels;
pub(in crate::fit) mod loss;
pub(in crate::fit) mod lost;
pub(in crate::fit) mod metrics;
pub(in crate::fit) mod scores;
pub(in crate::fit) mod targets;
pub(in crate::fit) mod task;
