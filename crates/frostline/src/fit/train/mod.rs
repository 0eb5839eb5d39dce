//! Stages of training, their scores, and the proof of what stayed frozen.

pub(in crate::fit) mod certificate;
pub(in crate::fit) mod evaluate;
pub(in crate::fit) mod gradual;
pub(in crate::fit) mod observe;
pub(in crate::fit) mod rate_search;
pub(in crate::fit) mod stage;
pub(in crate::fit) mod stage_run;
pub(in crate::fit) mod stages;
pub(in crate::fit) mod standing;
pub(in crate::fit) mod training;
