//! Which files a source of packed pictures is: one, a pattern of several, or a folder of them; and which parts they are.

use std::path::{Path, PathBuf};

use frostline_files::regular;

use crate::{DataError, Split, is_named_as_picture, path_text};

/// Folders in a folder of shards are walked to this depth: `data/train/0000.parquet`.
const DEEPEST: usize = 4;
/// A pattern that stands for more files is a mistake.
const MOST: u64 = 1 << 20;
/// Lists of class names that lie beside shards.
const CLASS_NAMES: [&str; 3] = ["classes.txt", "classnames.txt", "class_names.txt"];

/// The files of a source.
pub(super) struct Shards {
    /// The folder that their names are told from.
    pub(super) base: PathBuf,
    /// All of one kind, sorted by name.
    pub(super) files: Vec<PathBuf>,
}

/// Whether a path is named as a file that holds many pictures.
pub(crate) fn is_packed(path: &Path) -> bool {
    is_tar(path) || is_table(path) || is_compressed(path)
}

/// Whether a file of a folder of data is of use, by its name: a picture, a file that holds many, or the names of classes.
pub fn is_data_name(path: &Path) -> bool {
    let is_names =
        || path.file_name().is_some_and(|name| CLASS_NAMES.contains(&name.to_string_lossy().as_ref()));
    is_named_as_picture(path) || is_tar(path) || is_table(path) || is_names()
}

/// Whether a name is a pattern of such files: `shard-{000..012}.tar`.
pub(crate) fn is_pattern(path: &Path) -> bool {
    is_packed(path) && path.to_str().is_some_and(|text| first_range(text).is_some())
}

pub(super) fn is_tar(path: &Path) -> bool {
    ends_in(path, &[".tar"])
}

fn is_table(path: &Path) -> bool {
    ends_in(path, &[".parquet", ".pq"])
}

fn is_compressed(path: &Path) -> bool {
    ends_in(path, &[".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"])
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending))
}

/// The files of packed pictures in a folder and below it, sorted; none where there is a picture too. What cannot be read is no
/// such file.
pub(crate) fn of_folder(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !walk(folder, DEEPEST, &mut found) {
        return Vec::new();
    }
    found.sort();
    found
}

/// Collects such files; false at the first picture.
fn walk(folder: &Path, deeper: usize, found: &mut Vec<PathBuf>) -> bool {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let is_folder = match entry.file_type() {
            // only a link needs another look, which takes long where files are many
            Ok(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => path.is_dir(),
        };
        if is_folder {
            if deeper > 0 && !walk(&path, deeper - 1, found) {
                return false;
            }
        } else if is_packed(&path) {
            found.push(path);
        } else if is_named_as_picture(&path) {
            return false;
        }
    }
    true
}

pub(super) fn of(source: &Path) -> Result<Shards, DataError> {
    let above = || source.parent().unwrap_or(Path::new("")).to_path_buf();
    let (base, files) = match () {
        () if source.is_dir() => (source.to_path_buf(), of_folder(source)),
        // a file of that very name is no pattern
        () if is_pattern(source) && !source.exists() => (above(), expanded(source)?),
        () => (above(), vec![source.to_path_buf()]),
    };
    if let Some(compressed) = files.iter().find(|file| is_compressed(file)) {
        return Err(DataError::source(
            compressed,
            "is compressed as a whole, and pictures are read from a tar where they lie",
            "unpack it to a `.tar`, as with `gunzip`: photos are compressed already",
        ));
    }
    if let (Some(tar), Some(table)) =
        (files.iter().find(|file| is_tar(file)), files.iter().find(|file| is_table(file)))
    {
        return Err(DataError::source(
            source,
            format!("holds both tar and Parquet files, as `{}` and `{}`", path_text(tar), path_text(table)),
            "give one of them, or a folder with files of one kind",
        ));
    }
    Ok(Shards { base, files })
}

impl Shards {
    /// The names of classes, one a line, in a list beside the files.
    pub(super) fn class_names(&self) -> Result<Option<Vec<String>>, DataError> {
        let Some(list) = CLASS_NAMES.iter().map(|name| self.base.join(name)).find(|list| list.is_file())
        else {
            return Ok(None);
        };
        let bytes = regular::read(&list).map_err(|error| DataError::io(&list, error))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| DataError::source(&list, "is no UTF-8", "save the list as UTF-8"))?;
        let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        let end = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        Ok(Some(names[..end].to_vec()))
    }
}

