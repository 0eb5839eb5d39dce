//! Arrays of f32 that are read as they lie in their file, where they lie there so.

use std::collections::BTreeMap;
use std::path::Path;

use frostline_kernels::MappedFile;
use npyz::{DType, Order};

use super::header::header;
use super::{NpyArray, read};
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
    /// From this byte to the end of the array.
    File {
        map: MappedFile,
        start: usize,
        len: usize,
    },
}

impl Batch {
    /// The values, row-major.
    pub fn values(&self) -> &[f32] {
        match &self.held {
            Held::Memory(values) => values,
            // was looked at when it was mapped
            Held::File { map, start, len } => {
                bytemuck::try_cast_slice(&map[*start..*start + *len]).unwrap_or_default()
            }
        }
    }

    /// Images with the channels in front, as they are with the channels behind. What has no three extents a row stays as it is.
    #[must_use]
    pub fn with_channels_last(self) -> Self {
        let [images, channels, height, width] = *self.shape.as_slice() else { return self };
        let mut values = Vec::with_capacity(images * channels * height * width);
        self.values()
            .chunks_exact((channels * height * width).max(1))
            .for_each(|image| values.extend(crate::array::channels_last(image, channels)));
        Self { shape: vec![images, height, width, channels], held: Held::Memory(values) }
    }
}

/// The arrays of an `.npy` or `.npz` that are numbers, by name; the one of an `.npy` under the name `array`. An `.npy` of float32 is
/// mapped into memory, and no more of it is read than is looked at.
///
/// Errors: a file that cannot be read, or is damaged.
pub fn batches(path: &Path) -> Result<BTreeMap<String, Batch>, DataError> {
    let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if is_npy && let Some(batch) = mapped(path)? {
        return Ok(BTreeMap::from([("array".to_owned(), batch)]));
    }
    let batch = |(name, NpyArray { shape, values }): (String, NpyArray)| {
        Some((name, Batch { shape, held: Held::Memory(values.into_floats()?) }))
    };
    Ok(read(path)?.into_iter().filter_map(batch).collect())
}

/// None where the numbers do not lie in the file as they do in memory; what is wrong with it is then found by reading it.
fn mapped(path: &Path) -> Result<Option<Batch>, DataError> {
    let file = frostline_files::regular::open(path).map_err(|error| DataError::io(path, error))?;
    let Ok(map) = MappedFile::new(&file) else { return Ok(None) };
    let mut rest = &map[..];
    let Ok(header) = header(&mut rest) else { return Ok(None) };
    let DType::Plain(kind) = header.dtype() else { return Ok(None) };
    let is_native = cfg!(target_endian = "little") && kind.to_string() == "<f4";
    if !is_native || header.order() != Order::C {
        return Ok(None);
    }
    let start = map.len() - rest.len();
    let shape: Vec<usize> = header.shape().iter().map(|extent| *extent as usize).collect();
    let len = shape.iter().try_fold(size_of::<f32>(), |len, extent| len.checked_mul(*extent));
    let Some(len) = len.filter(|len| *len <= rest.len()) else { return Ok(None) };
    if bytemuck::try_cast_slice::<u8, f32>(&rest[..len]).is_err() {
        return Ok(None);
    }
    map.will_need(start..start + len);
    Ok(Some(Batch { shape, held: Held::File { map, start, len } }))
}
