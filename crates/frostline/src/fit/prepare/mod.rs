//! From a recipe to a model with its new head, its data and its loss.

pub(in crate::fit) mod applied;
pub(in crate::fit) mod calibration;
pub(in crate::fit) mod first_pass;
pub(in crate::fit) mod input_scaling;
pub(in crate::fit) mod number_names;
pub(in crate::fit) mod prepared;
pub(in crate::fit) mod preprocessing;
