//! Ctrl-C and SIGTERM while a model trains: a checkpoint is left, and the command that goes on is told.

use crate::Failure;
use crate::console::{Console, shell_line};
use frostline::fit::{Checkpoints, Stop};
use frostline::report::RunFolder;
use frostline::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Lets signals end a training after its next step, or at once where that loses nothing, or where it is the second.
pub(crate) fn on_signals(checkpoints: PathBuf, console: &Console) -> Result<Stop, Failure> {
    if let Some(stop) = console.stop() {
        return Ok(stop);
    }
    let stop = Stop::default();
    let told = console.in_handler("writing a checkpoint after this step; once more ends at once");
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.has_unsaved() && !asked.is_asked() {
            asked.ask();
            return told();
        }
        let remedy = match Checkpoints::are_in(&checkpoints) {
            true => format!("{} goes on", command_to_resume()),
            false => "the same command begins again".to_owned(),
        };
        Console::last_words(format_args!("error: the training was stopped\nhelp: {remedy}"));
        std::process::exit(1);
    })?;
    Ok(stop)
}

/// The error of a training: where it was stopped, with the command that goes on. One that its settings have made fail would fail
/// again, and leaves no checkpoint.
pub(crate) fn told(error: Error, run: &Path, console: &Console) -> Failure {
    match error.kind() {
        ErrorKind::Stopped if console.is_in_process() => {
            format!("{}\nhelp: the same call with the setting `resume = true` goes on", error.what()).into()
        }
        ErrorKind::Stopped => format!("{}\nhelp: {} goes on", error.what(), command_to_resume()).into(),
        ErrorKind::Setting => match Checkpoints::remove(&RunFolder::checkpoints_of(run)) {
            Ok(()) => error.into(),
            Err(other) => format!("{error}\n{other}").into(),
        },
        _ => error.into(),
    }
}

fn command_to_resume() -> String {
    let mut words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    shell_line(&words)
}
