//! `.keras` files put together by hand.

use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The entries of an archive, by name.
pub(crate) fn unpack(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut read = |index: usize| {
        let mut entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        (name, bytes)
    };
    (0..ZipArchive::new(Cursor::new(bytes)).expect("an archive").len()).map(&mut read).collect()
}

pub(crate) fn pack(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(name.as_str(), options).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

/// The archive with the text of its config changed; the text to be replaced must be there.
pub(crate) fn with_config(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut entries = unpack(bytes);
    let config = entries.iter_mut().find(|(name, _)| name == "config.json").expect("a config");
    let text = String::from_utf8(std::mem::take(&mut config.1)).expect("text");
    assert!(text.contains(from), "the config does not hold {from}");
    config.1 = text.replacen(from, to, 1).into_bytes();
    pack(&entries)
}
