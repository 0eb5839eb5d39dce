//! Class folders: `DATA/CLASS/photo.jpg`, or `DATA/{train,val,test}/CLASS/photo.jpg`.

use std::path::{Path, PathBuf};

use super::dataset::listed;
use super::{DataError, Dataset, Example, Input, Split, Target};

/// Folders in folders are walked to this depth: a link may lead back up.
const MAX_DEPTH: usize = 8;

/// Endings of pictures. Those that are no JPEG or PNG are listed too, so that the check names them.
const PICTURES: [&str; 13] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "heic", "heif", "avif"];

pub(super) fn read(source: &Path) -> Result<Dataset, DataError> {
    let mut dataset = Dataset { source: source.to_path_buf(), class_names_known: true, ..Dataset::default() };
    let top = entries(source)?;
    let has_classes = top.folders.iter().any(|path| Split::from_user(&name(path)).is_none());
    let mut splits: Vec<(Split, &PathBuf)> = Vec::new();
    for path in &top.folders {
        // beside classes, a folder `train` of photos is a class too: pictures of trains
        if let Some(split) = Split::from_user(&name(path))
            && !(has_classes && holds_pictures_alone(path)?)
        {
            splits.push((split, path));
        }
    }
    if !splits.iter().any(|(split, _)| *split == Split::Train) {
        if !splits.is_empty() && splits.len() == top.folders.len() {
            return Err(DataError::source(
                source,
                format!("has `{}` but no `train`", name(splits[0].1)),
                "put the classes to train on below `train/`",
            ));
        }
        dataset.train =
            read_classes(source, source, &mut dataset.classes, &mut dataset.warnings, Split::Train)?;
        return Ok(dataset);
    }
    for split in Split::ALL {
        let mut found = splits.iter().filter(|(s, _)| *s == split);
        let Some((_, folder)) = found.next() else { continue };
        if let Some((_, second)) = found.next() {
            return Err(DataError::source(
                source,
                format!("has both `{}` and `{}`", name(folder), name(second)),
                "keep one of them",
            ));
        }
        let examples = read_classes(source, folder, &mut dataset.classes, &mut dataset.warnings, split)?;
        dataset.set_split(split, examples);
    }
    if let Some(other) = top.folders.iter().find(|path| !splits.iter().any(|(_, split)| split == path)) {
        dataset.warnings.push(format!(
            "`{}` beside `train` is left out: only train, val and test are read",
            other.display()
        ));
    }
    Ok(dataset)
}

/// The examples of one split. The classes of `train`, which is read first, are the classes of all.
fn read_classes(
    source: &Path,
    folder: &Path,
    classes: &mut Vec<String>,
    warnings: &mut Vec<String>,
    split: Split,
) -> Result<Vec<Example>, DataError> {
    let top = entries(folder)?;
    if top.folders.is_empty() {
        let message = match top.files.is_empty() {
            true => "is empty".to_owned(),
            false => format!("holds {} files but no class folder", top.files.len()),
        };
        return Err(DataError::source(folder, message, "make one folder a class and put its photos there"));
    }
    if top.files.iter().any(|path| is_picture(path)) {
        warnings.push(format!("photos directly in `{}` are left out: they have no class", folder.display()));
    }
    if split == Split::Train {
        *classes = top.folders.iter().map(|path| name(path)).collect();
    }
    let (mut examples, mut others) = (Vec::new(), 0);
    for path in &top.folders {
        let class_name = name(path);
        let class = classes.iter().position(|c| *c == class_name).ok_or_else(|| {
            DataError::source(
                path,
                format!("class `{class_name}` is not among the classes of `train`: {}", listed(classes)),
                "rename the folder, or add photos of that class to `train`",
            )
        })?;
        let mut files = Vec::new();
        walk(path, 0, &mut files)?;
        let before = examples.len();
        for file in files {
            if !is_picture(&file) {
                others += 1;
                continue;
            }
            let below = file.strip_prefix(source).unwrap_or(&file);
            let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
            examples.push(Example {
                name: parts.join("/"),
                input: Input::File(file),
                target: Target::Class(class),
            });
        }
        if examples.len() == before && split == Split::Train {
            return Err(DataError::source(
                path,
                "the class folder holds no photo",
                "add JPEG or PNG photos of that class, or remove the folder",
            ));
        }
    }
    if others > 0 {
        warnings.push(format!("{others} files in `{}` are no pictures and are left out", folder.display()));
    }
    Ok(examples)
}

