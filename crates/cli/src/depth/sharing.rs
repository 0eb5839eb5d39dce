//! `frostline depth --shard I/N`: one of several processes that share a search.

use super::{Missing, Searching, outcome_line, stopped_by_signals, whole};
use crate::args::{Arguments, Command, Depth, is_address};
use crate::console::Console;
use crate::{Failure, wherever};
use clap::Parser;
use frostline::depth::{CommonFolder, Ended, SharedEvent, SharedPlace, SharedSearch};
use frostline::report::RunFolder;
use frostline::{Shard, write_atomically};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

/// In the folder of a run: what its shards write.
const SHARDS: &str = "shards";
/// In it: the command whose shards are merged.
pub(crate) const COMMAND: &str = "command.json";

pub(super) fn run(
    command: &Depth,
    output: &Path,
    shard: Shard,
    seed: u64,
    console: &Console,
) -> Result<(), Failure> {
    RunFolder::check_search(output, &command.data)?;
    let mut searching = Searching::begin(command, seed, console)?;
    let (key, rounds, search) = (&searching.trials.key, searching.rounds, &mut searching.search);
    let exchange = command.sharing.exchange.clone().unwrap_or_else(|| Arc::new(CommonFolder));
    let place = SharedPlace { run: output, shard, lost_after: command.sharing.lost_after, exchange };
    let shared = SharedSearch::open(place, key, rounds, search)?;
    keep_command(&output.join(SHARDS).join(COMMAND))?;
    let stop = stopped_by_signals(console)?;
    let trained = Cell::new(0_usize);
    let tell = |event: &SharedEvent<'_>| match event {
        SharedEvent::Trained { outcome, missing } => {
            trained.set(trained.get() + 1);
            console.progress(format_args!("[{missing} more wanted] {}", outcome_line(outcome)));
        }
        SharedEvent::Waiting { trials } => {
            console.progress(format_args!("waiting for {trials} trainings of other shards"));
        }
        SharedEvent::TakenOver { shard, arm } => {
            console.warn(format_args!("shard {shard} gives no sign any more: `{arm}` is trained here"));
        }
    };
    let ended = shared.run(&searching.trials.experiment, &mut searching.search, &stop, &tell)?;
    let trained = trained.get();
    if ended == Ended::Stopped {
        // a job array must not take it for done
        return Err(format!(
            "shard {shard} was stopped after {trained} trainings, which are kept\nhelp: the same command goes on"
        )
        .into());
    }
    match command.json {
        true => console.print(json!({ "shard": [shard.index(), shard.of()], "trained": trained })),
        false => console.print(format_args!(
            "shard {shard} has trained {trained} times, and nothing is left to train: `frostline merge {}` writes the run",
            output.display()
        )),
    }
}

/// Keeps the words of this command without what makes it a shard.
fn keep_command(file: &Path) -> Result<(), Failure> {
    let mut words = Vec::new();
    let mut given = std::env::args_os();
    while let Some(word) = given.next() {
        let word = word.into_string().map_err(|word| {
            format!("`{}` is no text of Unicode\nhelp: rename it, or make a link to it", word.display())
        })?;
        match word.as_str() {
            "--shard" | "--lost-after" => drop(given.next()),
            "--json" => {}
            other if other.starts_with("--shard=") || other.starts_with("--lost-after=") => {}
            _ => words.push(word),
        }
    }
    // paths may begin where it was given
    let given = json!({ "words": words, "folder": std::env::current_dir()? });
    Ok(write_atomically(file, &serde_json::to_vec_pretty(&given)?)?)
}

/// Writes the run of a search whose shards are done.
pub(crate) fn merge(output: &Path, as_json: bool, console: &Console) -> Result<(), Failure> {
    let file = output.join(SHARDS).join(COMMAND);
    let text = std::fs::read(&file).map_err(|error| {
        format!(
            "`{}`: {error}\nhelp: give the folder that `frostline depth --shard I/N` had as --output, or the .npz or .parquet of `frostline embed --shard I/N`",
            file.display()
        )
    })?;
    let damaged = |error: &dyn std::fmt::Display| -> Failure {
        format!(
            "`{}` holds no command of `frostline depth`: {error}\nhelp: start a shard again, which writes it anew",
            file.display()
        )
        .into()
    };
    let given: Value = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
    let words = given["words"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let folder = Path::new(given["folder"].as_str().unwrap_or_default());
    let output = std::path::absolute(output)?;
    let mut arguments = Arguments::try_parse_from(words).map_err(|error| damaged(&error.kind()))?;
    let Command::Depth(command) = &mut arguments.command else { return Err(damaged(&"another command")) };
    command.json = as_json;
    command.output = Some(output.clone());
    let is_relative = |path: &Path| path.is_relative() && !is_address(&path.to_string_lossy());
    let needs_folder = is_relative(&command.model.path) || is_relative(&command.data);
    if let Err(error) = std::env::set_current_dir(folder)
        && needs_folder
    {
        return Err(format!(
            "`{}`, where the shards were started: {error}\nhelp: merge on a machine that sees the same folders",
            folder.display()
        )
        .into());
    }
    // model and data may lie in stores
    wherever(&mut arguments.command, console, |command| match command {
        Command::Depth(command) => whole(command, &output, Missing::Refuse, arguments.seed, console),
        _ => Ok(()),
    })
}
