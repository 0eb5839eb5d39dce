//! The binary as its user meets it: exit status, messages, files.

mod arguments;
mod cache;
mod data;
mod depth;
mod files;
mod lost;
mod memory;
mod models;
mod numbers;
mod parts;
mod plan;
mod resume;
mod run;
mod run_folder;
mod scaled;
mod seen;
mod train;
mod workflow;
