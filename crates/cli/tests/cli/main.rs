//! The binary as its user meets it: exit status, messages, files.

mod arguments;
mod cache;
mod classes;
mod data;
mod depth;
mod embed;
mod explain;
mod files;
mod lost;
mod memory;
mod models;
mod numbers;
mod parts;
mod plan;
mod run;
mod run_folder;
mod scaled;
mod seen;
mod train;
mod workflow;
