//! The arguments of `add-class` and `remove-class`.

use super::CacheFolder;
use clap::Args;
use std::path::PathBuf;

/// Where the new run is written, and where features are kept.
#[derive(Args)]
pub(crate) struct Rewritten {
    /// The run directory to write [default: RUN's name with what changes, beside it].
    #[arg(short, long, value_name = "NEW")]
    pub(crate) output: Option<PathBuf>,
    /// Where the run's data lie now, if they were moved [default: where its record says].
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheFolder,
    /// One JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

const WHAT_IS_DONE: &str = "\
The head is solved anew on the layers, views and settings that the run records, with all photos; no other layer changes, which is \
proven by the hashes of all tensors in both model files. The table compares what heads say of photos that they have not seen. A \
run whose head was trained by steps, or whose layers were trained after it, is refused: train it again on the other data.";

#[derive(Args)]
#[command(after_help = format!("Examples:\n  frostline add-class run photos_of/zebra    # writes run-with-zebra\n  frostline add-class run photos_of/zebra -o run2\n\n{WHAT_IS_DONE}"))]
pub(crate) struct AddClass {
    /// The folder of a run of `train`.
    pub(crate) run: PathBuf,
    /// A folder of photos; its name is the new class's.
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) rewritten: Rewritten,
}

#[derive(Args)]
#[command(after_help = format!("Examples:\n  frostline remove-class run zebra    # writes run-without-zebra\n  frostline remove-class run zebra -o run2\n\n{WHAT_IS_DONE}"))]
pub(crate) struct RemoveClass {
    /// The folder of a run of `train`.
    pub(crate) run: PathBuf,
    /// The class to remove.
    #[arg(value_name = "NAME")]
    pub(crate) class: String,
    #[command(flatten)]
    pub(crate) rewritten: Rewritten,
}
