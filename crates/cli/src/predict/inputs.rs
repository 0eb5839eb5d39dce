//! Which pictures are meant: files, folders, patterns, a list on standard input.

use super::Failure;
use crate::args::Predict;
use crate::console::Console;
use frostline::data::{is_named_as_picture, is_packed, open_packed, path_text, pictures_in};
use frostline::predict::Picture;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// What was found so far.
#[derive(Default)]
struct Found {
    pictures: Vec<Picture>,
    folders: usize,
}

/// The pictures, in the order in which they are given. What is left out is told.
pub(super) fn pictures(command: &Predict, console: &Console) -> Result<Vec<Picture>, Failure> {
    let mut found = Found::default();
    for input in &command.inputs {
        if input.as_os_str() == "-" {
            for line in list()? {
                add(&line, command, console, &mut found)?;
            }
        } else if !input.exists() && is_pattern(input) {
            matching(input, command, console, &mut found)?;
        } else {
            add(input, command, console, &mut found)?;
        }
    }
    if found.folders == 0 && !command.excluded.exclude.is_empty() {
        console.warn("--exclude leaves files out of folders, and no folder is given: nothing is left out");
    }
    match found.pictures.is_empty() {
        true => Err("no image is given\nhelp: name images, folders or patterns, or list them on standard input, one path a line".into()),
        false => Ok(found.pictures),
    }
}

/// A file, all pictures of a folder, or those of files that hold many.
fn add(path: &Path, command: &Predict, console: &Console, found: &mut Found) -> Result<(), Failure> {
    if is_packed(path) {
        let dataset = open_packed(path, &command.excluded.patterns())?;
        dataset.warnings.iter().for_each(|line| console.warn(line));
        found.pictures.extend(dataset.examples().filter_map(|(_, example)| Picture::of(example)));
        found.folders += 1;
        return Ok(());
    }
    if !path.is_dir() {
        found.pictures.push(Picture::File(path.to_path_buf()));
        return Ok(());
    }
    let (pictures, left_out) = pictures_in(path, &command.excluded.patterns())?;
    left_out.iter().for_each(|warning| console.warn(warning));
    found.pictures.extend(pictures.into_iter().map(Picture::File));
    found.folders += 1;
    Ok(())
}

/// Paths, one a line. Lines without one are left out.
fn list() -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for line in std::io::stdin().lock().split(b'\n') {
        let mut line = line.map_err(|error| format!("standard input cannot be read: {error}"))?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
            paths.push(path_of(line)?);
        }
    }
    Ok(paths)
}

#[cfg(unix)]
fn path_of(line: Vec<u8>) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStringExt;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(line)))
}

#[cfg(not(unix))]
fn path_of(line: Vec<u8>) -> Result<PathBuf, Failure> {
    let text = String::from_utf8(line);
    let text = text.map_err(|_| "a line of standard input is no UTF-8\nhelp: save the list as UTF-8")?;
    Ok(PathBuf::from(text))
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// What a pattern matches, sorted by name. Of files those that are named as pictures are.
fn matching(pattern: &Path, command: &Predict, console: &Console, found: &mut Found) -> Result<(), Failure> {
    let text = path_text(pattern);
    let paths = glob::glob(&pattern.to_string_lossy()).map_err(|error| {
        format!("`{text}` is neither a file nor a pattern: {error}\nhelp: quote it, and write `[[]` for `[`")
    })?;
    let (mut others, before) = (0, found.pictures.len());
    for path in paths {
        let path =
            path.map_err(|error| format!("`{}` cannot be read: {}", path_text(error.path()), error.error()))?;
        match path.is_dir() || is_named_as_picture(&path) {
            true => add(&path, command, console, found)?,
            false => others += 1,
        }
    }
    if found.pictures.len() == before {
        let but = if others > 0 {
            format!(", only {others} files that are named as no picture is")
        } else {
            String::new()
        };
        return Err(format!(
            "`{text}` matches no picture{but}\nhelp: look at the folder that it begins with"
        )
        .into());
    }
    if others > 0 {
        console.warn(format_args!(
            "{others} files that `{text}` matches are named as no picture is, and are left out"
        ));
    }
    Ok(())
}
