//! A shard: an immutable file of rows in the safetensors format.
//!
//! | tensor | type and shape | holds |
//! |---|---|---|
//! | `rows` | F32 `[rows, row_len]` | features |
//! | `keys` | U8 `[rows, 32]` | [`RowKey`] of each |
//! | `sums` | U8 `[rows, 16]` | the beginning of blake3 of each row's bytes, behind its key |

use super::RowKey;
use crate::write_atomically;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, TensorView};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The ending of a shard's file.
pub(super) const ENDING: &str = "safetensors";
const SUM: usize = 16;
/// A header is far shorter than this.
const LONGEST_HEADER: u64 = 1 << 20;

/// A shard that has been opened: its keys are in memory, its rows are read when they are asked for.
#[derive(Debug)]
pub(super) struct Shard {
    file: Mutex<File>,
    rows_at: u64,
    row_len: usize,
    pub(super) keys: Vec<RowKey>,
    sums: Vec<u8>,
}

/// Writes rows as a shard into `folder`, under the hash of its content. Returns its path.
pub(super) fn write(folder: &Path, keys: &[RowKey], rows: &[f32], row_len: usize) -> Result<PathBuf> {
    let key_bytes: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
    let sums: Vec<u8> =
        keys.iter().zip(rows.chunks_exact(row_len.max(1))).flat_map(|(key, row)| sum(key, row)).collect();
    let count = keys.len();
    let failed = |error: safetensors::SafeTensorError| Error::io(folder, io::Error::other(error));
    let rows =
        TensorView::new(Dtype::F32, vec![count, row_len], bytemuck::cast_slice(rows)).map_err(failed)?;
    let key_view = TensorView::new(Dtype::U8, vec![count, RowKey::LEN], &key_bytes).map_err(failed)?;
    let sum_view = TensorView::new(Dtype::U8, vec![count, SUM], &sums).map_err(failed)?;
    let bytes = safetensors::serialize([("rows", rows), ("keys", key_view), ("sums", sum_view)], None)
        .map_err(failed)?;
    let path = folder.join(format!("{}.{ENDING}", &blake3::hash(&bytes).to_hex()[..32]));
    write_atomically(&path, &bytes)?;
    Ok(path)
}

fn sum(key: &RowKey, row: &[f32]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.0);
    hasher.update(bytemuck::cast_slice(row));
    let mut sum = [0; SUM];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

impl Shard {
    /// Opens a shard of rows of this length; `None` for a file that is cut off, damaged in its header, or something else.
    pub(super) fn open(path: &Path, row_len: usize) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER {
            return None;
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).ok()?;
        let header: Metadata = serde_json::from_slice(&header).ok()?;
        let data_at = 8 + length;
        if file.metadata().ok()?.len() != data_at + header.data_len() as u64 {
            return None;
        }
        let tensor = |name: &str, dtype: Dtype, width: usize| {
            let info = header.info(name)?;
            let [rows, found] = info.shape[..] else { return None };
            let (start, end) = info.data_offsets;
            (info.dtype == dtype && found == width).then_some((rows, start as u64, end - start))
        };
        let (count, rows_at, _) = tensor("rows", Dtype::F32, row_len)?;
        let mut read = |name: &str, width: usize| {
            let (rows, start, bytes) = tensor(name, Dtype::U8, width).filter(|(rows, ..)| *rows == count)?;
            let mut all = vec![0; bytes];
            debug_assert_eq!(bytes, rows * width);
            file.seek(SeekFrom::Start(data_at + start)).ok()?;
            file.read_exact(&mut all).ok()?;
            Some(all)
        };
        let (keys, sums) = (read("keys", RowKey::LEN)?, read("sums", SUM)?);
        let keys = keys.as_chunks().0.iter().map(|key| RowKey(*key)).collect();
        Some(Self { file: Mutex::new(file), rows_at: data_at + rows_at, row_len, keys, sums })
    }

    /// Reads a row. False if it cannot be read.
    pub(super) fn read(&self, index: usize, row: &mut [f32]) -> bool {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(row);
        let at = self.rows_at + (index * self.row_len * 4) as u64;
        read_at(&self.file, at, bytes).is_ok()
    }

    /// Reads a row, and compares it with its checksum. False if it is damaged.
    pub(super) fn read_checked(&self, index: usize, row: &mut [f32]) -> bool {
        self.read(index, row) && self.sums[index * SUM..][..SUM] == sum(&self.keys[index], row)
    }
}

#[cfg(unix)]
fn read_at(file: &Mutex<File>, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.lock().unwrap_or_else(PoisonError::into_inner).read_exact_at(bytes, at)
}

#[cfg(not(unix))]
fn read_at(file: &Mutex<File>, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}
