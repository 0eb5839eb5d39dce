//! The binary as its user meets it: exit status, messages, files.

mod arguments;
mod cache;
mod data;
mod depth;
mod files;
mod memory;
mod models;
mod numbers;
mod plan;
mod run;
mod run_folder;
mod scaled;
mod train;
mod workflow;
