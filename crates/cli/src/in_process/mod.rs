//! Commands for a process that calls them, as Python does: the same words, the same defaults and the same code as in a shell, on
//! models and data that are at a path or in memory.

mod features;
mod flags;
mod pictures;
mod search;
#[cfg(feature = "serve")]
mod server;
mod threads;

pub use crate::console::{Listener, Stopped};
pub use crate::flags::as_keywords;
pub use features::{Embedded, EmbeddedPictures, PictureEmbedder, embed};
pub use flags::{Flag, flags};
pub use pictures::{Explanation, OfOne, Predicted, Predicting, explain};
pub use search::{AskedSearch, TrialRunner};
#[cfg(feature = "serve")]
pub use server::Server;

use crate::args::{Arguments, Command, Labels, ModelFile};
use crate::console::Console;
use crate::{Failure, bounded, depth, inspect, plan, train, with_model};
use clap::Parser;
use clap::error::{ContextKind, ErrorKind as Mistake};
use frostline::data::InMemory;
use frostline::formats::{LoadReport, Loaded};
use frostline::report::RunRecord;
use frostline::{Error, ErrorKind};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Says nothing of panics that are errors of one image, as [`crate::main`] does not; all others are told as before.
pub fn silence_contained_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !frostline::data::panic_is_contained() {
            usual(panic);
        }
    }));
}

/// A model, and where it is.
#[derive(Clone, Debug)]
pub enum GivenModel {
    /// A file, or the folder of a run.
    Path(PathBuf),
    /// In memory.
    Held {
        /// What it is called in messages.
        name: PathBuf,
        /// The model, with what is to be told of where it came from.
        loaded: Arc<Loaded>,
    },
}

/// Data, and where they are.
#[derive(Clone, Debug)]
pub enum GivenData {
    /// A folder, a list, or a file of arrays.
    Path(PathBuf),
    /// In memory.
    Held(Arc<InMemory>),
}

/// A command on its way: its flags as a shell has them, the model, and who is told.
pub struct Call {
    /// `--unfreeze=20`, each in one word.
    pub flags: Vec<String>,
    /// What it works on.
    pub model: GivenModel,
    /// Who is told.
    pub listener: Arc<dyn Listener>,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The arguments cannot be: the message, with what to write instead.
    Arguments(String),
    /// It failed: the message names the file, the layer and what to do.
    Failed(String),
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        match failure.downcast_ref::<Error>().is_some_and(is_of_arguments) {
            true => Self::Arguments(failure.to_string()),
            false => Self::Failed(failure.to_string()),
        }
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// A result of a command.
pub type Outcome<T> = Result<T, Wrong>;

/// A training that is done.
#[derive(Debug)]
pub struct TrainedRun {
    /// The model with its new weights.
    pub model: Arc<Loaded>,
    /// `run.json`.
    pub record: RunRecord,
    /// What came of it, in one sentence.
    pub verdict: String,
}

/// `train`.
///
/// # Errors
///
/// As of the command.
pub fn train(call: Call, data: GivenData, output: &Path) -> Outcome<TrainedRun> {
    let output = format_path("--output=", output);
    call.run("train", Some(data), vec![output], |command, seed, console| match command {
        Command::Train(command) => {
            let finished = train::finished(command, seed, console)?;
            let (model, report) = (finished.prepared.model, LoadReport::default());
            let verdict = train::verdict(&finished.record);
            Ok(TrainedRun { model: Arc::new(Loaded { model, report }), record: finished.record, verdict })
        }
        _ => Err(another()),
    })
}

/// `plan`, as one JSON document.
///
/// # Errors
///
/// As of the command.
pub fn plan(call: Call, data: GivenData) -> Outcome<String> {
    call.json("plan", Some(data), None, |command, seed, console| match command {
        Command::Plan(command) => plan::run(command, seed, console),
        _ => Err(another()),
    })
}

/// `depth`, as one JSON document. Without `output` cuts are scored, and nothing is trained.
///
/// # Errors
///
/// As of the command.
pub fn depth(call: Call, data: GivenData, output: Option<&Path>) -> Outcome<String> {
    call.json("depth", Some(data), output, |command, seed, console| match command {
        Command::Depth(command) => depth::run(command, seed, console),
        _ => Err(another()),
    })
}

/// `inspect`, as one JSON document.
///
/// # Errors
///
/// As of the command.
pub fn inspect(call: Call) -> Outcome<String> {
    call.json("inspect", None, None, |command, _, console| match command {
        Command::Inspect(command) => inspect::run(command, console),
        _ => Err(another()),
    })
}

/// `convert`, as one JSON document.
///
/// # Errors
///
/// As of the command.
pub fn convert(call: Call, output: &Path) -> Outcome<String> {
    call.json("convert", None, Some(output), |command, _, console| match command {
        Command::Convert(command) => crate::convert::run(command, console),
        _ => Err(another()),
    })
}

/// Reads a model as every command does.
///
/// # Errors
///
/// As of `inspect`.
pub fn load(call: Call) -> Outcome<Loaded> {
    call.run("inspect", None, Vec::new(), |command, _, console| match command {
        Command::Inspect(command) => {
            let (model, report) = crate::images::load(&command.model, console)?;
            Ok(Loaded { model, report })
        }
        _ => Err(another()),
    })
}

impl Call {
    /// What the command prints as one JSON document; `output` is where it writes.
    fn json(
        self,
        name: &str,
        data: Option<GivenData>,
        output: Option<&Path>,
        run: impl FnOnce(&Command, u64, &Console) -> Result<(), Failure> + Send,
    ) -> Outcome<String> {
        let printed = Printed::to(&self.listener);
        let mut words = vec!["--json".into()];
        words.extend(output.map(|output| format_path("--output=", output)));
        Self { listener: printed.clone(), ..self }.run(name, data, words, run)?;
        Ok(printed.text())
    }

