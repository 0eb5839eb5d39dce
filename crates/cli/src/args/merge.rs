//! The arguments of jobs that several processes share.

use super::examples;
use super::values::patience;
use clap::Args;
use frostline::Shard;
use frostline::depth::Exchange;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// That several processes share a search.
#[derive(Args)]
pub(crate) struct Sharing {
    /// Be the process I of N, counted from 0, that share the search by RUN, a folder or an address that all of them see.
    /// `frostline merge RUN` then writes the run.
    #[arg(long, value_name = "I/N", requires = "output", conflicts_with = "budget")]
    pub(crate) shard: Option<Shard>,
    /// With --shard: a process that gives no sign for so long (30s, 5m) counts as lost, and another trains what it was training.
    #[arg(long, value_name = "T", default_value = "1m", value_parser = patience)]
    pub(crate) lost_after: Duration,
    /// How RUN comes to all processes, where it lies in a store.
    #[arg(skip)]
    pub(crate) exchange: Option<Arc<dyn Exchange>>,
}

#[derive(Args)]
#[command(after_help = examples::MERGE)]
pub(crate) struct Merge {
    /// What the processes had as --output: the .npz or .parquet of `embed`, or the run directory of `depth`.
    pub(crate) output: PathBuf,
    /// One JSON document instead of a line.
    #[arg(long)]
    pub(crate) json: bool,
}
