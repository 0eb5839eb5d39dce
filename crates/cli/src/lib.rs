//! The commands of `frostline`: arguments, progress, printing. Everything else is the library's. The binary calls [`main`]; a
//! process that has model and data in memory, as Python's does, calls them by [`in_process`].

mod args;
mod auto;
mod cache;
mod check;
mod classes;
mod console;
mod convert;
mod demo;
mod depth;
mod doctor;
mod embed;
mod evaluate;
mod explain;
mod flags;
mod images;
pub mod in_process;
mod inspect;
mod merge;
mod models;
mod plan;
mod predict;
#[cfg(feature = "pull")]
mod pull;
#[cfg(feature = "serve")]
mod serve;
mod shell;
mod similar;
mod stopping;
#[cfg(feature = "stores")]
mod stores;
mod suggest;
mod train;
mod verify;

use args::{Arguments, Command};
use clap::{CommandFactory, FromArgMatches, error::ErrorKind};
use console::Console;
use std::path::Path;
use std::process::ExitCode;

/// The binary: reads the arguments of this process, and does what they say.
pub fn main() -> ExitCode {
    in_process::silence_contained_panics();
    let arguments = Arguments::from_arg_matches(&args::command().get_matches());
    let mut arguments = arguments.unwrap_or_else(|error| error.exit());
    if arguments.command.images().is_some_and(|images| images.is_at_odds()) {
        Arguments::command().error(ErrorKind::ArgumentConflict, AT_ODDS).exit();
    }
    let console = Console::new(arguments.quiet);
    let threads = bounded(arguments.threads, &console);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let seed = arguments.seed;
    let done =
        threads.map_err(|error| format!("the threads could not be started: {error}").into()).and_then(|()| {
            wherever(&mut arguments.command, &console, |command| execute(command, seed, &console))
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.fail(&with_hub(arguments.command.model(), with_model(arguments.command.model(), error)))
        }
    }
}

fn execute(command: &Command, seed: u64, console: &Console) -> Result<(), Failure> {
    match command {
        Command::Inspect(command) => inspect::run(command, console),
        Command::Plan(command) => plan::run(command, seed, console),
        Command::Train(command) => train::run(command, seed, console),
        Command::Depth(command) => depth::run(command, seed, console),
        Command::Evaluate(command) => evaluate::run(command, console),
        Command::Predict(command) => predict::run(command, console),
        #[cfg(feature = "serve")]
        Command::Serve(command) => serve::run(command, console),
        Command::Embed(command) => embed::run(command, console),
        Command::Merge(command) => merge::run(command, console),
        Command::Similar(command) => similar::run(command, console),
        Command::Explain(command) => explain::run(command, console),
        Command::Check(command) => check::run(command, seed, console),
        Command::AddClass(command) => classes::add(command, console),
        Command::RemoveClass(command) => classes::remove(command, console),
        Command::Suggest(command) => suggest::run(command, console),
        Command::Convert(command) => convert::run(command, console),
        Command::Verify(command) => verify::run(command, console),
        Command::Models(command) => models::run(command, console),
        #[cfg(feature = "pull")]
        Command::Pull(command) => pull::run(command, console),
        Command::Doctor(command) => doctor::run(command, console),
        Command::Completions(command) => shell::completions(command, console),
        Command::Man(command) => shell::man(command, console),
        Command::Cache(command) => cache::run(command, console),
        Command::Demo(command) => demo::run(command, seed, console),
    }
}

/// Does what `run` does with a command, wherever what it reads and writes lies.
#[cfg(feature = "stores")]
fn wherever<T>(
    command: &mut Command,
    console: &Console,
    run: impl FnOnce(&Command) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let local = stores::localize(command, console)?;
    let done = run(command)?;
    local.finish(console)?;
    Ok(done)
}

/// Does what `run` does with a command, which reads and writes files of this machine alone.
#[cfg(not(feature = "stores"))]
fn wherever<T>(
    command: &mut Command,
    _: &Console,
    run: impl FnOnce(&Command) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run(command)
}

const AT_ODDS: &str = "--resize and --fit say two things of the shape of photos: leave one of them out, or name a kernel in --resize";

/// More threads for each core only take memory.
const THREADS_A_CORE: usize = 4;
/// As many may be asked for on any machine, to see that the results are the same.
const THREADS_ANYWHERE: usize = 64;

/// The number of threads to start; 0 for one a core.
fn bounded(wanted: Option<usize>, console: &Console) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = (THREADS_A_CORE * cores).max(THREADS_ANYWHERE);
    match wanted {
        Some(wanted) if wanted > most => {
            console
                .warn(format_args!("--threads {wanted}: {most} are started, this machine has {cores} cores"));
            most
        }
        wanted => wanted.unwrap_or(0),
    }
}

/// The library does not know which file a graph came from: an error about one of its layers is told with the file.
fn with_model(model: Option<&Path>, error: Failure) -> Failure {
    use frostline::{Error, ErrorKind};
    let of_layer = |error: &Error| {
        matches!(
            error.kind(),
            ErrorKind::Unsupported | ErrorKind::Shape | ErrorKind::Surgery | ErrorKind::Weights
        )
    };
    match (model, error.downcast_ref::<Error>()) {
        (Some(model), Some(inner)) if of_layer(inner) => format!("`{}`: {inner}", model.display()).into(),
        _ => error,
    }
}

/// A model that is not there and is called as one of the hub is can be had from there.
#[cfg(feature = "pull")]
fn with_hub(model: Option<&Path>, error: Failure) -> Failure {
    match model.and_then(pull::meant_by) {
        Some(name) => format!(
            "`{name}` is no file here\nhelp: `frostline pull {name}` downloads it, and tells the path to give"
        )
        .into(),
        None => error,
    }
}

#[cfg(not(feature = "pull"))]
fn with_hub(_: Option<&Path>, error: Failure) -> Failure {
    error
}

/// What goes wrong in a command: an error of the library, or a message.
type Failure = Box<dyn std::error::Error + Send + Sync>;
