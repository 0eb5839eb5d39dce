//! A shard: an immutable file of feature vectors in the safetensors format.
//!
//! | tensor | type and shape | holds |
//! |---|---|---|
//! | `rows` | F32 or BF16 `[feature vectors, feature_len]` | features |
//! | `keys` | U8 `[feature vectors, 32]` | [`FeatureKey`] of each |
//! | `sums` | U8 `[feature vectors, 16]` | XXH3-128 of each feature vector's bytes, seeded by the first 8 bytes of its key |

use super::FeatureKey;
use super::open_files::OpenFiles;
use crate::fit::tensor_file::{self, Header};
use frostline_files::positioned::{read_exact_at, will_need};
use frostline_files::stream_atomically;
use frostline_graph::{DType, Result};
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twox_hash::XxHash3_128;

/// The ending of a shard's file.
pub(super) const ENDING: &str = "safetensors";
const SUM: usize = 16;

/// How feature vectors lie in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// Numbers of a feature vector.
    #[serde(rename = "feature_len")]
    pub feature_len: usize,
    /// What a number is stored in: f32 or bf16.
    #[serde(rename = "element")]
    pub dtype: DType,
}

impl Form {
    /// Bytes of a feature vector.
    pub fn bytes(&self) -> usize {
        self.feature_len * self.dtype.bytes()
    }

    fn safetensors_dtype(&self) -> Dtype {
        match self.dtype {
            DType::F32 | DType::Int8 => Dtype::F32,
            DType::Bf16 => Dtype::BF16,
        }
    }

    /// The bytes that are stored of a feature vector whose numbers the form can hold; `halves` is memory for them.
    fn stored<'a>(&self, vector: &'a [f32], halves: &'a mut Vec<u8>) -> &'a [u8] {
        match self.dtype {
            DType::F32 | DType::Int8 => bytemuck::cast_slice(vector),
            DType::Bf16 => {
                halves.clear();
                halves.extend(vector.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()));
                halves
            }
        }
    }

    /// What comes before the tensors of so many feature vectors: the header's length, and the header.
    fn header(&self, vectors: usize) -> io::Result<Vec<u8>> {
        let tensors = [
            ("rows", self.safetensors_dtype(), self.feature_len),
            ("keys", Dtype::U8, FeatureKey::LEN),
            ("sums", Dtype::U8, SUM),
        ];
        let tensor = |(name, dtype, width): (&str, _, _)| (name.to_owned(), dtype, vec![vectors, width]);
        tensor_file::header(tensors.map(tensor), None)
    }
}

/// A shard that has been opened: its keys are in memory, its feature vectors are read when they are needed.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    number: u32,
    files: Arc<OpenFiles>,
    vectors_at: u64,
    form: Form,
    pub(super) keys: Vec<FeatureKey>,
    sums: Vec<u8>,
    /// Which feature vectors the disk was asked for.
    asked: Vec<AtomicBool>,
}

/// Writes feature vectors as a shard into `folder`, under the hash of its keys and checksums. Returns its path. The feature vectors go to the
/// file one by one: no copy of all of them is made.
pub(super) fn write<'a>(
    folder: &Path,
    keys: &[FeatureKey],
    vectors: impl Iterator<Item = &'a [f32]> + Clone,
    form: Form,
) -> Result<PathBuf> {
    let mut halves = Vec::new();
    let each = keys.iter().zip(vectors.clone());
    let sums: Vec<u8> = each.flat_map(|(key, vector)| sum(key, form.stored(vector, &mut halves))).collect();
    let key_bytes: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
    let name = blake3::Hasher::new().update(&key_bytes).update(&sums).finalize();
    let path = folder.join(format!("{}.{ENDING}", &name.to_hex()[..32]));
    stream_atomically(&path, |file| {
        file.write_all(&form.header(keys.len())?)?;
        for vector in vectors {
            file.write_all(form.stored(vector, &mut halves))?;
        }
        file.write_all(&key_bytes)?;
        file.write_all(&sums)
    })?;
    Ok(path)
}

/// Finds damage, not malice: whoever can write to the cache needs no collision. An order faster than blake3.
fn sum(key: &FeatureKey, vector: &[u8]) -> [u8; SUM] {
    let seed = u64::from_le_bytes(*key.0.first_chunk().unwrap_or(&[0; 8]));
    XxHash3_128::oneshot_with_seed(seed, vector).to_le_bytes()
}

