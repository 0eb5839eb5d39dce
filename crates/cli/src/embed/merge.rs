//! `frostline merge` of features.

use super::part::{Part, folder_of};
use super::rows::Rows;
use super::{Embedded, writer};
use crate::Failure;
use crate::console::Console;
use frostline::data::{Example, Split, path_text};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Makes one file of the parts that processes have written.
pub(crate) fn merge(output: &Path, as_json: bool, console: &Console) -> Result<(), Failure> {
    let write = writer(output)?;
    let files = complete(output)?;
    let shards = files.len();
    let mut rows = Rows::beside(output)?;
    let mut images: Vec<(Split, Example)> = Vec::new();
    let mut first: Option<Part> = None;
    for (done, path) in files.iter().enumerate() {
        let mut part = Part::open(path)?;
        if let Some(first) = &first
            && let Some(how) = first.key.difference(&part.key)
        {
            return Err(format!(
                "`{}` was made with {how} than `{}`\nhelp: start all shards with the same flags, on machines of one kind",
                part.path.display(),
                first.path.display()
            )
            .into());
        }
        part.copy_rows(&mut rows)?;
        images.append(&mut part.images);
        first.get_or_insert(part);
        console.count("merging", done + 1, shards);
    }
    console.clear();
    let Some(first) = first.filter(|_| !images.is_empty()) else {
        return Err(format!(
            "`{}`: no image could be read in any of {shards} shards\nhelp: give JPEG or PNG files",
            output.display()
        )
        .into());
    };
    let sound: Vec<(Split, &Example)> = images.iter().map(|(split, example)| (*split, example)).collect();
    let embedded = Embedded {
        layer: &first.layer,
        shape: &first.shape,
        classes: &first.classes,
        labels: first.labels,
        label_len: first.label_len,
        sound: &sound,
    };
    write(output, &embedded, rows)?;
    if as_json {
        return console.print(json!({
            "images": sound.len(), "shape": first.shape, "layer": first.layer, "shards": shards, "file": path_text(output),
        }));
    }
    console.print(format_args!(
        "{} images of {shards} shards: `{}`; `{}` is not needed any more",
        sound.len(),
        output.display(),
        folder_of(output).display()
    ))
}

/// The parts in their order, where all are there.
fn complete(output: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder_of(output);
    let mut found: BTreeMap<usize, BTreeMap<usize, PathBuf>> = BTreeMap::new();
    for path in std::fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
    {
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".part"));
        let numbers = name.and_then(|name| name.split_once("-of-"));
        if let Some((Ok(index), Ok(of))) = numbers.map(|(index, of)| (index.parse(), of.parse())) {
            found.entry(of).or_default().insert(index, path);
        }
    }
    let counts: Vec<String> = found.keys().map(usize::to_string).collect();
    let Some((of, parts)) = found.into_iter().next_back() else {
        return Err(format!(
            "`{}` holds no parts of `{}`\nhelp: `frostline embed ... -o {} --shard I/N` writes them",
            folder.display(),
            output.display(),
            output.display()
        )
        .into());
    };
    if counts.len() > 1 {
        return Err(format!(
            "`{}` holds parts of jobs of {} shards\nhelp: remove those of the earlier job",
            folder.display(),
            counts.join(" and of ")
        )
        .into());
    }
    let missing: Vec<String> =
        (0..of).filter(|index| !parts.contains_key(index)).map(|index| format!("{index}/{of}")).collect();
    match missing.is_empty() {
        true => Ok(parts.into_values().collect()),
        false => Err(format!(
            "`{}`: the shards {} are missing\nhelp: let them end, or start them again with the same command",
            output.display(),
            missing.join(", ")
        )
        .into()),
    }
}
