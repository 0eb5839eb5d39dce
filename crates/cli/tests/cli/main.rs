//! The binary as its user meets it: exit status, messages, files.

mod arguments;
mod cache;
mod classes;
mod data;
mod depth;
mod doctor;
mod embed;
mod explain;
mod faults;
mod files;
mod lost;
mod memory;
mod models;
mod next;
mod numbers;
mod parts;
mod plan;
mod predict;
#[cfg(feature = "pull")]
mod pull;
mod resume;
mod run;
mod run_folder;
mod scaled;
mod seen;
#[cfg(feature = "serve")]
mod serve;
mod shards;
mod shell;
mod train;
mod workflow;
