//! A shard: an immutable file of rows in the safetensors format.
//!
//! | tensor | type and shape | holds |
//! |---|---|---|
//! | `rows` | F32 or BF16 `[rows, row_len]` | features |
//! | `keys` | U8 `[rows, 32]` | [`RowKey`] of each |
//! | `sums` | U8 `[rows, 16]` | XXH3-128 of each row's bytes, seeded by the first 8 bytes of its key |

use super::RowElement;
use super::RowKey;
use crate::Result;
use crate::atomic::stream_atomically;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
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
/// Where the tensors begin in a file.
const ALIGNMENT: usize = 8;

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

    /// The bytes that are stored of a row whose numbers the form can hold; `halves` is memory for them.
    fn stored<'a>(&self, row: &'a [f32], halves: &'a mut Vec<u8>) -> &'a [u8] {
        match self.element {
            RowElement::F32 => bytemuck::cast_slice(row),
            RowElement::Bf16 => {
                halves.clear();
                halves.extend(row.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()));
                halves
            }
        }
    }

    /// What comes before the tensors of so many rows: the header's length, and the header.
    fn header(&self, rows: usize) -> io::Result<Vec<u8>> {
        let (mut start, mut tensors) = (0, Vec::new());
        for (name, dtype, width, bytes) in [
            ("rows", self.dtype(), self.row_len, self.bytes()),
            ("keys", Dtype::U8, RowKey::LEN, RowKey::LEN),
            ("sums", Dtype::U8, SUM, SUM),
        ] {
            let end = start + rows * bytes;
            let info = TensorInfo { dtype, shape: vec![rows, width], data_offsets: (start, end) };
            tensors.push((name.to_owned(), info));
            start = end;
        }
        let header = Metadata::new(None, tensors).map_err(io::Error::other)?;
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        Ok([&(header.len() as u64).to_le_bytes(), header.as_slice()].concat())
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

/// Writes rows as a shard into `folder`, under the hash of its keys and checksums. Returns its path. The rows go to the
/// file one by one: no copy of all of them is made.
pub(super) fn write<'a>(
    folder: &Path,
    keys: &[RowKey],
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    form: Form,
) -> Result<PathBuf> {
    let mut halves = Vec::new();
    let each = keys.iter().zip(rows.clone());
    let sums: Vec<u8> = each.flat_map(|(key, row)| sum(key, form.stored(row, &mut halves))).collect();
    let key_bytes: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
    let name = blake3::Hasher::new().update(&key_bytes).update(&sums).finalize();
    let path = folder.join(format!("{}.{ENDING}", &name.to_hex()[..32]));
    stream_atomically(&path, |file| {
        file.write_all(&form.header(keys.len())?)?;
        for row in rows {
            file.write_all(form.stored(row, &mut halves))?;
        }
        file.write_all(&key_bytes)?;
        file.write_all(&sums)
    })?;
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