/// The part that a file is of by its name or those of its folders: `train-00000-of-00002.parquet`, `val/000.tar`.
pub(super) fn part(below: &Path) -> Option<Split> {
    let stem = below.file_name()?.to_string_lossy();
    // what follows the first number is a count of shards
    let stem = stem.split('.').next().unwrap_or_default().replace("-of-", "-");
    let folders = below.parent().into_iter().flat_map(Path::components);
    let of_folders =
        folders.filter_map(|name| Split::from_user(&name.as_os_str().to_string_lossy())).next_back();
    Split::from_user(&stem).or(of_folders).or_else(|| Split::hinted(&stem))
}

/// `{a..b}` in a name: what is before it, its ends as they are written, what is behind it.
fn first_range(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (range, behind) = rest.split_once('}')?;
    let (first, last) = range.split_once("..")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(first) && is_number(last)).then_some((before, first, last, behind))
}

/// The names that a pattern of shards stands for, as `shard-{000..012}.tar`, in its order; none where it is no such pattern.
///
/// Errors: more than a million names, or a range that counts backwards.
pub fn shard_names(pattern: &str) -> Result<Option<Vec<String>>, DataError> {
    let path = Path::new(pattern);
    is_pattern(path).then(|| names(path, pattern.to_owned())).transpose()
}

fn names(pattern: &Path, text: String) -> Result<Vec<String>, DataError> {
    let too_many = || {
        DataError::source(
            pattern,
            "stands for more than a million files, or counts backwards",
            "write the first and the last number, as `shard-{000..012}.tar`",
        )
    };
    let mut texts = vec![text];
    while let Some((before, first, last, behind)) = first_range(&texts[0]) {
        let (Ok(from), Ok(to)) = (first.parse::<u64>(), last.parse::<u64>()) else { return Err(too_many()) };
        if from > to || (to - from).saturating_add(1).saturating_mul(texts.len() as u64) > MOST {
            return Err(too_many());
        }
        let (width, before, behind) = (first.len(), before.len(), behind.len());
        let each = |text: &String| {
            // the ranges before this one were replaced by numbers of other lengths
            let open = text.find('{').unwrap_or(before);
            let (start, end) = (text[..open].to_owned(), text[text.len() - behind..].to_owned());
            (from..=to).map(move |number| format!("{start}{number:0width$}{end}")).collect::<Vec<_>>()
        };
        texts = texts.iter().flat_map(each).collect();
    }
    Ok(texts)
}

/// The files that a pattern stands for, in its order. Each must be there.
fn expanded(pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files: Vec<PathBuf> = names(pattern, path_text(pattern))?.into_iter().map(PathBuf::from).collect();
    let missing: Vec<&PathBuf> = files.iter().filter(|file| !file.is_file()).collect();
    match missing.first() {
        None => Ok(files),
        Some(first) => Err(DataError::source(
            pattern,
            format!(
                "stands for {} files, of which {} are not there, as `{}`",
                files.len(),
                missing.len(),
                path_text(first)
            ),
            "mend the numbers, which include the last one, or bring the files",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_the_files_that_the_shell_would_give() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a-008.tar", "a-009.tar", "a-010.tar", "b-1-08.tar", "b-1-09.tar"] {
            std::fs::write(folder.path().join(name), b"x").expect("a file");
        }
        let names = |pattern: &str| {
            let files = of(&folder.path().join(pattern)).map(|shards| shards.files);
            files.map(|files| {
                files
                    .iter()
                    .map(|file| path_text(Path::new(file.file_name().unwrap_or_default())))
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(names("a-{008..010}.tar").expect("there"), ["a-008.tar", "a-009.tar", "a-010.tar"]);
        assert_eq!(names("b-{1..1}-{08..09}.tar").expect("there"), ["b-1-08.tar", "b-1-09.tar"]);
        let error = names("a-{008..012}.tar").expect_err("missing").to_string();
        assert!(
            error.contains("stands for 5 files, of which 2 are not there") && error.contains("a-011.tar"),
            "{error}"
        );
        for pattern in ["a-{9..1}.tar", "a-{0..99999999}.tar"] {
            assert!(
                names(pattern).expect_err("refused").to_string().contains("more than a million"),
                "{pattern}"
            );
        }
    }

    #[test]
    fn parts_are_told_by_names_of_files_and_folders() {
        for (name, split) in [
            ("train-00000-of-00002.parquet", Some(Split::Train)),
            ("data/validation-00000-of-00001.parquet", Some(Split::Val)),
            ("default/test/0000.parquet", Some(Split::Test)),
            ("imagenet-train-000001.tar", Some(Split::Train)),
            ("val/shard-7.tar", Some(Split::Val)),
            ("shard-7.tar", None),
        ] {
            assert_eq!(part(Path::new(name)), split, "{name}");
        }
    }
}
