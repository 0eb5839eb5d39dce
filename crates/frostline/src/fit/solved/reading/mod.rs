//! What a solved head reads: places, views, and the features of images there.

pub(in crate::fit) mod cuts;
pub(in crate::fit) mod features;
pub(in crate::fit) mod pass;
pub(in crate::fit) mod setup;
pub(in crate::fit) mod views;
pub(in crate::fit) mod wide;
