//! What a training is to do: recipes, settings, and what holds where nothing is said.

pub(in crate::fit) mod caching;
pub(in crate::fit) mod defaults;
pub(in crate::fit) mod read;
pub(in crate::fit) mod setting;
pub(in crate::fit) mod solve_config;
pub(in crate::fit) mod stage_config;
pub(in crate::fit) mod text;
pub(in crate::fit) mod train_config;
pub(in crate::fit) mod values;
