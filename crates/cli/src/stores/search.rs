//! A search that processes share by a store: each has the lines and signs of the others in a folder of its own.

use super::address::Address;
use super::shared_folder::{Have, SharedFolder};
use super::upload::writable;
use crate::Failure;
use crate::depth::COMMAND;
use frostline::depth::Exchange;
use frostline::{Error, Shard};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an upload and a list may take together.
const DELAY: Duration = Duration::from_secs(1);

/// The folder `shards` of a run.
pub(super) struct SharedLines {
    folder: SharedFolder,
    lines: String,
    sign: String,
    address: String,
    shard: Shard,
    /// One thread fetches or uploads at a time.
    turn: Mutex<()>,
    run: PathBuf,
}

impl SharedLines {
    /// Fetches what this shard and the others have written.
    ///
    /// Errors: a place that cannot be read or written to.
    pub(super) fn open(address: &Address, shard: Shard) -> Result<Self, Failure> {
        writable(address)?;
        let run =
            super::folder_of(address)?.with_extension(format!("shard-{}-of-{}", shard.index(), shard.of()));
        // what is here and not there was made by a process that was killed, and is made again
        let _ = std::fs::remove_dir_all(&run);
        let at = address.with_key(&format!("{}/shards", address.key()));
        let [lines, sign] = ["jsonl", "json"].map(|ending| format!("{}.{ending}", shard.index()));
        let run = run.join(address.name());
        let folder = SharedFolder::open(&at, run.join("shards"))?;
        let found = Self {
            folder,
            lines,
            sign,
            address: address.text().to_owned(),
            shard,
            turn: Mutex::default(),
            run,
        };
        found.folder.fetch("", |path, _| if path == found.sign { Have::Not } else { Have::Newest })?;
        Ok(found)
    }

    /// The run, as the command sees it.
    pub(super) fn path(&self) -> &Path {
        &self.run
    }

    fn is_own(&self, path: &str) -> bool {
        path == self.lines || path == self.sign
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self) -> Result<(), Failure> {
        let _turn = self.turn();
        let before = self.folder.uploaded(&self.sign);
        let there =
            self.folder.fetch("", |path, _| if self.is_own(path) { Have::Not } else { Have::Newest })?;
        let is_another =
            before.is_some() && there.get(&self.sign).is_some_and(|now| Some(now) != before.as_ref());
        if is_another && self.is_older()? {
            return Err(format!(
                "another process is the shard {} of the search `{}`\nhelp: give each process another number, or leave the work to that one",
                self.shard, self.address
            )
            .into());
        }
        // the sign of a process that has ended
        let gone = |path: &&String| !self.is_own(path) && !there.contains_key(*path);
        self.folder.in_common().iter().filter(gone).try_for_each(|path| self.folder.forget(path))
    }

    /// Whether the sign of this shard that lies there is of a process that began later than this one: then this one ends.
    fn is_older(&self) -> Result<bool, Failure> {
        let began = |sign: &[u8]| serde_json::from_slice::<Value>(sign).ok()?["since"].as_u64();
        let own = std::fs::read(self.folder.path().join(&self.sign)).unwrap_or_default();
        Ok(began(&self.folder.read(&self.sign)?) > began(&own))
    }

    /// The lines go before the sign: where a claim is taken back its outcome is there.
    fn upload(&self) -> Result<(), Failure> {
        let _turn = self.turn();
        self.folder.upload(&self.lines)?;
        let has_sign = self.folder.path().join(&self.sign).exists();
        match self.folder.uploaded(&self.sign) {
            Some(_) if !has_sign => self.folder.remove(&self.sign)?,
            _ => self.folder.upload(&self.sign)?,
        }
        // that of one shard is as good as that of another
        match self.folder.uploaded(COMMAND) {
            Some(_) => Ok(()),
            None => self.folder.upload(COMMAND),
        }
    }
}

impl Exchange for SharedLines {
    fn fetch(&self) -> frostline::Result<()> {
        Self::fetch(self).map_err(|error| Error::data(error.to_string()))
    }

    fn upload(&self) -> frostline::Result<()> {
        Self::upload(self).map_err(|error| Error::data(error.to_string()))
    }

    fn delay(&self) -> Duration {
        DELAY
    }
}
