//! The folder of a training's checkpoints: the newest and the one before, by numbers that grow.

use super::file::{Checkpoint, Draft};
use super::timing::{Every, Stop};
use frostline_files::TEMPORARY;
use frostline_graph::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};

const ENDING: &str = "safetensors";
/// Checkpoints that are left: the newest, and the one before, in case the newest is damaged.
const KEPT: usize = 2;

/// Where the checkpoints of a training are, and how often one is written.
#[derive(Clone, Debug)]
#[must_use]
pub struct Checkpoints {
    pub(super) folder: PathBuf,
    pub(super) every: Every,
    pub(super) stop: Stop,
}

impl Checkpoints {
    /// In a folder, which is made when the first is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), every: Every::default(), stop: Stop::default() }
    }

    /// How often one is written; every 30 seconds and after each epoch by default.
    pub fn every(self, every: Every) -> Self {
        Self { every, ..self }
    }

    /// What ends the training from outside, after a checkpoint.
    pub fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Whether a folder holds checkpoints, damaged ones too.
    pub fn are_in(folder: &Path) -> bool {
        numbers(folder).is_ok_and(|numbers| !numbers.is_empty())
    }

    /// Removes a folder of checkpoints. A folder that is not there is removed already.
    ///
    /// # Errors
    ///
    /// A folder that the system does not remove.
    pub fn remove(folder: &Path) -> Result<()> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(folder, error)),
            _ => Ok(()),
        }
    }

    /// The newest checkpoint that is whole, and what is said of damaged ones after it, which are removed.
    ///
    /// Errors: there are some, and none is whole.
    pub(super) fn newest(&self) -> Result<(Option<Checkpoint>, Vec<String>)> {
        let failed = |source| Error::io(&self.folder, source);
        let numbers = numbers(&self.folder).map_err(failed)?;
        let mut damaged = Vec::new();
        for number in numbers.iter().rev() {
            match Checkpoint::read(&self.path(*number)) {
                Err(error) => damaged.push((self.path(*number), error.what().to_owned())),
                Ok(checkpoint) => {
                    damaged.iter().try_for_each(|(path, _)| std::fs::remove_file(path)).map_err(failed)?;
                    let told = |(path, why): &(PathBuf, String)| {
                        format!("`{}`: {why}; the checkpoint before it is used", path.display())
                    };
                    return Ok((Some(checkpoint), damaged.iter().map(told).collect()));
                }
            }
        }
        match damaged.first() {
            None => Ok((None, Vec::new())),
            Some((_, why)) => Err(Error::format(
                &self.folder,
                format!(
                    "no checkpoint in it is whole: {why}\nhelp: remove this folder; the training then begins from its start"
                ),
            )),
        }
    }

    /// Writes the next one, and removes those that are older than the one before.
    pub(super) fn write(&self, draft: &Draft<'_>) -> Result<()> {
        let failed = |source| Error::io(&self.folder, source);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let next = numbers(&self.folder).map_err(failed)?.last().map_or(1, |last| last + 1);
        draft.write(&self.path(next))?;
        // the name is on the disk when the folder is
        #[cfg(unix)]
        std::fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        let all = numbers(&self.folder).map_err(failed)?;
        for number in all.iter().rev().skip(KEPT) {
            std::fs::remove_file(self.path(*number)).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes what a process left that was killed while it wrote.
    pub(super) fn tidy(&self) -> Result<()> {
        let failed = |source| Error::io(&self.folder, source);
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{ENDING}"))
    }
}

/// The numbers of the checkpoints in a folder, the oldest first.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = PathBuf::from(entry?.file_name());
        let is_one = path.extension().is_some_and(|ending| ending == ENDING);
        found.extend(path.file_stem().filter(|_| is_one).and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}
