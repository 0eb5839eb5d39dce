//! The photos of an address of which a process needs a part, and learns which when it has seen the names of all.

use super::copy::{Copy, Wanted};
use super::store::Store;
use crate::Failure;
use crate::args::Photos;
use crate::console::Console;
use frostline::data::is_named_as_picture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A copy with an empty file for each photo that was not wanted yet.
pub(super) struct PartOfPhotos {
    store: Store,
    copy: Mutex<Copy>,
    photos: BTreeMap<PathBuf, Wanted>,
}

impl PartOfPhotos {
    /// Brings what is no photo, and has a file for each photo.
    pub(super) fn place(
        store: Store,
        mut copy: Copy,
        wanted: Vec<Wanted>,
        console: &Console,
    ) -> Result<Self, Failure> {
        copy.place(&wanted)?;
        let is_photo = |wanted: &Wanted| is_named_as_picture(Path::new(&wanted.path));
        let (photos, others): (Vec<Wanted>, Vec<Wanted>) = wanted.into_iter().partition(is_photo);
        copy.fetch(&store, others, console)?;
        let photos = photos.into_iter().map(|photo| (copy.path(&photo.path), photo)).collect();
        Ok(Self { store, copy: Mutex::new(copy), photos })
    }
}

impl Photos for PartOfPhotos {
    fn bring(&self, files: &[&Path], console: &Console) -> Result<(), Failure> {
        let wanted = files.iter().filter_map(|file| self.photos.get(*file)).cloned().collect();
        self.copy.lock().unwrap_or_else(PoisonError::into_inner).fetch(&self.store, wanted, console)
    }
}