    fn run<T: Send>(
        self,
        name: &str,
        data: Option<GivenData>,
        more: Vec<OsString>,
        run: impl FnOnce(&Command, u64, &Console) -> Result<T, Failure> + Send,
    ) -> Outcome<T> {
        self.parsed(name, data, more, Vec::new(), run)
    }

    /// Of a command that has no data: `more` flags, and behind the model what it works on.
    fn run_on<T: Send>(
        self,
        name: &str,
        more: Vec<OsString>,
        behind: OsString,
        run: impl FnOnce(&Command, u64, &Console) -> Result<T, Failure> + Send,
    ) -> Outcome<T> {
        self.parsed(name, None, more, vec![behind], run)
    }

    /// Reads the flags, and does what `run` does with the command.
    fn parsed<T: Send>(
        self,
        name: &str,
        data: Option<GivenData>,
        more: Vec<OsString>,
        behind: Vec<OsString>,
        run: impl FnOnce(&Command, u64, &Console) -> Result<T, Failure> + Send,
    ) -> Outcome<T> {
        let path = match &self.model {
            GivenModel::Path(path) | GivenModel::Held { name: path, .. } => path.clone(),
        };
        let mut words: Vec<OsString> = vec!["frostline".into(), name.into()];
        words.extend(self.flags.iter().map(OsString::from));
        words.extend(more);
        words.extend(["--".into(), path.clone().into()]);
        words.extend(data.as_ref().map(|data| match data {
            GivenData::Path(path) => path.clone().into(),
            GivenData::Held(memory) => memory.name().into(),
        }));
        words.extend(behind);
        let mut arguments = Arguments::try_parse_from(words).map_err(mistake)?;
        if arguments.command.images().is_some_and(|images| images.is_at_odds()) {
            return Err(Wrong::Arguments(crate::AT_ODDS.to_owned()));
        }
        if let GivenModel::Held { loaded, .. } = &self.model
            && let Some(file) = model_file(&mut arguments.command)
        {
            if file.arch.is_some() || !file.custom.is_empty() {
                return Err(Wrong::Arguments(
                    "`arch` and `custom` say what a file holds, and the model is in memory\nhelp: leave them out, or give them where it is loaded".to_owned(),
                ));
            }
            file.held = Some(loaded.clone());
        }
        if let Some(GivenData::Held(memory)) = &data
            && let Some(labels) = labels(&mut arguments.command)
        {
            labels.held = Some(memory.clone());
        }
        let console = Console::to(self.listener);
        let (seed, threads) = (arguments.seed, arguments.threads);
        let command = &mut arguments.command;
        let do_it = || crate::wherever(command, &console, |command| run(command, seed, &console));
        let done = match threads {
            None => do_it(),
            wanted => {
                let threads = threads::threads(bounded(wanted, &console))
                    .map_err(|error| Wrong::Failed(format!("the threads could not be started: {error}")))?;
                threads.install(do_it)
            }
        };
        done.map_err(|failure| {
            let of_arguments = failure.downcast_ref::<Error>().is_some_and(is_of_arguments);
            match with_model(Some(&path), failure) {
                failure if of_arguments => Wrong::Arguments(console.named(failure.to_string())),
                failure => match failure.into() {
                    Wrong::Arguments(text) => Wrong::Arguments(console.named(text)),
                    Wrong::Failed(text) => Wrong::Failed(console.named(text)),
                },
            }
        })
    }
}

/// Whether settings are wrong, or do not fit the model.
fn is_of_arguments(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Setting | ErrorKind::Surgery)
}

