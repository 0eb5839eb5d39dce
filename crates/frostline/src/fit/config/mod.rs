//! What a training is to do: recipes, settings, and what holds where nothing is said.

pub(in crate::fit) mod caching;
pub(in crate::fit) mod defaults;
pub(in crate::fit) mod recipe;
pub(in crate::fit) mod setting;
pub(in crate::fit) mod text;
