//! The arguments of `pull`.

use super::examples;
use crate::pull::HubFile;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = examples::PULL)]
pub(crate) struct Pull {
    /// A repository of the hub, owner/name; with a branch, a tag or a commit behind @, and a file of it behind a colon:
    /// owner/name[@revision][:file] [default: the branch main, and the one model file].
    #[arg(value_name = "NAME")]
    pub(crate) name: HubFile,
    /// The folder to write into [default: in the user's data folder, by owner, name and commit].
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// One JSON document instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}
