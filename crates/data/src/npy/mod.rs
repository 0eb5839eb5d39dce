//! numpy's `.npy` and `.npz` files, read without pickles and written atomically.

mod batch;
mod header;
mod stream;
mod values;

pub use batch::{Batch, batches};
pub use stream::{NpzWriter, stream_npz};
pub use values::NpyValues;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use super::DataError;
use frostline_files::{FileError, write_atomically};
use frostline_graph::Tensor;

/// The largest array that is read, in bytes: a small zip can claim to hold more than memory.
const MAX_BYTES: u64 = 1 << 36;
/// So many bytes are reserved at once where a file says that it holds them, or more.
const MAX_RESERVED: u64 = 1 << 30;
/// From this size on a compressed array may not unpack to more than so many times what it takes in the file: a small file that fills memory
/// was made to. Labels with a column for each class are zeros almost everywhere, and get smaller by compression than any picture does.
const LARGE_ENTRY: u64 = 64 << 20;
const MAX_RATIO: u64 = 200;

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: NpyValues,
}

impl NpyArray {
    /// The values as f32; none for text.
    pub fn into_tensor(self) -> Option<Tensor> {
        let data = self.values.into_floats()?;
        Some(Tensor { shape: self.shape, data })
    }
}

/// Reads every array of an `.npz`, or the one of an `.npy` under the name `array`.
pub fn read(path: &Path) -> Result<BTreeMap<String, NpyArray>, DataError> {
    Ok(read_some(path, |_| true)?.0)
}

/// Reads those arrays of an `.npz` whose names are wanted. The names of the others come second: they are not unpacked.
pub(crate) fn read_some(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<(BTreeMap<String, NpyArray>, Vec<String>), DataError> {
    let file = frostline_files::regular::open(path).map_err(|e| DataError::io(path, e))?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        let len = file.metadata().map_or(0, |about| about.len());
        return Ok((BTreeMap::from([("array".to_owned(), parse(file, len, path, "array")?)]), Vec::new()));
    }
    let damaged = |message: String| DataError::source(path, message, "save it again with `numpy.savez`");
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|e| damaged(format!("is no npz file: {e}")))?;
    let (mut arrays, mut others) = (BTreeMap::new(), Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| damaged(format!("is damaged: {e}")))?;
        let name = entry.name().map_err(|e| damaged(format!("is damaged: {e}")))?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        if !wanted(&name) {
            others.push(name);
            continue;
        }
        let (len, packed) = (entry.size(), entry.compressed_size());
        if len > LARGE_ENTRY && len / MAX_RATIO > packed {
            return Err(DataError::source(
                path,
                format!(
                    "array `{name}` takes {packed} bytes and unpacks to {len}, more than {MAX_RATIO} times as many"
                ),
                "do not trust this file; if it is your own, save it with `numpy.savez`, which does not compress",
            ));
        }
        // one byte more than declared is enough to know that the declaration was wrong
        let array = parse(entry.take(len.saturating_add(1)), len, path, &name)?;
        arrays.insert(name, array);
    }
    Ok((arrays, others))
}

