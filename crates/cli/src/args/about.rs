//! The arguments of the commands about frostline itself: `doctor`, `completions`, `man`, `models`.

use super::examples;
use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = examples::DOCTOR)]
pub(crate) struct Doctor {
    /// The feature cache's folder [default: in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = examples::COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell that they are for.
    pub(crate) shell: Shell,
}

#[derive(Args)]
#[command(after_help = examples::MAN)]
pub(crate) struct Man {
    /// The page of this command [default: of frostline itself].
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub(crate) page: Option<String>,
    /// A folder for the pages of all commands, which is made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = examples::MODELS)]
pub(crate) struct Models {
    /// Only models whose name or family contains this; each is listed.
    #[arg(value_name = "WORD")]
    pub(crate) word: Option<String>,
    /// List every architecture, with the weights that timm has for it.
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}
