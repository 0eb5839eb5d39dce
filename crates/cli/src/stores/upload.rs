//! What a command writes to an address: written here, uploaded when it is whole, the record of a run last.

use super::address::{Address, Scheme};
use super::copy::unwritable;
use super::store::Store;
use crate::Failure;
use crate::console::Console;
use frostline::data::path_text;
use frostline::report::RECORD_FILE;
use object_store::{ObjectStoreExt, WriteMultipart};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a piece of a large object; a store takes at least 5 MiB.
const PIECE: usize = 8 << 20;
/// Pieces that are on their way at a time.
const AT_ONCE: usize = 4;

/// A place in a store, and where what is to be there is written.
pub(super) struct Upload {
    store: Store,
    address: Address,
    path: PathBuf,
}

impl Upload {
    /// Errors: nothing can be written there; a run lies there already, but where the command goes on with it.
    pub(super) fn new(address: &Address, goes_on: bool) -> Result<Self, Failure> {
        if address.scheme == Scheme::Web || address.key().is_empty() {
            return Err(format!(
                "nothing is written to `{}`\nhelp: give a place below a bucket, as s3://BUCKET/RUN",
                address.text()
            )
            .into());
        }
        let store = Store::open(address)?;
        let record = format!("{}/{RECORD_FILE}", address.key());
        // it is asked for in any case: who may not write is told before the work
        if store.wait(store.about(&record))?.is_some() && !goes_on {
            return Err(format!(
                "`{}` holds a run already\nhelp: give another place with -o, or remove it there",
                address.text()
            )
            .into());
        }
        let folder = super::folder_of(address)?.with_extension("out");
        std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        let path = folder.join(address.name());
        Ok(Self { store, address: address.clone(), path })
    }

    /// Where it is written first.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Uploads it, and takes it away here.
    pub(super) fn finish(self, console: &Console) -> Result<(), Failure> {
        let failed = |error: std::io::Error| unwritable(&self.path, &error);
        if !self.path.exists() {
            return Ok(());
        }
        if self.path.is_file() {
            self.put(&self.path, self.address.key())?;
            std::fs::remove_file(&self.path).map_err(failed)?;
        } else {
            let mut files = Vec::new();
            walk(&self.path, "", &mut files).map_err(failed)?;
            files.sort();
            // what it is a sign of is there before
            let (record, others): (Vec<String>, Vec<String>) =
                files.into_iter().partition(|name| name == RECORD_FILE);
            let total = others.len() + record.len();
            for (done, name) in others.iter().chain(&record).enumerate() {
                console.count("uploading", done, total);
                self.put(&self.path.join(name), &format!("{}/{name}", self.address.key()))?;
            }
            console.clear();
            std::fs::remove_dir_all(&self.path).map_err(failed)?;
        }
        console.progress(format_args!("uploaded to `{}`", self.address.text()));
        Ok(())
    }

    /// One object, which appears whole or not at all.
    fn put(&self, path: &Path, key: &str) -> Result<(), Failure> {
        let failed = |error: std::io::Error| unwritable(path, &error);
        let kept = |error: &object_store::Error| -> Failure {
            let told = self.store.told(error, key);
            format!("{told}\nwhat was to be uploaded is kept in `{}`", path_text(&self.path)).into()
        };
        let at = self.store.key(key)?;
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        self.store.wait(async {
            if size <= PIECE as u64 {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                return self
                    .store
                    .objects
                    .put(&at, bytes.into())
                    .await
                    .map(drop)
                    .map_err(|error| kept(&error));
            }
            let pieces = self.store.objects.put_multipart(&at).await.map_err(|error| kept(&error))?;
            let mut pieces = WriteMultipart::new_with_chunk_size(pieces, PIECE);
            let mut bytes = vec![0; PIECE];
            loop {
                let read = file.read(&mut bytes).map_err(failed)?;
                if read == 0 {
                    break;
                }
                pieces.wait_for_capacity(AT_ONCE).await.map_err(|error| kept(&error))?;
                pieces.write(&bytes[..read]);
            }
            pieces.finish().await.map(drop).map_err(|error| kept(&error))
        })
    }
}

/// The files of a folder and below it, with `/` between names.
fn walk(folder: &Path, above: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), &format!("{name}/"), found)?,
            false => found.push(name),
        }
    }
    Ok(())
}
