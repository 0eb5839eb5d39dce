//! Files of tensors in the safetensors format that are written tensor by tensor and read by position.

use frostline_files::positioned::read_exact_at;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};

/// Where the tensors begin in a file is a multiple of this.
const ALIGNMENT: usize = 8;
/// A header has no more bytes: the same bound as the crate `safetensors` has.
const LONGEST: u64 = 100_000_000;

/// What comes before the values of these tensors: the header's length, and the header.
pub(in crate::fit) fn header(
    tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>)>,
    about: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let (mut start, mut infos) = (0, Vec::new());
    for (name, dtype, shape) in tensors {
        let end = start + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        infos.push((name, TensorInfo { dtype, shape, data_offsets: (start, end) }));
        start = end;
    }
    let metadata = Metadata::new(about, infos).map_err(Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), header.as_slice()].concat())
}

/// The header of an open file.
#[derive(Debug)]
pub(in crate::fit) struct Header {
    pub(in crate::fit) metadata: Metadata,
    data_at: u64,
}

impl Header {
    /// Reads the header of a file, and compares the file's length with it.
    ///
    /// Errors: the file cannot be read, is cut off, or is none of tensors.
    pub(in crate::fit) fn read(file: &File) -> Result<Self> {
        let damaged = |why: &str| Error::new(ErrorKind::InvalidData, why);
        let all = file.metadata()?.len();
        let mut len = [0; size_of::<u64>()];
        read_exact_at(file, &mut len, 0)?;
        let (at, len) = (len.len() as u64, u64::from_le_bytes(len));
        if len > LONGEST.min(all.saturating_sub(at)) {
            return Err(damaged("its header is longer than the file"));
        }
        let mut header = vec![0; len as usize];
        read_exact_at(file, &mut header, at)?;
        let metadata: Metadata = serde_json::from_slice(&header)?;
        let data_at = at + len;
        if data_at + metadata.data_len() as u64 != all {
            return Err(damaged("its tensors do not end where the file ends"));
        }
        Ok(Self { metadata, data_at })
    }

    /// Where a tensor's bytes begin in the file.
    pub(in crate::fit) fn place(&self, info: &TensorInfo) -> u64 {
        self.data_at + info.data_offsets.0 as u64
    }

    /// All bytes of a tensor.
    pub(in crate::fit) fn bytes(&self, file: &File, info: &TensorInfo) -> Result<Vec<u8>> {
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        read_exact_at(file, &mut bytes, self.place(info))?;
        Ok(bytes)
    }
}
