//! numpy's `.npy` and `.npz` files, read without pickles and written atomically.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use super::DataError;
use frostline_files::{FileError, write_atomically};
use frostline_graph::Tensor;

/// The largest array that is read, in bytes: a small zip can claim to hold more than memory.
const MAX_BYTES: u64 = 1 << 36;

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: NpyValues,
}

/// The values of an array by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyValues {
    /// `uint8`.
    Bytes(Vec<u8>),
    /// Every other integer, and booleans.
    Integers(Vec<i64>),
    /// `float32`, and `float64` rounded to it.
    Floats(Vec<f32>),
    /// Text.
    Text(Vec<String>),
}

impl NpyArray {
    /// The values as f32; none for text.
    pub fn into_tensor(self) -> Option<Tensor> {
        let data = match self.values {
            NpyValues::Bytes(v) => v.into_iter().map(f32::from).collect(),
            NpyValues::Integers(v) => v.into_iter().map(|v| v as f32).collect(),
            NpyValues::Floats(v) => v,
            NpyValues::Text(_) => return None,
        };
        Some(Tensor { shape: self.shape, data })
    }
}

/// Reads every array of an `.npz`, or the one of an `.npy` under the name `array`.
pub fn read(path: &Path) -> Result<BTreeMap<String, NpyArray>, DataError> {
    let file = frostline_files::regular::open(path).map_err(|e| DataError::io(path, e))?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        return Ok(BTreeMap::from([("array".to_owned(), parse(file, path, "array")?)]));
    }
    let damaged = |message: String| DataError::source(path, message, "save it again with `numpy.savez`");
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|e| damaged(format!("is no npz file: {e}")))?;
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| damaged(format!("is damaged: {e}")))?;
        let name = entry.name().map_err(|e| damaged(format!("is damaged: {e}")))?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        let array = parse(entry, path, &name)?;
        arrays.insert(name, array);
    }
    Ok(arrays)
}

/// Reads the arrays of an `.npy` or `.npz` that are numbers, as f32, by name.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, DataError> {
    let arrays = read(path)?;
    Ok(arrays.into_iter().filter_map(|(name, array)| Some((name, array.into_tensor()?))).collect())
}

fn parse(reader: impl Read, path: &Path, name: &str) -> Result<NpyArray, DataError> {
    let refuse =
        |message: String, help: &str| DataError::source(path, format!("array `{name}` {message}"), help);
    let again = "save it again with `numpy.savez`";
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|e| refuse(format!("is damaged: {e}"), again))?;
    let file = NpyFile::new(&bytes[..]).map_err(|e| refuse(format!("is damaged: {e}"), again))?;
    let shape: Vec<usize> = file.shape().iter().map(|&extent| extent as usize).collect();
    let fortran = file.order() == Order::Fortran;
    let DType::Plain(kind) = file.dtype() else {
        return Err(refuse("is a record array".to_owned(), "save plain arrays"));
    };
    if matches!(kind.type_char(), TypeChar::Object) {
        return Err(refuse(
            "is a pickle, which is never run".to_owned(),
            "save numbers or text, without objects",
        ));
    }
    // The header's claim is checked before anything is allocated for it.
    let claimed = shape.iter().try_fold(kind.num_bytes().unwrap_or(usize::MAX), |n, &e| n.checked_mul(e));
    if claimed.is_none_or(|claimed| claimed > bytes.len()) {
        return Err(refuse(format!("is cut off: it claims the shape {shape:?}"), again));
    }
    let descr = kind.to_string();
    let broken = |e: std::io::Error| refuse(format!("is damaged: {e}"), again);
    let values = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "u1" => NpyValues::Bytes(file.into_vec().map_err(broken)?),
        "b1" => {
            NpyValues::Integers(file.into_vec::<bool>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "i1" => {
            NpyValues::Integers(file.into_vec::<i8>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "i2" => {
            NpyValues::Integers(file.into_vec::<i16>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "u2" => {
            NpyValues::Integers(file.into_vec::<u16>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "i4" => {
            NpyValues::Integers(file.into_vec::<i32>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "u4" => {
            NpyValues::Integers(file.into_vec::<u32>().map_err(broken)?.into_iter().map(i64::from).collect())
        }
        "i8" => NpyValues::Integers(file.into_vec().map_err(broken)?),
        "f4" => NpyValues::Floats(file.into_vec().map_err(broken)?),
        "f8" => {
            NpyValues::Floats(file.into_vec::<f64>().map_err(broken)?.into_iter().map(|v| v as f32).collect())
        }
        text if text.starts_with('U') => NpyValues::Text(file.into_vec().map_err(broken)?),
        text if text.starts_with('S') => {
            let words = file.into_vec::<Vec<u8>>().map_err(broken)?;
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
        other => {
            let help = "save it as float32, uint8, an integer type or text";
            return Err(refuse(format!("is of type `{other}`"), help));
        }
    };
    let values = if fortran { row_major(values, &shape) } else { values };
    Ok(NpyArray { shape, values })
}

fn row_major(values: NpyValues, shape: &[usize]) -> NpyValues {
    fn reorder<T: Clone>(values: Vec<T>, shape: &[usize]) -> Vec<T> {
        let mut index = vec![0usize; shape.len()];
        let mut out = Vec::with_capacity(values.len());
        for _ in 0..values.len() {
            let at = index.iter().zip(shape).rev().fold(0, |at, (i, extent)| at * extent + i);
            out.push(values[at].clone());
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }
    match values {
        NpyValues::Bytes(v) => NpyValues::Bytes(reorder(v, shape)),
        NpyValues::Integers(v) => NpyValues::Integers(reorder(v, shape)),
        NpyValues::Floats(v) => NpyValues::Floats(reorder(v, shape)),
        NpyValues::Text(v) => NpyValues::Text(reorder(v, shape)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let tensor = Tensor { shape: vec![2, 3], data: vec![1.0, -2.0, 3.5, 4.0, 0.0, 6.0] };
        write_npz(&path, &[("x".to_owned(), tensor.clone())]).unwrap();
        assert_eq!(read_tensors(&path).unwrap()["x"], tensor);
    }

    #[test]
    fn column_major_arrays_become_row_major() {
        let values = NpyValues::Integers(vec![1, 4, 2, 5, 3, 6]);
        assert_eq!(row_major(values, &[2, 3]), NpyValues::Integers(vec![1, 2, 3, 4, 5, 6]));
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
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("`array` is cut off"), "{error}");
    }
}
