//! What a command writes to an address: written here, uploaded when it is whole, the record of a run last.

use super::address::{Address, Scheme};
use super::copy::unwritable;
use super::shared_folder::{Have, SharedFolder};
use crate::Failure;
use crate::console::Console;
use frostline::Shard;
use frostline::data::path_text;
use frostline::report::RECORD_FILE;
use std::path::PathBuf;

/// What a command does with that which lies at the place already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It writes a new run or file.
    New,
    /// It goes on with a run.
    GoesOn,
    /// It makes one of what the shards have written.
    Merges,
    /// It is a shard, and writes its part.
    Part(Shard),
}

/// A place in a store, and where what is to be there is written.
pub(super) struct Upload {
    /// What the place lies in, there and here.
    folder: SharedFolder,
    address: Address,
}

impl Upload {
    /// Errors: nothing can be written there; a run lies there already, with which the command does not go on.
    pub(super) fn new(address: &Address, before: Before) -> Result<Self, Failure> {
        writable(address)?;
        let ending = match before {
            Before::Part(shard) => format!("part-{}-of-{}", shard.index(), shard.of()),
            _ => "out".to_owned(),
        };
        let here = super::folder_of(address)?.with_extension(ending);
        let folder = SharedFolder::open(&address.above(), here)?;
        let name = address.name();
        match before {
            // it is asked for in any case: who may not write is told before the work
            Before::New if folder.has(&format!("{name}/{RECORD_FILE}"))? => {
                return Err(format!(
                    "`{}` holds a run already\nhelp: give another place with -o, or remove it there",
                    address.text()
                )
                .into());
            }
            Before::New => {}
            // the same of a shard; a bucket that is not there is noticed by a list alone
            Before::Part(_) => drop(folder.fetch(&format!("{name}.shards"), |_, _| Have::Not)?),
            // what was interrupted here is newer
            Before::GoesOn if folder.path().join(name).exists() => {}
            Before::GoesOn => drop(folder.fetch(name, |_, _| Have::Newest)?),
            Before::Merges => {
                folder.fetch(&format!("{name}.shards"), |_, _| Have::Newest)?;
                folder.fetch(&format!("{name}/shards"), |_, _| Have::Newest)?;
            }
        }
        Ok(Self { folder, address: address.clone() })
    }

    /// Where it is written first.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(self.address.name())
    }

    /// Uploads it, and takes it away here.
    pub(super) fn finish(self, console: &Console) -> Result<(), Failure> {
        let here = self.folder.path();
        let mut files = self.folder.files()?;
        // what it is a sign of is there before
        files.sort_by_key(|name| name.rsplit('/').next() == Some(RECORD_FILE));
        for (done, name) in files.iter().enumerate() {
            console.count("uploading", done, files.len());
            self.folder.upload(name).map_err(|error| {
                format!("{error}\nwhat was to be uploaded is kept in `{}`", path_text(here))
            })?;
        }
        console.clear();
        std::fs::remove_dir_all(here).map_err(|error| unwritable(here, &error))?;
        if !files.is_empty() {
            console.progress(format_args!("uploaded to `{}`", self.address.text()));
        }
        Ok(())
    }
}

/// Errors: nothing can be written there.
pub(super) fn writable(address: &Address) -> Result<(), Failure> {
    match address.scheme == Scheme::Web || address.key().is_empty() {
        true => Err(format!(
            "nothing is written to `{}`\nhelp: give a place below a bucket, as s3://BUCKET/RUN",
            address.text()
        )
        .into()),
        false => Ok(()),
    }
}
