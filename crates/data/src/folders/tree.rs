//! A folder of photos and all that lies below it, read once. What cannot be told is an error, never a gap: a class that
//! vanishes would be a wrong answer.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::dataset::listed;
use crate::exclude::Excluding;
use crate::file_name::{composed, text_of};
use crate::{DataError, path_text};
use frostline_files::regular;

/// Folders in folders are walked to this depth, from the source down: a link may lead back up.
const MAX_DEPTH: usize = 10;

/// Endings of pictures. Those that are no JPEG or PNG are listed too, so that the check names them.
const PICTURES: [&str; 13] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "heic", "heif", "avif"];

/// What systems leave in folders of photos, beside hidden entries.
const OF_THE_SYSTEM: [&str; 10] = [
    "__macosx",
    "@eadir",
    "@recycle",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
    "thumbs.db",
    "desktop.ini",
];

/// A folder, without hidden entries and those of systems; what is in it is sorted by name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its name, with accents as one with their letters; escaped where it is no UTF-8.
    pub(super) name: String,
    /// Whether that is its name to the letter.
    pub(super) has_plain_name: bool,
    /// Files with the ending of a picture.
    pub(super) pictures: Vec<PathBuf>,
    /// Other files.
    pub(super) others: Vec<PathBuf>,
    /// What is no file and no folder, and what it is.
    pub(super) special: Vec<(PathBuf, &'static str)>,
    /// Folders.
    pub(super) folders: Vec<Tree>,
    /// Where other folders lie whose names are the same, and which are read as this one.
    pub(super) merged: Vec<PathBuf>,
}

impl Tree {
    /// Reads a folder and those below it.
    ///
    /// Errors: something cannot be read, or told to be a file or a folder; folders in folders without end.
    pub(super) fn read(folder: &Path, excluding: &mut Excluding<'_>) -> Result<Self, DataError> {
        Self::below(folder, folder, 0, excluding)
    }

    fn below(
        folder: &Path,
        top: &Path,
        depth: usize,
        excluding: &mut Excluding<'_>,
    ) -> Result<Self, DataError> {
        if depth > MAX_DEPTH {
            return Err(DataError::source(
                folder,
                format!("lies more than {MAX_DEPTH} folders deep"),
                "remove links that lead back up, or move the photos up",
            ));
        }
        let name = folder.file_name().unwrap_or_default();
        let mut tree = Self {
            path: folder.to_path_buf(),
            name: composed(&text_of(name)),
            has_plain_name: name.to_str().is_some(),
            ..Self::default()
        };
        let mut entries = std::fs::read_dir(folder)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| DataError::io(folder, error))?;
        entries.sort_by_key(std::fs::DirEntry::path);
        let mut folders = Vec::new();
        for entry in entries {
            let (path, name) = (entry.path(), text_of(&entry.file_name()));
            if name.starts_with('.') || OF_THE_SYSTEM.contains(&name.to_lowercase().as_str()) {
                continue;
            }
            if excluding.path(&composed(&below(&path, top))) {
                continue;
            }
            let about = match std::fs::metadata(&path) {
                Ok(about) => about,
                // the check names it
                Err(error) if error.kind() == ErrorKind::NotFound && is_picture(&path) => {
                    tree.pictures.push(path);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(leads_nowhere(&path)),
                Err(error) => return Err(DataError::io(&path, error)),
            };
            match regular::what_it_is(&about) {
                None if is_picture(&path) => tree.pictures.push(path),
                None => tree.others.push(path),
                Some(_) if about.is_dir() => folders.push(path),
                Some(kind) => tree.special.push((path, kind)),
            }
        }
        for path in &folders {
            let folder = Self::below(path, top, depth + 1, excluding)?;
            // two ways to write one name are one folder
            match tree.folders.iter_mut().find(|other| other.name == folder.name && other.has_plain_name) {
                Some(other) => other.merge(folder),
                None => tree.folders.push(folder),
            }
        }
        Ok(tree)
    }

    /// Takes in what another folder of the same name holds.
    fn merge(&mut self, other: Tree) {
        self.merged.push(other.path.clone());
        self.pictures.extend(other.pictures);
        self.others.extend(other.others);
        self.special.extend(other.special);
        for folder in other.folders {
            match self.folders.iter_mut().find(|own| own.name == folder.name) {
                Some(own) => own.merge(folder),
                None => self.folders.push(folder),
            }
        }
    }

    /// Says which folders are one because their names differ in how accents are written alone.
    pub(super) fn merged_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.visit(&mut |folder| {
            found.extend(folder.merged.iter().map(|other| {
                format!(
                    "`{}` and `{}` have one name, whose accents are written in two ways (NFC and NFD): they are read as one folder",
                    folder.path.display(),
                    other.display()
                )
            }));
        });
        found
    }

    /// The folders that hold a picture, however far down.
    pub(super) fn filled(&self) -> impl Iterator<Item = &Tree> {
        self.folders.iter().filter(|folder| folder.holds_picture())
    }

    /// Whether there is a picture, however far down.
    pub(super) fn holds_picture(&self) -> bool {
        !self.pictures.is_empty() || self.folders.iter().any(Self::holds_picture)
    }

    /// Calls with this folder and all below it.
    pub(super) fn visit<'a>(&'a self, each: &mut dyn FnMut(&'a Tree)) {
        each(self);
        self.folders.iter().for_each(|folder| folder.visit(each));
    }

    /// All pictures: those of a folder before those of the folders in it.
    pub(super) fn all_pictures(&self) -> Vec<&Path> {
        let mut found = Vec::new();
        self.visit(&mut |folder| found.extend(folder.pictures.iter().map(PathBuf::as_path)));
        found
    }

    /// Says what is left out because it is no picture. `among`: these folders and all below them.
    pub(super) fn left_out(among: &[&Tree], of: &Path) -> Vec<String> {
        let (mut others, mut special) = (Vec::new(), Vec::new());
        for tree in among {
            tree.visit(&mut |folder| {
                others.extend(folder.others.iter().map(|path| below(path, of)));
                special.extend(folder.special.iter().map(|(path, kind)| (below(path, of), *kind)));
            });
        }
        let mut warnings: Vec<String> = special
            .iter()
            .map(|(name, kind)| format!("`{name}` is {kind}, no file: it is left out"))
            .collect();
        if !others.is_empty() {
            warnings.push(format!(
                "{} files in `{}` are no pictures and are left out: {}",
                others.len(),
                path_text(of),
                listed(&others)
            ));
        }
        warnings
    }
}

/// The name of what lies below a folder, with `/`; unique among them.
pub(super) fn below(path: &Path, folder: &Path) -> String {
    let parts: Vec<String> = path
        .strip_prefix(folder)
        .unwrap_or(path)
        .components()
        .map(|part| text_of(part.as_os_str()))
        .collect();
    parts.join("/")
}

fn leads_nowhere(path: &Path) -> DataError {
    let to = std::fs::read_link(path).map_or(String::new(), |to| format!(" to `{}`", path_text(&to)));
    DataError::source(
        path,
        format!("is a link{to}, where there is nothing: a class or photos may be missing"),
        "mend the link or remove it",
    )
}

/// True where the name ends as a picture's.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| PICTURES.contains(&e.as_str()))
}
