//! Files for the binary to read: pictures, arrays, archives.

#[path = "../../../../tests/rust/npy.rs"]
mod npy;

pub(crate) use npy::npy;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The entries of an archive, by name.
pub(crate) fn unpack(path: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("a file");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        entries.push((name, bytes));
    }
    entries
}

pub(crate) fn pack(path: &Path, entries: &[(String, Vec<u8>)]) {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(name.as_str(), options).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    std::fs::write(path, archive.finish().expect("an archive").into_inner()).expect("written");
}

/// A copy of a `.keras` file with the text of its config changed.
pub(crate) fn with_config(from: &str, to: &Path, old: &str, new: &str) {
    let mut entries = unpack(from);
    let config = entries.iter_mut().find(|(name, _)| name == "config.json").expect("a config");
    let text = String::from_utf8(std::mem::take(&mut config.1)).expect("text");
    assert!(text.contains(old), "the config does not hold {old}");
    config.1 = text.replacen(old, new, 1).into_bytes();
    pack(to, &entries);
}

pub(crate) fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    npy(shape, "<f4", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

pub(crate) fn integers(values: &[i64]) -> Vec<u8> {
    npy(&[values.len()], "<i8", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Grey pictures of 28 x 28: dark or light by class, each different.
pub(crate) fn pictures(folder: &Path, class: &str, count: usize, brightness: u8) {
    let folder = folder.join(class);
    std::fs::create_dir_all(&folder).expect("a folder");
    for index in 0..count {
        let picture = image::GrayImage::from_fn(28, 28, |x, y| {
            let noise = (x * 31 + y * 17 + index as u32 * 7) % 40;
            image::Luma([brightness + noise as u8])
        });
        picture.save(folder.join(format!("{index}.png"))).expect("a picture");
    }
}
