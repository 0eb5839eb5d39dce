//! Training: a test for each trap that users of other libraries fell into, named after what frostline does.

mod best;
mod determinism;
mod disk;
mod first_pass;
mod frozen;
mod labels;
mod prefixes;
mod rate;
mod resume;
mod settings;
mod stages;
mod task;