/// Widens the bf16 numbers that fill the upper half of a vector's memory, so that they fill all of it. The lower half of the numbers
/// goes where none lies, and then the same holds for what is left: each time one run over memory that does not overlap.
fn widen(vector: &mut [f32]) {
    let wide = |half: u16| f32::from_bits(u32::from(u16::from_le(half)) << 16);
    let mut rest = vector;
    while rest.len() > 1 {
        let (lower, upper) = rest.split_at_mut(rest.len() / 2);
        let first = upper.len() - lower.len();
        let halves = &bytemuck::cast_slice::<f32, u16>(upper)[first..];
        lower.iter_mut().zip(halves).for_each(|(value, half)| *value = wide(*half));
        rest = upper;
    }
    if let [last] = rest {
        let [_, half]: [u16; 2] = bytemuck::cast(*last);
        *last = wide(half);
    }
}

impl Shard {
    /// Opens a shard of feature vectors of this form, which has this number among `files`; `None` for a file that is cut off, damaged in
    /// its header, or something else.
    pub(super) fn open(path: PathBuf, form: Form, number: u32, files: &Arc<OpenFiles>) -> Option<Self> {
        let file = File::open(&path).ok()?;
        let header = Header::read(&file).ok()?;
        let tensor = |name: &str, dtype: Dtype, width: usize| {
            let info = header.metadata.info(name)?;
            let [vectors, found] = info.shape[..] else { return None };
            (info.dtype == dtype && found == width).then_some((vectors, info))
        };
        let (count, vectors) = tensor("rows", form.safetensors_dtype(), form.feature_len)?;
        let of_each = |name: &str, width: usize| {
            let (_, info) = tensor(name, Dtype::U8, width).filter(|(vectors, _)| *vectors == count)?;
            header.bytes(&file, info).ok()
        };
        let keys =
            of_each("keys", FeatureKey::LEN)?.as_chunks().0.iter().map(|key| FeatureKey(*key)).collect();
        let sums = of_each("sums", SUM)?;
        let asked = (0..count).map(|_| AtomicBool::new(false)).collect();
        let (vectors_at, files) = (header.place(vectors), files.clone());
        Some(Self { path, number, files, vectors_at, form, keys, sums, asked })
    }

    fn place(&self, index: usize) -> u64 {
        self.vectors_at + (index * self.form.bytes()) as u64
    }

    /// Reads a feature vector, and compares its bytes with their checksum. False if it is damaged, or cannot be read; `vector` may hold
    /// anything then.
    pub(super) fn read(&self, index: usize, vector: &mut [f32]) -> bool {
        let bytes = bytemuck::cast_slice_mut(vector);
        // what is stored narrower lies at the end of its own memory, and is widened from the beginning on
        let stored_at = bytes.len() - self.form.bytes();
        let Ok(file) = self.files.get(self.number, &self.path) else { return false };
        if read_exact_at(&file, &mut bytes[stored_at..], self.place(index)).is_err()
            || self.sums[index * SUM..][..SUM] != sum(&self.keys[index], &bytes[stored_at..])
        {
            return false;
        }
        if self.form.dtype == DType::Bf16 {
            widen(vector);
        }
        true
    }

    /// A feature vector will be read soon: the first time, the disk is asked for it.
    pub(super) fn prefetch(&self, index: usize) {
        if !self.asked[index].swap(true, Ordering::Relaxed)
            && let Ok(file) = self.files.get(self.number, &self.path)
        {
            will_need(&file, self.place(index), self.form.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_widened_in_their_own_memory() {
        for len in 0..40 {
            let numbers: Vec<f32> = (0..len).map(|index| (index as f32 - 7.0) * 0.5).collect();
            let mut vector = vec![f32::NAN; len];
            let halves: Vec<u16> =
                numbers.iter().map(|number| ((number.to_bits() >> 16) as u16).to_le()).collect();
            bytemuck::cast_slice_mut(&mut vector)[len..].copy_from_slice(&halves);
            widen(&mut vector);
            assert_eq!(vector, numbers, "{len}");
        }
    }
}
