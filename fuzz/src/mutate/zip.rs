//! Archives: what is in them changes as it is built, entries are taken out, doubled and renamed, and the archive is packed anew, so that
//! its checksums are right.

use super::{bytes, chance, h5, json, npy};
use fastrand::Rng;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

type Entry = (String, Vec<u8>);

/// A `.keras` archive.
pub fn keras(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    archive(rng, file, others, |rng, name, content| match name.ends_with(".json") {
        true => json(rng, content, &[]),
        false => h5(rng, content, &[]),
    })
}

/// An `.npz`.
pub fn npz(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    archive(rng, file, others, |rng, _, content| npy(rng, content, &[]))
}

fn archive(
    rng: &mut Rng,
    file: &[u8],
    others: &[Vec<u8>],
    change: impl Fn(&mut Rng, &str, &[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let Some(mut entries) = unpack(file).filter(|_| !chance(rng, 15)) else {
        return bytes(rng, file, others);
    };
    for _ in 0..=rng.usize(..2) {
        if entries.is_empty() {
            break;
        }
        // the text of an archive is what most of its reader's code is for
        let texts = entries.iter().position(|(name, _)| name == "config.json").filter(|_| chance(rng, 60));
        let at = texts.unwrap_or_else(|| rng.usize(..entries.len()));
        match rng.u8(..20) {
            0 => drop(entries.remove(at)),
            1 => {
                let copy = entries[at].clone();
                entries.push(copy);
            }
            2 => {
                let names = [
                    "../x",
                    "/x",
                    "model.weights.h5",
                    "config.json",
                    "x_train.npy",
                    "y_train.npy",
                    "x.npy",
                    "frostline.json",
                    "",
                ];
                entries[at].0 = names[rng.usize(..names.len())].to_owned();
            }
            3 => {
                let other = rng.usize(..entries.len());
                let content = entries[other].1.clone();
                entries[at].1 = content;
            }
            _ => entries[at].1 = change(rng, &entries[at].0, &entries[at].1),
        }
    }
    let packed = pack(rng, &entries);
    match chance(rng, 5) {
        true => bytes(rng, &packed, others),
        false => packed,
    }
}

fn unpack(file: &[u8]) -> Option<Vec<Entry>> {
    let mut archive = ZipArchive::new(Cursor::new(file)).ok()?;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let name = entry.name().ok()?.into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        entries.push((name, content));
    }
    Some(entries)
}

fn pack(rng: &mut Rng, entries: &[Entry]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let method = if chance(rng, 25) { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        // a name that is there twice is refused by the writer
        if archive.start_file(name.clone(), options).is_ok() {
            drop(archive.write_all(content));
        }
    }
    archive.finish().map(Cursor::into_inner).unwrap_or_default()
}
