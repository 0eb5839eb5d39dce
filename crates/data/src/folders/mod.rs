//! Class folders: `DATA/CLASS/photo.jpg`, or `DATA/{train,val,test}/CLASS/photo.jpg`.

mod layout;
mod tree;

use std::path::{Path, PathBuf};

use super::choose::positions;
use super::dataset::listed;
use super::exclude::{Exclude, Excluding};
use super::file_name::same_name;
use super::{DataError, Dataset, Example, Input, Reading, Target, path_text};
use layout::Layout;
use tree::{Tree, below};

/// `known`: see [`layout::of`].
pub(super) fn read(source: &Path, known: Option<&[String]>, reading: &Reading) -> Result<Dataset, DataError> {
    let mut dataset = Dataset { source: source.to_path_buf(), class_names_known: true, ..Dataset::default() };
    let mut excluding = Excluding::by(&reading.exclude);
    let top = Tree::read(source, &mut excluding)?;
    dataset.warnings.extend(excluding.told(EXCLUDED));
    dataset.warnings.extend(top.merged_names());
    let known = known.or(reading.classes.as_deref());
    let packed = top.others.iter().filter(|file| super::packed::is_packed(file));
    let packed: Vec<String> = packed.map(|file| below(file, source)).collect();
    if !packed.is_empty() {
        dataset.warnings.push(format!(
            "{} tar or Parquet files beside photos are left out: {}; give their own folder to read them",
            packed.len(),
            listed(&packed)
        ));
    }
    empty_folders(&top, &mut dataset.warnings);
    let Layout { train, mut classes, others, has_parts } = layout::of(&top, known, &mut dataset.warnings)?;
    if !std::ptr::eq(train, &top) {
        empty_folders(train, &mut dataset.warnings);
    }
    if classes.is_empty() {
        let message = match (train.folders.len(), train.pictures.len() + train.others.len()) {
            (0, 0) => "is empty".to_owned(),
            (0, files) => format!("holds {files} files but no class folder"),
            (folders, _) => format!("holds no photo in any of its {folders} folders"),
        };
        return Err(DataError::source(
            &train.path,
            message,
            "make one folder a class and put its photos there, as JPEG or PNG files",
        ));
    }
    if let Some(folder) = classes.iter().find(|folder| !folder.has_plain_name) {
        return Err(DataError::source(
            &folder.path,
            format!(
                "the name of the folder, `{}`, is no UTF-8, and cannot be the name of a class",
                folder.name
            ),
            "rename the folder",
        ));
    }
    dataset.has_parts = has_parts;
    if let Some(wanted) = &reading.classes {
        let there: Vec<String> = classes.iter().map(|folder| folder.name.clone()).collect();
        let kept = positions(&train.path, wanted, &there)?;
        dataset.warnings.extend(not_named(&classes, &kept));
        classes = kept.into_iter().map(|at| classes[at]).collect();
    }
    dataset.classes = classes.iter().map(|folder| folder.name.clone()).collect();
    dataset.train = read_classes(train, &classes, &mut dataset)?;
    for (split, part) in others {
        empty_folders(part, &mut dataset.warnings);
        let mut classes: Vec<&Tree> = part.filled().collect();
        if reading.classes.is_some() {
            classes.retain(|folder| dataset.classes.iter().any(|class| same_name(class, &folder.name)));
        }
        let examples = read_classes(part, &classes, &mut dataset)?;
        dataset.set_split(split, examples);
    }
    Ok(dataset)
}

/// What patterns leave out here.
const EXCLUDED: &str = "files and folders";

/// Says which class folders are left out because they are not named.
fn not_named(classes: &[&Tree], kept: &[usize]) -> Option<String> {
    let others = classes.iter().enumerate().filter(|(at, _)| !kept.contains(at));
    let others: Vec<&String> = others.map(|(_, folder)| &folder.name).collect();
    (!others.is_empty()).then(|| {
        format!(
            "{} class folders that the setting `classes` does not name are left out: {}",
            others.len(),
            listed(&others)
        )
    })
}

/// The examples of one part.
fn read_classes(part: &Tree, folders: &[&Tree], dataset: &mut Dataset) -> Result<Vec<Example>, DataError> {
    if !part.pictures.is_empty() {
        dataset.warnings.push(format!(
            "{} photos directly in `{}` are left out: they have no class",
            part.pictures.len(),
            path_text(&part.path)
        ));
    }
    let mut examples = Vec::new();
    for folder in folders {
        let class = dataset.classes.iter().position(|class| same_name(class, &folder.name)).ok_or_else(|| {
            DataError::source(
                &folder.path,
                format!(
                    "class `{}` is not among the classes of `train`: {}",
                    folder.name,
                    listed(&dataset.classes)
                ),
                "rename the folder, add photos of that class to `train`, or leave the folder out with the setting `exclude`",
            )
        })?;
        examples.extend(folder.all_pictures().into_iter().map(|file| Example {
            name: below(file, &dataset.source),
            input: Input::File(file.to_path_buf()),
            target: Target::Class(class),
        }));
    }
    dataset.warnings.extend(Tree::left_out(folders, &part.path));
    Ok(examples)
}

/// Names the folders that hold no picture at all.
fn empty_folders(above: &Tree, warnings: &mut Vec<String>) {
    for folder in above.folders.iter().filter(|folder| !folder.holds_picture()) {
        let mut files = 0;
        folder.visit(&mut |folder| files += folder.others.len() + folder.special.len());
        let what = match files {
            0 => String::new(),
            files => format!(", only {files} files that are named as no picture is"),
        };
        warnings.push(format!("`{}` holds no photo{what}: it is left out", path_text(&folder.path)));
    }
}

/// Whether a file's name ends as a picture's, of a kind that is read or not.
pub fn is_named_as_picture(path: &Path) -> bool {
    tree::is_picture(path)
}

/// The photos of a folder that holds some and no class folder with any; none otherwise.
pub(super) fn without_classes(folder: &Path, reading: &Reading) -> Option<Dataset> {
    let mut excluding = Excluding::by(&reading.exclude);
    let tree = Tree::read(folder, &mut excluding).ok()?;
    if tree.pictures.is_empty() || tree.folders.iter().any(Tree::holds_picture) || reading.classes.is_some() {
        return None;
    }
    let (files, warnings) = pictures_in(folder, &reading.exclude).ok()?;
    let mut dataset = Dataset::of_files(folder, files);
    dataset.warnings = warnings;
    dataset.reading = reading.clone();
    Some(dataset)
}

/// The pictures in a folder and in those below it, those of a folder before those of the folders in it, sorted by name;
/// and what is left out.
pub fn pictures_in(folder: &Path, exclude: &Exclude) -> Result<(Vec<PathBuf>, Vec<String>), DataError> {
    let mut excluding = Excluding::by(exclude);
    let tree = Tree::read(folder, &mut excluding)?;
    let files: Vec<PathBuf> = tree.all_pictures().into_iter().map(Path::to_path_buf).collect();
    if files.is_empty() {
        return Err(DataError::source(folder, "holds no picture", "give JPEG or PNG files"));
    }
    let mut warnings = excluding.told(EXCLUDED);
    warnings.extend(Tree::left_out(&[&tree], folder));
    Ok((files, warnings))
}

#[cfg(test)]
mod tests;