fn another() -> Failure {
    "another command was read than was given".into()
}

fn format_path(flag: &str, path: &Path) -> OsString {
    let mut word = OsString::from(flag);
    word.push(path);
    word
}

fn model_file(command: &mut Command) -> Option<&mut ModelFile> {
    match command {
        Command::Inspect(command) => Some(&mut command.model),
        Command::Plan(command) => Some(&mut command.model),
        Command::Train(command) => Some(&mut command.model),
        Command::Depth(command) => Some(&mut command.model),
        Command::Predict(command) => Some(&mut command.model),
        Command::Explain(command) => Some(&mut command.model),
        Command::Embed(command) => Some(&mut command.features.model),
        Command::Convert(command) => Some(&mut command.model),
        _ => None,
    }
}

fn labels(command: &mut Command) -> Option<&mut Labels> {
    match command {
        Command::Plan(command) => Some(&mut command.labels),
        Command::Train(command) => Some(&mut command.labels),
        Command::Depth(command) => Some(&mut command.labels),
        Command::Embed(command) => Some(&mut command.features.labels),
        _ => None,
    }
}

/// What is wrong with flags, without what is of a shell alone: how the command is used, and where to read more.
fn mistake(error: clap::Error) -> Wrong {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nUsage:").next().unwrap_or(text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text).trim_end();
    let unknown = error.kind() == Mistake::UnknownArgument;
    let tip = unknown.then(|| error.get(ContextKind::SuggestedArg)).flatten();
    Wrong::Arguments(match tip {
        Some(flag) => format!("{}\nhelp: did you mean `{flag}`?", text.lines().next().unwrap_or(text)),
        None => text.to_owned(),
    })
}

/// Keeps what is printed; all else goes on.
struct Printed {
    lines: Mutex<Vec<String>>,
    other: Arc<dyn Listener>,
}

impl Printed {
    fn to(other: &Arc<dyn Listener>) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), other: other.clone() })
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Listener for Printed {
    fn print(&self, line: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }

    fn progress(&self, line: &str) {
        self.other.progress(line);
    }

    fn warn(&self, line: &str) {
        self.other.warn(line);
    }

    fn count(&self, what: &str, done: usize, total: usize) {
        self.other.count(what, done, total);
    }

    fn stop(&self) -> frostline::fit::Stop {
        self.other.stop()
    }
}
