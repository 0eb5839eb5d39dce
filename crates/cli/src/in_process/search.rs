//! `depth`, trial by trial: what a search asks for here is trained by any process on any machine of the same kind.

use super::{Call, GivenData, Listener, Outcome, another, format_path};
use crate::Failure;
use crate::args::Command;
use crate::console::Console;
use crate::depth::{Searching, Trials};
use frostline::depth::{Outcome as Trained, SearchLog, Trial};
use frostline::report::RunFolder;
use rayon::ThreadPool;
use std::path::Path;
use std::sync::Arc;

/// Trains trials: a pure function from a model, data, settings and a trial to a line of `search.jsonl`, with what it stands on loaded
/// once.
pub struct TrialRunner {
    trials: Trials,
    pool: ThreadPool,
}

/// A search that others train for.
pub struct AskedSearch {
    searching: Searching,
    folder: RunFolder,
    log: SearchLog,
    pool: ThreadPool,
}

/// As many threads as work now, for later.
pub(super) fn pool_of_now() -> Result<ThreadPool, Failure> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build()?)
}

impl TrialRunner {
    /// `depth`, up to the first training.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn open(call: Call, data: GivenData) -> Outcome<Self> {
        // what a search takes besides is said where there is a folder, which is not made here
        let words = vec!["--output=search".into()];
        call.run("depth", Some(data), words, |command, seed, console| match command {
            Command::Depth(command) => {
                Ok(Self { trials: Trials::open(command, seed, console)?, pool: pool_of_now()? })
            }
            _ => Err(another()),
        })
    }

    /// What outcomes depend on besides the trial: it must be that of the search.
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub fn key(&self) -> Outcome<String> {
        Ok(serde_json::to_string(&self.trials.key).map_err(Failure::from)?)
    }

    /// Trains a trial, given as JSON. Returns a line of `search.jsonl`.
    ///
    /// # Errors
    ///
    /// No trial; a training that fails.
    pub fn run(&self, trial: &str) -> Outcome<String> {
        let trial: Trial = trial.parse()?;
        let trained = self.pool.install(|| self.trials.experiment.run(&trial))?;
        Ok(serde_json::to_string(&trained).map_err(Failure::from)?)
    }
}

impl AskedSearch {
    /// `depth`, up to the first training, in the folder of a run, where what is known of the same search is taken over.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn open(call: Call, data: GivenData, output: &Path) -> Outcome<Self> {
        let words = vec![format_path("--output=", output)];
        call.run("depth", Some(data), words, |command, seed, console| match command {
            Command::Depth(command) => {
                RunFolder::check_search(output, &command.data)?;
                let mut searching = Searching::begin(command, seed, console)?;
                let (folder, log) = searching.in_folder(output, console)?;
                Ok(Self { searching, folder, log, pool: pool_of_now()? })
            }
            _ => Err(another()),
        })
    }

    /// As [`TrialRunner::key`].
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub fn key(&self) -> Outcome<String> {
        Ok(serde_json::to_string(&self.searching.trials.key).map_err(Failure::from)?)
    }

    /// The trials that are wanted now, as JSON, and whether each trains the whole network, which takes long. None where all is done.
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub fn ask(&self) -> Outcome<Vec<String>> {
        self.searching
            .search
            .ask()
            .iter()
            .map(|trial| Ok(serde_json::to_string(trial).map_err(Failure::from)?))
            .collect()
    }

    /// Takes a line, in any order, and keeps it in `search.jsonl`.
    ///
    /// # Errors
    ///
    /// No line of `search.jsonl`; a folder that cannot be written to.
    pub fn tell(&mut self, line: &str) -> Outcome<()> {
        let trained: Trained = line.parse()?;
        self.log.append(&trained)?;
        self.searching.search.tell(trained);
        Ok(())
    }

    /// Writes the run, and returns what `depth --json` prints.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn finish(self, listener: Arc<dyn Listener>) -> Outcome<String> {
        let Self { searching, folder, pool, .. } = self;
        let began = searching.began();
        let console = Console::to(listener);
        let finish = || -> Result<String, Failure> {
            let (report, trials) = searching.report()?;
            trials.finish(&report, folder, began, &console)?;
            Ok(report.document().to_string())
        };
        Ok(pool.install(finish)?)
    }
}
