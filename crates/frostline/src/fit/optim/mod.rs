//! How weights follow their gradients: optimizers, and schedules of the learning rate.

pub(in crate::fit) mod optimizer;
pub(in crate::fit) mod schedule;
