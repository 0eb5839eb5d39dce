//! Keras 3's `.keras`: a zip archive of `config.json`, `metadata.json` and `model.weights.h5`. frostline adds
//! `frostline.json`, which Keras ignores.

use super::chains::without_mixed_chains;
use super::config_out::{Style, model as model_config};
use super::legacy::{KERAS_VERSION, parse};
use super::store;
use crate::{Custom, LoadReport, Loaded, WeightsOptions, hdf5};
use frostline_graph::{Error, Graph, Model, ModelInfo, Result, json};
use serde_json::{Value, json};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// No entry may unpack to more.
const MAX_ENTRY: u64 = 16 << 30;
/// From this size on an entry may not unpack to more than so many times what it takes in the file. Weights do not get much smaller by
/// compression, and Keras does not try; a small file that fills memory was made to.
const LARGE_ENTRY: u64 = 64 << 20;
const MAX_RATIO: u64 = 20;
const INFO: &str = "frostline.json";

/// Reads a whole model.
pub(crate) fn load(path: &Path, bytes: Vec<u8>, custom: &[Custom]) -> Result<Loaded> {
    let damaged =
        |what: String| Error::format(path, format!("{what}\nhelp: the archive is cut off or damaged"));
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(format!("no zip archive: {error}")))?;
    refuse_foreign_paths(path, &mut archive)?;
    let mut entry = |name: &str| read_entry(path, &mut archive, name);
    let wanted = |found: Option<Vec<u8>>, name: &str| {
        found.ok_or_else(|| {
            Error::format(path, format!("the archive holds no `{name}`\nhelp: it is no Keras model"))
        })
    };
    let config = wanted(entry("config.json")?, "config.json")?;
    let config = String::from_utf8(config).map_err(|_| damaged("`config.json` is no text".to_owned()))?;
    let metadata: Value =
        entry("metadata.json")?.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or(Value::Null);
    let weights = wanted(entry("model.weights.h5")?, "model.weights.h5")?;
    let info = entry(INFO)?.and_then(|json| serde_json::from_slice::<ModelInfo>(&json).ok());
    let version = metadata["keras_version"].as_str().unwrap_or("3");
    let mut report = LoadReport::default();
    let (graph, renamed) = parse(path, &config, Some(version), custom, &mut report)?;
    let (weights, found) =
        store::read(path, &[hdf5::open(path, weights)?], &graph, &renamed, WeightsOptions::default())?;
    report.tensors = found.tensors;
    report.loaded = found.loaded;
    report.unused = found.unused;
    report.notes.extend(found.notes);
    let mut info = info.unwrap_or_default();
    info.renamed.extend(renamed.into_map());
    Ok(Loaded { model: Model { graph, weights, info }, report })
}

/// Nothing is ever unpacked to disk; an archive that tries to name a place outside of itself is not to be trusted
/// with the rest either.
fn refuse_foreign_paths(path: &Path, archive: &mut ZipArchive<Cursor<Vec<u8>>>) -> Result<()> {
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| {
            Error::format(
                path,
                format!("entry {index} of the archive cannot be read: {error}\nhelp: the file is damaged"),
            )
        })?;
        let name = entry.name().map(|name| name.into_owned()).unwrap_or_default();
        let is_absolute = name.starts_with(['/', '\\']);
        if is_absolute || entry.enclosed_name().is_none() || name.split(['/', '\\']).any(|part| part == "..")
        {
            return Err(Error::format(
                path,
                format!(
                    "the archive holds an entry `{name}`, a path that leads outside of it\nhelp: do not trust this file"
                ),
            ));
        }
    }
    Ok(())
}

fn read_entry(path: &Path, archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Result<Option<Vec<u8>>> {
    let failed = |what: String| {
        Error::format(path, format!("`{name}` in the archive {what}\nhelp: the file is damaged"))
    };
    if archive.index_for_name(name).is_none() {
        return Ok(None);
    }
    let entry = archive.by_name(name).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let size = entry.size();
    if size > MAX_ENTRY {
        return Err(failed(format!("says it unpacks to {size} bytes")));
    }
    let packed = entry.compressed_size();
    if size > LARGE_ENTRY && size / MAX_RATIO > packed {
        return Err(Error::format(
            path,
            format!(
                "`{name}` in the archive takes {packed} bytes and unpacks to {size}\nhelp: do not trust this file; if it is your own, save it again with Keras, which does not compress"
            ),
        ));
    }
    let mut bytes = Vec::new();
    // one byte more than declared is enough to know that the declaration was wrong
    entry
        .take(size + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(format!("cannot be unpacked: {error}")))?;
    match bytes.len() as u64 == size {
        true => Ok(Some(bytes)),
        false => Err(failed("does not have the size that it says".to_owned())),
    }
}

/// Bytes enough for what an archive holds besides its files.
const DIRECTORY: usize = 4096;

/// What `config.json` holds. Errors name the layer that cannot be written.
pub(crate) fn config_of(graph: &Graph) -> Result<Value, String> {
    let mut config = model_config(graph, Style::Archive)?;
    if let Some(map) = config.as_object_mut() {
        map.insert("compile_config".to_owned(), Value::Null);
    }
    Ok(config)
}

/// A whole model as an archive. The same model gives the same bytes.
pub(crate) fn to_bytes(path: &Path, model: &Model) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::format(path, format!("cannot be written: {error}"));
    let model = &without_mixed_chains(model);
    let config = config_of(&model.graph).map_err(|message| Error::format(path, message))?;
    let mut entries = vec![
        ("metadata.json", json!({"keras_version": KERAS_VERSION}).to_string().into_bytes()),
        ("config.json", json::text(&config).into_bytes()),
        ("model.weights.h5", store::to_bytes(path, model)?),
    ];
    if model.info != ModelInfo::default() {
        let info = serde_json::to_vec(&model.info).map_err(|error| failed(&error))?;
        entries.push((INFO, info));
    }
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(false);
    let content: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
    // a vector that grows as it is written to takes up to thrice its bytes
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(content + DIRECTORY)));
    for (name, bytes) in entries {
        let options = options.large_file(bytes.len() > u32::MAX as usize);
        archive.start_file(name, options).map_err(|error| failed(&error))?;
        archive.write_all(&bytes).map_err(|error| failed(&error))?;
    }
    archive.finish().map(Cursor::into_inner).map_err(|error| failed(&error))
}
