//! `frostline merge`.

use crate::args::Merge;
use crate::console::Console;
use crate::{Failure, depth, embed};

pub(crate) fn run(command: &Merge, console: &Console) -> Result<(), Failure> {
    match command.output.extension() {
        Some(ending) if ending == "npz" || ending == "parquet" => {
            embed::merge(&command.output, command.json, console)
        }
        _ => depth::merge(&command.output, command.json, console),
    }
}
