//! A feature cache that several machines have in common: the cache of this machine gets those features that a store has, and the store
//! gets those that are computed here.

use super::address::Address;
use super::copies::locked;
use super::shared_folder::{Have, SharedFolder};
use super::upload::writable;
use crate::Failure;
use crate::console::Console;
use frostline::cache::Origin;
use frostline::data::path_text;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// So often what was computed is uploaded, so that a machine that is taken away loses little.
const EVERY: Duration = Duration::from_secs(10);

/// A cache in a store, as long as a command works with it.
pub(super) struct SharedFeatures {
    features: Arc<Features>,
    uploads: Option<(Sender<()>, JoinHandle<()>)>,
    /// Nobody takes the copy away.
    _lock: File,
}

struct Features {
    folder: SharedFolder,
    warn: Box<dyn Fn(String) + Send + Sync>,
    has_warned: AtomicBool,
}

impl SharedFeatures {
    /// Errors: an address that features cannot be kept at, or that cannot be read.
    pub(super) fn open(address: &Address, console: &Console) -> Result<Self, Failure> {
        writable(address)?;
        let above = super::folder_of(address)?;
        let lock = locked(&above)?;
        let features = Arc::new(Features {
            folder: SharedFolder::open(address, above.join("features"))?,
            warn: Box::new(console.in_threads()),
            has_warned: AtomicBool::new(false),
        });
        // who may not read there is told before the work
        features.folder.fetch("about", |_, _| Have::Not)?;
        let (quit, ticks) = channel();
        let uploads = std::thread::spawn({
            let features = features.clone();
            move || {
                while ticks.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    features.upload();
                }
            }
        });
        Ok(Self { features, uploads: Some((quit, uploads)), _lock: lock })
    }

    /// The copy, in which the command keeps features.
    pub(super) fn path(&self) -> &Path {
        self.features.folder.path()
    }

    /// What brings features into it.
    pub(super) fn origin(&self) -> Arc<dyn Origin> {
        self.features.clone()
    }

    /// Uploads what was computed last.
    pub(super) fn finish(mut self) {
        self.end();
        self.features.upload();
    }

    fn end(&mut self) {
        if let Some((quit, uploads)) = self.uploads.take() {
            drop(quit);
            let _ = uploads.join();
        }
    }
}

impl Drop for SharedFeatures {
    fn drop(&mut self) {
        self.end();
    }
}

impl Features {
    fn upload(&self) {
        // what is there never changes: files that were marked as used are as they were
        let is_new = |path: &String| self.folder.uploaded(path).is_none();
        let upload = |path: String| self.folder.upload(&path);
        let uploaded =
            self.folder.files().and_then(|files| files.into_iter().filter(is_new).try_for_each(upload));
        if let Err(error) = uploaded {
            self.tell(&format!(
                "{error}\nthese features are kept in `{}` alone until they can be uploaded",
                path_text(self.folder.path())
            ));
        }
    }

    /// Once: a store that cannot be reached is asked again and again.
    fn tell(&self, text: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            (self.warn)(format!("the feature cache `{}`: {text}", self.folder.address().text()));
        }
    }
}

impl Origin for Features {
    fn bring(&self, prefix: &str, limit: u64) {
        let mut room = limit;
        let mut too_many = false;
        let brought = self.folder.fetch(prefix, |path, bytes| {
            let name = path.strip_prefix(prefix).unwrap_or(path).trim_start_matches('/');
            let is_own = !name.contains('/') && (name.ends_with(".safetensors") || name.ends_with(".json"));
            match is_own && bytes <= room {
                true => {
                    room -= bytes;
                    Have::Once
                }
                false => {
                    too_many |= is_own;
                    Have::Not
                }
            }
        });
        match brought {
            Err(error) => {
                self.tell(&format!("{error}\nfeatures that are not here are computed"));
            }
            Ok(_) if too_many => self.tell(
                "it holds more of these features than fit: those are computed again; raise --cache-limit",
            ),
            Ok(_) => {}
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Features").field(self.folder.address()).finish()
    }
}