/// Pictures, and no folder.
fn holds_pictures_alone(folder: &Path) -> Result<bool, DataError> {
    let found = entries(folder)?;
    Ok(found.folders.is_empty() && found.files.iter().any(|path| is_picture(path)))
}

#[derive(Default)]
struct Entries {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

/// What lies in a folder, hidden entries left out, sorted by name.
fn entries(folder: &Path) -> Result<Entries, DataError> {
    let mut found = Entries::default();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let path = entry.map_err(|e| DataError::io(folder, e))?.path();
        if name(&path).starts_with('.') {
            continue;
        }
        // A link to nothing is listed as a file, so that the check names it.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => found.folders.push(path),
            _ => found.files.push(path),
        }
    }
    found.folders.sort();
    found.files.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if depth > MAX_DEPTH {
        return Err(DataError::source(
            folder,
            format!("lies more than {MAX_DEPTH} folders below its class"),
            "remove links that lead back up, or move the photos up",
        ));
    }
    let found = entries(folder)?;
    files.extend(found.files);
    for path in found.folders {
        walk(&path, depth + 1, files)?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The pictures in a folder and in those below it, sorted by name within each.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    walk(folder, 0, &mut files)?;
    files.retain(|path| is_picture(path));
    if files.is_empty() {
        return Err(DataError::source(folder, "holds no picture", "give JPEG or PNG files"));
    }
    Ok(files)
}

/// True where the name ends as a picture's.
fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| PICTURES.contains(&e.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !file.ends_with('/') {
                std::fs::write(path, b"x").unwrap();
            }
        }
        folder
    }

    #[test]
    fn class_folders_are_classes_in_the_order_of_their_names() {
        let folder = tree(&["dog/2.png", "cat/b.JPG", "cat/sub/a.jpeg", "dog/notes.txt", ".git/x.png"]);
        let dataset = data::open(folder.path()).unwrap();
        assert_eq!(dataset.classes, ["cat", "dog"]);
        let names: Vec<&str> = dataset.train.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["cat/b.JPG", "cat/sub/a.jpeg", "dog/2.png"]);
        assert!(dataset.warnings[0].contains("1 files"), "{:?}", dataset.warnings);
    }

    #[test]
    fn splits_share_the_classes_of_train() {
        let folder = tree(&["train/a/1.png", "train/b/1.png", "valid/b/2.png", "test/a/3.png"]);
        let dataset = data::open(folder.path()).unwrap();
        assert_eq!(dataset.val.as_ref().unwrap()[0].target, Target::Class(1));
        assert_eq!(dataset.test.as_ref().unwrap()[0].target, Target::Class(0));
        let folder = tree(&["train/a/1.png", "train/b/1.png", "test/c/3.png"]);
        let error = data::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`c` is not among") && error.contains("help:"), "{error}");
    }

    #[test]
    fn a_class_of_trains_is_no_training_split() {
        let folder = tree(&["car/1.png", "train/1.png", "val/1.png"]);
        let dataset = data::open(folder.path()).unwrap();
        assert_eq!(dataset.classes, ["car", "train", "val"]);
        assert_eq!((dataset.train.len(), dataset.val.is_none()), (3, true));
        let folder = tree(&["extra/1.png", "train/a/1.png", "train/b/1.png"]);
        let dataset = data::open(folder.path()).unwrap();
        assert_eq!(dataset.classes, ["a", "b"]);
        assert!(dataset.warnings[0].contains("extra"), "{:?}", dataset.warnings);
    }

    #[test]
    fn an_empty_class_and_a_single_class_are_errors() {
        let folder = tree(&["a/1.png", "b/"]);
        std::fs::create_dir_all(folder.path().join("b")).unwrap();
        let error = data::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("/b`") && error.contains("holds no photo"), "{error}");
        let error = data::open(tree(&["a/1.png"]).path()).unwrap_err().to_string();
        assert!(error.contains("one class, `a`"), "{error}");
        let error = data::open(tree(&["1.png"]).path()).unwrap_err().to_string();
        assert!(error.contains("no class folder"), "{error}");
    }
}
