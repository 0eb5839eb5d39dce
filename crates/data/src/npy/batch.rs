//! Arrays of f32 that are read as they lie in their file, where they lie there so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use frostline_files::positioned::{read_exact_at, will_need};
use npyz::{DType, Order};

use super::header::header;
use super::{NpyArray, byte_len, read};
use crate::DataError;

/// A batch of inputs as f32.
#[derive(Debug)]
pub struct Batch {
    /// Extents, that of the batch first.
    pub shape: Vec<usize>,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Memory(Vec<f32>),
    /// From this byte on.
    File {
        path: PathBuf,
        file: File,
        start: u64,
    },
}

impl Batch {
    /// The values of some rows, row-major.
    ///
    /// # Errors
    ///
    /// The file can no longer be read, or has been cut off since it was opened.
    pub fn rows(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>, DataError> {
        let len: usize = self.shape.iter().skip(1).product();
        match &self.held {
            Held::Memory(values) => Ok(Cow::Borrowed(&values[rows.start * len..rows.end * len])),
            Held::File { path, file, start } => {
                let mut values = vec![0f32; rows.len() * len];
                let at = start + (rows.start * len * size_of::<f32>()) as u64;
                read_exact_at(file, bytemuck::cast_slice_mut(&mut values), at)
                    .map_err(|error| DataError::io(path, error))?;
                Ok(Cow::Owned(values))
            }
        }
    }

    /// Images with the channels in front, as they are with the channels behind. What has no three extents a row stays as it is.
    ///
    /// # Errors
    ///
    /// See [`Batch::rows`].
    pub fn with_channels_last(self) -> Result<Self, DataError> {
        let [images, channels, height, width] = *self.shape.as_slice() else { return Ok(self) };
        let mut values = Vec::with_capacity(images * channels * height * width);
        self.rows(0..images)?
            .chunks_exact((channels * height * width).max(1))
            .for_each(|image| values.extend(crate::array::channels_last(image, channels)));
        Ok(Self { shape: vec![images, height, width, channels], held: Held::Memory(values) })
    }
}

/// The arrays of an `.npy` or `.npz` that are numbers, by name; the one of an `.npy` under the name `array`. An `.npy` of float32 stays
/// in its file, and is read row by row.
///
/// Errors: a file that cannot be read, or is damaged.
pub fn batches(path: &Path) -> Result<BTreeMap<String, Batch>, DataError> {
    let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if is_npy && let Some(batch) = in_file(path)? {
        return Ok(BTreeMap::from([("array".to_owned(), batch)]));
    }
    let batch = |(name, NpyArray { shape, values }): (String, NpyArray)| {
        Some((name, Batch { shape, held: Held::Memory(values.into_floats()?) }))
    };
    Ok(read(path)?.into_iter().filter_map(batch).collect())
}

/// None where the numbers do not lie in the file as they do in memory; what is wrong with it is then found by reading it.
fn in_file(path: &Path) -> Result<Option<Batch>, DataError> {
    let failed = |error| DataError::io(path, error);
    let file = frostline_files::regular::open(path).map_err(failed)?;
    let mut reader = BufReader::new(&file);
    let Ok(header) = header(&mut reader) else { return Ok(None) };
    let start = reader.stream_position().map_err(failed)?;
    let DType::Plain(kind) = header.dtype() else { return Ok(None) };
    let is_native = cfg!(target_endian = "little") && kind.to_string() == "<f4";
    if !is_native || header.order() != Order::C {
        return Ok(None);
    }
    let rest = file.metadata().map_err(failed)?.len().saturating_sub(start);
    let shape: Vec<usize> = header.shape().iter().map(|extent| *extent as usize).collect();
    let Some(len) = byte_len(&shape, size_of::<f32>()).filter(|len| *len as u64 <= rest) else {
        return Ok(None);
    };
    will_need(&file, start, len);
    Ok(Some(Batch { shape, held: Held::File { path: path.to_owned(), file, start } }))
}
