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
use frostline_kernels::MappedFile;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use twox_hash::XxHash3_128;

/// The ending of a shard's file.
pub(super) const ENDING: &str = "safetensors";
const SUM: usize = 16;

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

/// A shard that has been opened: its keys are in memory, its rows are mapped.
#[derive(Debug)]
pub(super) struct Shard {
    file: MappedFile,
    rows_at: usize,
    form: Form,
    pub(super) keys: Vec<RowKey>,
    sums: Vec<u8>,
    /// What is known of each row.
    states: Vec<AtomicU8>,
}

/// Not compared with its checksum yet.
const UNREAD: u8 = 0;
const SOUND: u8 = 1;
const DAMAGED: u8 = 2;

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
        let file = MappedFile::new(&File::open(path).ok()?).ok()?;
        let (length, header) = SafeTensors::read_metadata(&file).ok()?;
        let data_at = size_of::<u64>() + length;
        let tensor = |name: &str, dtype: Dtype, width: usize| {
            let info = header.info(name)?;
            let [rows, found] = info.shape[..] else { return None };
            (info.dtype == dtype && found == width).then_some((rows, info.data_offsets))
        };
        let (count, (rows_at, _)) = tensor("rows", form.dtype(), form.row_len)?;
        let of_each = |name: &str, width: usize| {
            let (_, (start, end)) = tensor(name, Dtype::U8, width).filter(|(rows, _)| *rows == count)?;
            file.get(data_at + start..data_at + end)
        };
        let keys = of_each("keys", RowKey::LEN)?.as_chunks().0.iter().map(|key| RowKey(*key)).collect();
        let sums = of_each("sums", SUM)?.to_vec();
        let states = (0..count).map(|_| AtomicU8::new(UNREAD)).collect();
        Some(Self { rows_at: data_at + rows_at, file, form, keys, sums, states })
    }

    fn place(&self, index: usize) -> Range<usize> {
        let at = self.rows_at + index * self.form.bytes();
        at..at + self.form.bytes()
    }

    /// Whether a row is as it was written. Its bytes are compared with its checksum the first time.
    pub(super) fn is_sound(&self, index: usize) -> bool {
        let state = match self.states[index].load(Ordering::Relaxed) {
            UNREAD => {
                let found = sum(&self.keys[index], &self.file[self.place(index)]);
                let state = if self.sums[index * SUM..][..SUM] == found { SOUND } else { DAMAGED };
                self.states[index].store(state, Ordering::Relaxed);
                state
            }
            known => known,
        };
        state == SOUND
    }

    /// Reads a row. False if it is damaged.
    pub(super) fn read(&self, index: usize, row: &mut [f32]) -> bool {
        if !self.is_sound(index) {
            return false;
        }
        let bytes = &self.file[self.place(index)];
        match self.form.element {
            RowElement::F32 => bytemuck::cast_slice_mut(row).copy_from_slice(bytes),
            RowElement::Bf16 => {
                for (value, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                }
            }
        }
        true
    }

    /// A row will be read soon: the first time, the disk is asked for it.
    pub(super) fn expect(&self, index: usize) {
        if self.states[index].load(Ordering::Relaxed) == UNREAD {
            self.file.will_need(self.place(index));
        }
    }
}
