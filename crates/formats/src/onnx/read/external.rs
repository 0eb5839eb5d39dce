//! Tensors whose bytes lie in a file of their own beside the model. Only files in the model's folder are read.

use crate::onnx::proto::StringStringEntryProto;
use frostline_files::regular;
use frostline_graph::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// The `wanted` bytes of the tensor `name`.
pub(super) fn read(
    model: &Path,
    name: &str,
    entries: &[StringStringEntryProto],
    wanted: usize,
) -> Result<Vec<u8>> {
    let entry = |key: &str| {
        let found = entries.iter().find(|entry| entry.key.as_deref() == Some(key));
        found.and_then(|entry| entry.value.as_deref())
    };
    let wrong = |what: String| Error::format(model, format!("the tensor `{name}` {what}"));
    let location = entry("location").unwrap_or_default();
    let is_plain = !location.is_empty()
        && !location.contains('\\')
        && Path::new(location)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_plain {
        return Err(wrong(format!(
            "lies in `{location}`, a path that leads out of the model's folder\nhelp: do not trust this file; save the model with its data beside it"
        )));
    }
    let number = |key: &str, default: u64| match entry(key) {
        None => Ok(default),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| wrong(format!("has the {key} `{text}`\nhelp: the file is damaged"))),
    };
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let data = folder.join(location);
    let io = |source| Error::io(&data, source);
    // a link may lead elsewhere
    let (inside, real) = (folder.canonicalize().map_err(io)?, data.canonicalize().map_err(io)?);
    if !real.starts_with(&inside) {
        return Err(wrong(format!(
            "lies in `{location}`, a link out of the model's folder\nhelp: put the data itself beside the model"
        )));
    }
    let mut file = regular::open(&real).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let (offset, length) = (number("offset", 0)?, number("length", wanted as u64)?);
    let fits = offset.checked_add(length).is_some_and(|end| end <= size) && length == wanted as u64;
    if !fits {
        return Err(wrong(format!(
            "wants {wanted} bytes, `{location}` holds {size} and the model points at {length} of them from {offset}\nhelp: the data belong to another model, or are cut off"
        )));
    }
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = vec![0; wanted];
    file.read_exact(&mut bytes).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(location: &str, offset: &str) -> Vec<StringStringEntryProto> {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        };
        vec![entry("location", location), entry("offset", offset)]
    }

    #[test]
    fn only_files_in_the_models_folder_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("model");
        std::fs::create_dir(&inner).expect("a folder");
        std::fs::write(inner.join("w.data"), [1, 2, 3, 4, 5]).expect("written");
        std::fs::write(folder.path().join("secret"), [0; 8]).expect("written");
        let model = inner.join("m.onnx");
        assert_eq!(read(&model, "w", &at("w.data", "1"), 4).expect("inside"), [2, 3, 4, 5]);
        for (location, offset) in [
            ("../secret", "0"),
            ("/etc/hosts", "0"),
            ("", "0"),
            ("w.data", "2"),
            ("w.data", "x"),
            ("w.data", "18446744073709551615"),
            ("gone", "0"),
        ] {
            let error = read(&model, "w", &at(location, offset), 4).expect_err(location).to_string();
            assert!(error.contains("help:"), "{error}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), inner.join("link")).expect("a link");
            assert!(read(&model, "w", &at("link", "0"), 4).is_err());
        }
    }
}
