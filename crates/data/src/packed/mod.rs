//! Files that hold many pictures: shards of tar as WebDataset lays them out, and tables of Parquet as Hugging Face writes them.
//! What is kept in memory is where each picture lies; its bytes are read when they are needed.

mod labels;
mod shards;
mod tar_file;

#[cfg(feature = "parquet")]
mod blocks;
#[cfg(feature = "parquet")]
mod columns;
#[cfg(feature = "parquet")]
mod footer;
#[cfg_attr(feature = "parquet", path = "table.rs")]
#[cfg_attr(not(feature = "parquet"), path = "table_missing.rs")]
mod table;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frostline_files::positioned::read_exact_at;
use frostline_files::regular;

use super::dataset::listed;
use super::exclude::Excluding;
use super::{DataError, Dataset, Example, Input, Reading, Split, Target, path_text};
use labels::Label;
use table::{Blocks, Table};

pub use shards::{is_data_name, shard_names};
pub(super) use shards::{is_packed, is_pattern, of_folder};

/// A picture that lies in a file with others. A copy is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedPicture(Place);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// Bytes of a file.
    Span { file: Arc<Path>, offset: u64, len: u64 },
    /// A row of a table.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "no table is read"))]
    Row { table: Arc<Table>, row: usize },
}

impl PackedPicture {
    /// The file that it lies in.
    pub fn file(&self) -> &Path {
        match &self.0 {
            Place::Span { file, .. } => file,
            Place::Row { table, .. } => table.path(),
        }
    }

    /// What a file with this picture alone would hold. `name` is for messages.
    ///
    /// Errors: the file cannot be read; a row has no picture.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, DataError> {
        match &self.0 {
            Place::Span { file, offset, len } => {
                span(file, *offset, *len).map_err(|error| DataError::io(file, error))
            }
            Place::Row { table, row } => table.picture(*row, name),
        }
    }
}

fn span(file: &Path, offset: u64, len: u64) -> std::io::Result<Vec<u8>> {
    let file = regular::open(file)?;
    // the length is that of a part of the file, which was looked at
    let mut bytes = vec![0; usize::try_from(len).map_err(std::io::Error::other)?];
    read_exact_at(&file, &mut bytes, offset)?;
    Ok(bytes)
}

/// A picture with what the file says of it.
struct Found {
    place: Place,
    /// Its name in the file; the number of its row, where it has none.
    name: String,
    label: Option<Label>,
    /// The part that the file says it is of.
    split: Option<Split>,
}

/// What one file holds.
struct Contents {
    found: Vec<Found>,
    /// Names of the classes that labels are numbers of.
    names: Option<Vec<String>>,
    /// Members or columns that are left out.
    others: Vec<String>,
    /// Whether the names of pictures are their own, not numbers of rows.
    has_names: bool,
}

/// What is wanted of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labelled {
    /// There is something to learn.
    Needed,
    /// Pictures are enough.
    IfThere,
    /// Nobody asks for them.
    Ignored,
}

/// Reads files that hold many pictures: `source` is one, a pattern of several, or a folder of them.
pub(super) fn read(source: &Path, reading: &Reading, labelled: Labelled) -> Result<Dataset, DataError> {
    let shards = shards::of(source)?;
    let mut excluding = Excluding::by(&reading.exclude);
    let mut files: Vec<(PathBuf, Contents)> = Vec::with_capacity(shards.files.len());
    let blocks = Arc::new(Blocks::default());
    for path in &shards.files {
        let below = path.strip_prefix(&shards.base).unwrap_or(path);
        if excluding.path(&path_text(below).replace('\\', "/")) {
            continue;
        }
        let mut contents = match shards::is_tar(path) {
            true => tar_file::read(path)?,
            false => table::read(path, &blocks)?,
        };
        contents.found.retain(|found| !excluding.path(&found.name));
        files.push((below.to_path_buf(), contents));
    }
    tar_file::label_by_folders(&mut files);
    let mut dataset = Dataset { source: source.to_path_buf(), ..Dataset::default() };
    dataset.warnings.extend(excluding.told("files and pictures"));
    dataset.warnings.extend(left_out(&files));
    let count: usize = files.iter().map(|(_, contents)| contents.found.len()).sum();
    if count == 0 {
        return Err(DataError::source(
            source,
            "holds no picture",
            "give tar files with members as `0001.jpg` and `0001.cls`, or Parquet files with a column of images",
        ));
    }
    dataset.warnings.push(format!(
        "{count} pictures in {} {}",
        files.len(),
        match (files.len(), shards::is_tar(&shards.files[0])) {
            (1, true) => "tar file",
            (_, true) => "tar files",
            (1, false) => "Parquet file",
            (_, false) => "Parquet files",
        }
    ));
    examples(&mut dataset, files, &shards, reading, labelled)?;
    Ok(dataset)
}

