//! A safetensors file that has been read: its header, and its tensors as f32.

use frostline_graph::{Error, Extents, Result, Tensor};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use std::collections::BTreeMap;
use std::path::Path;

/// The bytes before the header: its length.
const LENGTH: usize = size_of::<u64>();

/// Whether a file is one, or is meant to be one, as its ending says.
pub(crate) fn is_safetensors(path: &Path, bytes: &[u8]) -> bool {
    begins_with_header(bytes)
        || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
}

/// Whether a file begins with a header of JSON behind its length, which no header reaches the upper half of.
pub(crate) fn begins_with_header(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

/// The header of a file, and its bytes.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    header: Metadata,
    data: &'a [u8],
    /// Tensors that stand for those of the file.
    replaced: BTreeMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    /// Reads the header. That every tensor lies within the file, and has the bytes of its shape, is checked here.
    pub(super) fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let damaged = |what: &str| {
            Error::format(
                path,
                format!("no safetensors file that can be read: {what}\nhelp: the file is cut off or damaged"),
            )
        };
        let (length, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error.to_string()))?;
        let start = length.checked_add(LENGTH);
        let data =
            start.and_then(|start| bytes.get(start..)).ok_or_else(|| damaged("its header is cut off"))?;
        Ok(Self { path, header, data, replaced: BTreeMap::new() })
    }

    /// Puts a tensor in the place of the one that the file has under its name.
    pub(super) fn replace(&mut self, name: &str, tensor: Tensor) {
        self.replaced.insert(name.to_owned(), tensor);
    }

    /// An entry of the metadata.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// The names of all tensors, in the order of their bytes.
    pub(super) fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        match self.replaced.get(name) {
            Some(tensor) => Some(&tensor.shape),
            None => Some(&self.header.info(name)?.shape),
        }
    }

    /// The numbers of a tensor. Floating point numbers of other widths are converted.
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        if let Some(tensor) = self.replaced.get(name) {
            return Ok(tensor.clone());
        }
        let failed = |what: String| Error::format(self.path, format!("`{name}` cannot be read: {what}"));
        let missing = || failed("it is not there\nhelp: the file is damaged".to_owned());
        let info = self.header.info(name).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let bytes = self.data.get(start..end).ok_or_else(missing)?;
        let data: Vec<f32> = match info.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
            Dtype::F16 => {
                bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Dtype::BF16 => {
                let widened = |bytes: &[u8; 2]| bf16::from_le_bytes(*bytes).to_f32();
                bytes.as_chunks().0.iter().map(widened).collect()
            }
            other => {
                return Err(failed(format!(
                    "its numbers are {other:?}\nhelp: save it as F32, F16, BF16 or F64, quantised weights converted back; or the file is damaged"
                )));
            }
        };
        match data.len() == info.shape.elements() {
            true => Ok(Tensor { shape: info.shape.clone(), data }),
            false => Err(failed(format!(
                "{} numbers for a shape of {:?}\nhelp: the file is damaged",
                data.len(),
                info.shape
            ))),
        }
    }
}
