//! A shard: an immutable file of rows in the safetensors format.
//!
//! | tensor | type and shape | holds |
//! |---|---|---|
//! | `rows` | F32 or BF16 `[rows, row_len]` | features |
//! | `keys` | U8 `[rows, 32]` | [`RowKey`] of each |
//! | `sums` | U8 `[rows, 16]` | XXH3-128 of each row's bytes, seeded by the first 8 bytes of its key |

use super::RowElement;
use super::RowKey;
use crate::write_atomically;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_128;

/// The ending of a shard's file.
pub(super) const ENDING: &str = "safetensors";
const SUM: usize = 16;
/// A header is far shorter than this.
const LONGEST_HEADER: u64 = 1 << 20;

/// How rows lie in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// Numbers in a row.
    pub row_len: usize,
    /// What a number is stored in.
    pub element: RowElement,
}

impl Form {
    /// Bytes of a row.
    pub fn bytes(&self) -> usize {
        self.row_len * self.element.bytes()
    }

    fn dtype(&self) -> Dtype {
        match self.element {
            RowElement::F32 => Dtype::F32,
            RowElement::Bf16 => Dtype::BF16,
        }
    }

    /// The bytes that are stored of rows whose numbers the form can hold.
    fn stored<'a>(&self, rows: &'a [f32]) -> Cow<'a, [u8]> {
        match self.element {
            RowElement::F32 => Cow::Borrowed(bytemuck::cast_slice(rows)),
            RowElement::Bf16 => {
                let upper = |value: &f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
                Cow::Owned(rows.iter().flat_map(upper).collect())
            }
        }
    }
}

thread_local! {
    /// The bytes of a row that is not stored as it is read.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A shard that has been opened: its keys are in memory, its rows are read when they are asked for.
#[derive(Debug)]
pub(super) struct Shard {
    file: Positioned,
    rows_at: u64,
    form: Form,
    pub(super) keys: Vec<RowKey>,
    sums: Vec<u8>,
}

/// Writes rows as a shard into `folder`, under the hash of its keys and checksums. Returns its path.
pub(super) fn write(folder: &Path, keys: &[RowKey], rows: &[f32], form: Form) -> Result<PathBuf> {
    let key_bytes: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
    let rows = form.stored(rows);
    let each = keys.iter().zip(rows.chunks_exact(form.bytes().max(1)));
    let sums: Vec<u8> = each.flat_map(|(key, row)| sum(key, row)).collect();
    let count = keys.len();
    let failed = |error: safetensors::SafeTensorError| Error::io(folder, io::Error::other(error));
    let rows = TensorView::new(form.dtype(), vec![count, form.row_len], &rows).map_err(failed)?;
    let key_view = TensorView::new(Dtype::U8, vec![count, RowKey::LEN], &key_bytes).map_err(failed)?;
    let sum_view = TensorView::new(Dtype::U8, vec![count, SUM], &sums).map_err(failed)?;
    let bytes = safetensors::serialize([("rows", rows), ("keys", key_view), ("sums", sum_view)], None)
        .map_err(failed)?;
    let name = blake3::Hasher::new().update(&key_bytes).update(&sums).finalize();
    let path = folder.join(format!("{}.{ENDING}", &name.to_hex()[..32]));
    write_atomically(&path, &bytes)?;
    Ok(path)
}

/// Finds damage, not malice: whoever can write to the cache needs no collision. An order faster than blake3.
fn sum(key: &RowKey, row: &[u8]) -> [u8; SUM] {
    let seed = u64::from_le_bytes(*key.0.first_chunk().unwrap_or(&[0; 8]));
    XxHash3_128::oneshot_with_seed(seed, row).to_le_bytes()
}

impl Shard {
    /// Opens a shard of rows of this form; `None` for a file that is cut off, damaged in its header, or something else.
    pub(super) fn open(path: &Path, form: Form) -> Option<Self> {
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
        let (count, rows_at, _) = tensor("rows", form.dtype(), form.row_len)?;
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
        Some(Self { file: Positioned::new(file), rows_at: data_at + rows_at, form, keys, sums })
    }

    /// Reads a row. False if it cannot be read.
    pub(super) fn read(&self, index: usize, row: &mut [f32]) -> bool {
        self.read_if(index, row, |_| true)
    }

    /// Reads a row, and compares it with its checksum. False if it is damaged.
    pub(super) fn read_checked(&self, index: usize, row: &mut [f32]) -> bool {
        self.read_if(index, row, |bytes| self.sums[index * SUM..][..SUM] == sum(&self.keys[index], bytes))
    }

    fn read_if(&self, index: usize, row: &mut [f32], is_sound: impl FnOnce(&[u8]) -> bool) -> bool {
        let at = self.rows_at + (index * self.form.bytes()) as u64;
        match self.form.element {
            RowElement::F32 => {
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(row);
                self.file.read(at, bytes).is_ok() && is_sound(bytes)
            }
            RowElement::Bf16 => BYTES.with_borrow_mut(|bytes| {
                bytes.resize(self.form.bytes(), 0);
                let found = self.file.read(at, bytes).is_ok() && is_sound(bytes);
                for (value, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                }
                found
            }),
        }
    }
}

/// A file that is read at any place by several threads.
#[cfg(unix)]
#[derive(Debug)]
struct Positioned(File);

#[cfg(unix)]
impl Positioned {
    fn new(file: File) -> Self {
        Self(file)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, bytes, at)
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Positioned(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl Positioned {
    fn new(file: File) -> Self {
        Self(std::sync::Mutex::new(file))
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }
}
