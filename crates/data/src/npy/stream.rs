//! An `.npz` that need not fit into memory.

use frostline_files::{FileError, stream_atomically};
use std::io::{self, Write};
use std::path::Path;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// Numpy pads headers to multiples of this.
const ALIGNED: usize = 64;

/// The arrays of an `.npz`, written one after the other.
pub struct NpzWriter<'a> {
    archive: ZipWriter<StreamWriter<&'a mut dyn Write>>,
}

/// Writes an `.npz`, whole or not at all: `fill` writes its arrays. Nothing is compressed.
///
/// Errors: the file cannot be written, or `fill` fails.
pub fn stream_npz(
    path: &Path,
    fill: impl FnOnce(&mut NpzWriter<'_>) -> io::Result<()>,
) -> Result<(), FileError> {
    stream_atomically(path, |file| {
        let mut writer = NpzWriter { archive: ZipWriter::new_stream(file) };
        fill(&mut writer)?;
        writer.archive.finish()?;
        Ok(())
    })
}

impl NpzWriter<'_> {
    /// An array of f32, whose values `write` writes as little-endian bytes.
    pub fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.begin(name, "<f4", shape)?;
        write(&mut self.archive)
    }

    /// An array of i64.
    pub fn integers(
        &mut self,
        name: &str,
        shape: &[usize],
        values: impl Iterator<Item = i64>,
    ) -> io::Result<()> {
        self.begin(name, "<i8", shape)?;
        values.into_iter().try_for_each(|value| self.archive.write_all(&value.to_le_bytes()))
    }

    /// A row of texts; a single one where `shape` is empty.
    pub fn texts<'t>(
        &mut self,
        name: &str,
        shape: &[usize],
        texts: impl Iterator<Item = &'t str> + Clone,
    ) -> io::Result<()> {
        let longest = texts.clone().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
        self.begin(name, &format!("<U{longest}"), shape)?;
        let mut row = vec![0u8; 4 * longest];
        for text in texts {
            row.fill(0);
            for (place, letter) in row.chunks_exact_mut(4).zip(text.chars()) {
                place.copy_from_slice(&u32::from(letter).to_le_bytes());
            }
            self.archive.write_all(&row)?;
        }
        Ok(())
    }

    fn begin(&mut self, name: &str, kind: &str, shape: &[usize]) -> io::Result<()> {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(true);
        self.archive.start_file(format!("{name}.npy"), options)?;
        let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
        let about =
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", extents.trim_end());
        let taken = 10 + about.len() + 1;
        let padding = taken.next_multiple_of(ALIGNED) - taken;
        let len = u16::try_from(about.len() + padding + 1).map_err(io::Error::other)?;
        self.archive.write_all(b"\x93NUMPY\x01\x00")?;
        self.archive.write_all(&len.to_le_bytes())?;
        self.archive.write_all(about.as_bytes())?;
        self.archive.write_all(&vec![b' '; padding])?;
        self.archive.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NpyArray, NpyValues, read};
    use super::*;
    use crate::DataError;

    #[test]
    fn what_is_streamed_is_read_back() -> Result<(), DataError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.npz");
        let values = [1.0f32, -2.0, 3.5, 4.0, 0.0, 6.0];
        stream_npz(&path, |npz| {
            npz.floats("x", &[2, 3], |out| {
                values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
            })?;
            npz.integers("y", &[2], [7, -1].into_iter())?;
            npz.texts("names", &[2], ["žlutý kůň", "b"].into_iter())
        })
        .expect("written");
        let mut found = read(&path)?;
        let floats = NpyArray { shape: vec![2, 3], values: NpyValues::Floats(values.to_vec()) };
        assert_eq!(found.remove("x"), Some(floats));
        let names = found.remove("names").expect("names");
        assert_eq!(names.values, NpyValues::Text(vec!["žlutý kůň".to_owned(), "b".to_owned()]));
        assert_eq!(found.remove("y").and_then(NpyArray::into_tensor).map(|y| y.data), Some(vec![7.0, -1.0]));
        // nothing half-written is left
        let broken = stream_npz(&folder.path().join("b.npz"), |_| Err(io::Error::other("no")));
        assert!(broken.is_err() && !folder.path().join("b.npz").exists());
        Ok(())
    }
}
