//! The open files of many shards: only a few are open at a time, as a process may have few.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Result;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are open at a time.
const MOST: usize = 32;

/// The shards that were opened last, by number.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<VecDeque<(u32, Arc<File>)>>);

impl OpenFiles {
    /// The shard of this number, which is opened if it is not open.
    ///
    /// Errors: it is gone, or cannot be opened.
    pub(super) fn get(&self, number: u32, path: &Path) -> Result<Arc<File>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.iter().find(|(known, _)| *known == number) {
            return Ok(file.clone());
        }
        if open.len() == MOST {
            open.pop_front();
        }
        let file = File::open(path).or_else(|_| {
            // the process may have too many open files: then those of the other shards are closed
            open.clear();
            File::open(path)
        })?;
        let file = Arc::new(file);
        open.push_back((number, file.clone()));
        Ok(file)
    }
}