/// Says which members are no pictures and no labels, or which columns hold pictures that are not read.
fn left_out(files: &[(PathBuf, Contents)]) -> Option<String> {
    let others: Vec<&String> = files.iter().flat_map(|(_, contents)| &contents.others).collect();
    if others.is_empty() {
        return None;
    }
    if files.iter().all(|(path, _)| shards::is_tar(path)) {
        let count = others.len();
        return Some(format!(
            "{count} members that are no pictures and no labels are left out: {}",
            listed(&others)
        ));
    }
    let columns: Vec<&String> = others.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    Some(format!("other columns of images are left out: {}", listed(&columns)))
}

/// Puts what was found into the parts of a dataset.
fn examples(
    dataset: &mut Dataset,
    files: Vec<(PathBuf, Contents)>,
    shards: &shards::Shards,
    reading: &Reading,
    labelled: Labelled,
) -> Result<(), DataError> {
    let source = dataset.source.clone();
    let names = class_names(&source, &files, shards)?;
    let own = {
        let mut seen = HashSet::new();
        files.iter().all(|(_, contents)| {
            contents.has_names && contents.found.iter().all(|found| seen.insert(found.name.as_str()))
        })
    };
    let mut pictures: Vec<(Split, Input, String)> = Vec::new();
    let mut said: Vec<Option<Label>> = Vec::new();
    let (mut parts, mut unlabelled) = (HashSet::new(), 0);
    let is_unknown = |found: &Found| found.label.as_ref().is_some_and(Label::is_unknown);
    let are_labels = files.iter().any(|(_, contents)| contents.found.iter().any(|found| !is_unknown(found)));
    for (file, contents) in files {
        let of_file = shards::part(&file);
        let mut seen = HashSet::new();
        let in_file =
            contents.has_names && contents.found.iter().all(|found| seen.insert(found.name.clone()));
        let file = path_text(&file).replace('\\', "/");
        for Found { place, name, label, split } in contents.found {
            let split = split.or(of_file);
            let label =
                label.filter(|label| labelled != Labelled::Ignored && (are_labels || !label.is_unknown()));
            // what has no answers, as the test part of a contest, is no part
            if label.as_ref().is_some_and(Label::is_unknown) {
                unlabelled += 1;
                continue;
            }
            // a name says more than a number, where it is that of one picture
            let name = match (own, in_file, &place) {
                (true, ..) => name,
                (false, false, Place::Row { row, .. }) => format!("{file}[{row}]"),
                (false, ..) => format!("{file}/{name}"),
            };
            parts.insert(split);
            pictures.push((split.unwrap_or(Split::Train), Input::Packed(PackedPicture(place)), name));
            said.push(label);
        }
    }
    if unlabelled > 0 {
        dataset.warnings.push(format!(
            "{unlabelled} pictures whose label is -1, which says that it is not known, are left out"
        ));
    }
    if parts.len() == 1 {
        // one part alone is the whole
        pictures.iter_mut().for_each(|(split, _, _)| *split = Split::Train);
    }
    dataset.has_parts = parts.len() > 1;
    let targets = match said.iter().position(Option::is_none) {
        None => {
            let said: Vec<Label> = said.into_iter().flatten().collect();
            labels::targets(dataset, &said, names, reading)?
        }
        Some(first) if labelled == Labelled::Needed || said.iter().any(Option::is_some) => {
            return Err(DataError::source(
                &source,
                format!(
                    "`{}` has no label, as {} of its {} pictures",
                    pictures[first].2,
                    said.iter().filter(|one| one.is_none()).count(),
                    said.len()
                ),
                "a tar needs `KEY.cls`, `KEY.txt` or `KEY.json` beside `KEY.jpg`, or a folder a class; Parquet a column `label`; leave others out with the setting `exclude`",
            ));
        }
        Some(_) => vec![Target::Labels(Vec::new()); said.len()],
    };
    let mut splits: [Vec<Example>; 3] = Default::default();
    for ((split, input, name), target) in pictures.into_iter().zip(targets) {
        splits[split as usize].push(Example { input, target, name });
    }
    for (split, examples) in Split::ALL.into_iter().zip(splits) {
        if !examples.is_empty() {
            dataset.set_split(split, examples);
        }
    }
    Ok(())
}

/// The names of the classes: those that the files say, which must agree; else those of a list beside them.
fn class_names(
    source: &Path,
    files: &[(PathBuf, Contents)],
    shards: &shards::Shards,
) -> Result<Option<Vec<String>>, DataError> {
    let mut found: Option<(&Path, &Vec<String>)> = None;
    for (path, contents) in files {
        match (&contents.names, found) {
            (Some(names), Some((other, others))) if names != others => {
                return Err(DataError::source(
                    source,
                    format!("`{}` and `{}` name their classes otherwise", path_text(other), path_text(path)),
                    "give the files of one dataset",
                ));
            }
            (Some(names), _) => found = Some((path, names)),
            (None, _) => {}
        }
    }
    match found {
        Some((_, names)) => Ok(Some(names.clone())),
        None => shards.class_names(),
    }
}

/// Opens a file and tells its length.
fn opened(path: &Path) -> Result<(File, u64), DataError> {
    let open = || {
        let file = regular::open(path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    };
    open().map_err(|error| DataError::io(path, error))
}