/// `expected`: the bytes that there will be.
fn parse(mut reader: impl Read, expected: u64, path: &Path, name: &str) -> Result<NpyArray, DataError> {
    let refuse =
        |message: String, help: &str| DataError::source(path, format!("array `{name}` {message}"), help);
    let again = "save it again with `numpy.savez`";
    let broken = |e: std::io::Error| refuse(format!("is damaged: {e}"), again);
    let header = header::header(&mut reader).map_err(broken)?;
    let shape: Vec<usize> = header.shape().iter().map(|&extent| extent as usize).collect();
    let DType::Plain(kind) = header.dtype() else {
        return Err(refuse("is a record array".to_owned(), "save plain arrays"));
    };
    if matches!(kind.type_char(), TypeChar::Object) {
        return Err(refuse(
            "is a pickle, which is never run".to_owned(),
            "save numbers or text, without objects",
        ));
    }
    if kind.num_bytes() == Some(0) {
        return Err(refuse("holds texts of no characters".to_owned(), again));
    }
    // The header's claim is checked before anything is allocated for it.
    let cut_off = || refuse(format!("is cut off: it claims the shape {shape:?}"), again);
    let claimed = byte_len(&shape, kind.num_bytes().unwrap_or(usize::MAX));
    let claimed = claimed.filter(|claimed| *claimed as u64 <= MAX_BYTES.min(expected)).ok_or_else(cut_off)?;
    let is_column_major = header.order() == Order::Fortran;
    let descr = kind.to_string();
    let name = descr.trim_start_matches(['<', '>', '|', '=']);
    let is_big = descr.starts_with('>') || (cfg!(target_endian = "big") && descr.starts_with('='));
    let of_bytes = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => cut_off(),
        _ => broken(error),
    };
    if name == "f4" && is_big == cfg!(target_endian = "big") {
        let values = NpyValues::Floats(floats(&mut reader, claimed / size_of::<f32>()).map_err(of_bytes)?);
        // an archive checks what was read at its end
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(broken)?;
        let values = if is_column_major { values.row_major(&shape) } else { values };
        return Ok(NpyArray { shape, values });
    }
    let mut bytes = Vec::with_capacity(claimed.min(usize::try_from(MAX_RESERVED).unwrap_or(usize::MAX)));
    reader.by_ref().take(claimed as u64).read_to_end(&mut bytes).map_err(broken)?;
    // an archive checks what was read at its end
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(broken)?;
    let rest = &bytes[..];
    if claimed > rest.len() {
        return Err(cut_off());
    }
    let text = || NpyFile::with_header(header.clone(), rest);
    let values = match NpyValues::of_numbers(name, is_big, &rest[..claimed]) {
        Some(numbers) => numbers,
        None if name.starts_with('U') => NpyValues::Text(text().into_vec().map_err(broken)?),
        None if name.starts_with('S') => {
            let words = text().into_vec::<Vec<u8>>().map_err(broken)?;
            // two words that are no UTF-8 could become one
            let text = |(row, word): (usize, Vec<u8>)| {
                String::from_utf8(word).map_err(|error| {
                    let word = error.as_bytes().escape_ascii();
                    refuse(
                        format!("holds `{word}` in row {row}, which is no UTF-8"),
                        "save it as an array of Unicode strings, or of UTF-8",
                    )
                })
            };
            NpyValues::Text(words.into_iter().enumerate().map(text).collect::<Result<_, _>>()?)
        }
        None => {
            let help = "save it as float32, uint8, an integer type or text";
            return Err(refuse(format!("is of type `{name}`"), help));
        }
    };
    let values = if is_column_major { values.row_major(&shape) } else { values };
    Ok(NpyArray { shape, values })
}

/// So many f32 as they lie in memory.
fn floats(reader: &mut impl Read, count: usize) -> std::io::Result<Vec<f32>> {
    const PIECE: usize = 1 << 22;
    let reserved = usize::try_from(MAX_RESERVED).unwrap_or(usize::MAX) / size_of::<f32>();
    let mut values = Vec::with_capacity(count.min(reserved));
    while values.len() < count {
        let start = values.len();
        values.resize(count.min(start + PIECE), 0.0);
        reader.read_exact(bytemuck::cast_slice_mut(&mut values[start..]))?;
    }
    Ok(values)
}

/// Writes f32 arrays as a compressed `.npz`, whole or not at all.
pub fn write_npz(path: &Path, arrays: &[(String, Tensor)]) -> Result<(), FileError> {
    let broken = |e: std::io::Error| FileError::new(path, e);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, tensor) in arrays {
        let options = zip::write::SimpleFileOptions::default().large_file(true);
        archive.start_file(format!("{name}.npy"), options).map_err(|e| broken(e.into()))?;
        let shape: Vec<u64> = tensor.shape.iter().map(|&extent| extent as u64).collect();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut archive)
            .begin_nd()
            .map_err(broken)?;
        writer.extend(tensor.data.iter()).map_err(broken)?;
        writer.finish().map_err(broken)?;
    }
    let bytes = archive.finish().map_err(|e| broken(e.into()))?.into_inner();
    write_atomically(path, &bytes)
}

/// The bytes of an array; none where they are more than can be. What stands beside a 0 must be possible, too: a row of no rows has a
/// length.
fn byte_len(shape: &[usize], item: usize) -> Option<usize> {
    let len = shape.iter().try_fold(item, |len, extent| len.checked_mul((*extent).max(1)))?;
    Some(if shape.contains(&0) { 0 } else { len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let tensor = Tensor { shape: vec![2, 3], data: vec![1.0, -2.0, 3.5, 4.0, 0.0, 6.0] };
        write_npz(&path, &[("x".to_owned(), tensor.clone())]).unwrap();
        assert_eq!(read(&path).unwrap().remove("x").and_then(NpyArray::into_tensor), Some(tensor));
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_holds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4000000000), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16 + 1).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.push(b'\n');
        std::fs::write(&path, bytes).unwrap();
        for error in [read(&path).unwrap_err(), batches(&path).unwrap_err()] {
            assert!(error.to_string().contains("`array` is cut off"), "{error}");
        }
    }
}
