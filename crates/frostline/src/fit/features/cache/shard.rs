//! A shard: an immutable file of feature vectors in the safetensors format.
//!
//! | tensor | type and shape | holds |
//! |---|---|---|
//! | `rows` | F32 or BF16 `[feature vectors, feature_len]` | features |
//! | `keys` | U8 `[feature vectors, 32]` | [`FeatureKey`] of each |
//! | `sums` | U8 `[feature vectors, 16]` | XXH3-128 of each feature vector's bytes, seeded by the first 8 bytes of its key |

use super::FeatureKey;
use frostline_files::stream_atomically;
use frostline_graph::{DType, Result};
use frostline_kernels::MappedFile;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use twox_hash::XxHash3_128;

/// The ending of a shard's file.
pub(super) const ENDING: &str = "safetensors";
const SUM: usize = 16;
/// Where the tensors begin in a file.
const ALIGNMENT: usize = 8;

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
        let (mut start, mut tensors) = (0, Vec::new());
        for (name, dtype, width, bytes) in [
            ("rows", self.safetensors_dtype(), self.feature_len, self.bytes()),
            ("keys", Dtype::U8, FeatureKey::LEN, FeatureKey::LEN),
            ("sums", Dtype::U8, SUM, SUM),
        ] {
            let end = start + vectors * bytes;
            let info = TensorInfo { dtype, shape: vec![vectors, width], data_offsets: (start, end) };
            tensors.push((name.to_owned(), info));
            start = end;
        }
        let header = Metadata::new(None, tensors).map_err(io::Error::other)?;
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        Ok([&(header.len() as u64).to_le_bytes(), header.as_slice()].concat())
    }
}

/// A shard that has been opened: its keys are in memory, its feature vectors are mapped.
#[derive(Debug)]
pub(super) struct Shard {
    file: MappedFile,
    vectors_at: usize,
    form: Form,
    pub(super) keys: Vec<FeatureKey>,
    sums: Vec<u8>,
    /// What is known of each feature vector.
    states: Vec<AtomicU8>,
}

/// Not compared with its checksum yet.
const UNREAD: u8 = 0;
const SOUND: u8 = 1;
const DAMAGED: u8 = 2;

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

impl Shard {
    /// Opens a shard of feature vectors of this form; `None` for a file that is cut off, damaged in its header, or something else.
    pub(super) fn open(path: &Path, form: Form) -> Option<Self> {
        let file = MappedFile::new(&File::open(path).ok()?).ok()?;
        let (length, header) = SafeTensors::read_metadata(&file).ok()?;
        let data_at = size_of::<u64>() + length;
        let tensor = |name: &str, dtype: Dtype, width: usize| {
            let info = header.info(name)?;
            let [vectors, found] = info.shape[..] else { return None };
            (info.dtype == dtype && found == width).then_some((vectors, info.data_offsets))
        };
        let (count, (vectors_at, _)) = tensor("rows", form.safetensors_dtype(), form.feature_len)?;
        let of_each = |name: &str, width: usize| {
            let (_, (start, end)) =
                tensor(name, Dtype::U8, width).filter(|(vectors, _)| *vectors == count)?;
            file.get(data_at + start..data_at + end)
        };
        let keys =
            of_each("keys", FeatureKey::LEN)?.as_chunks().0.iter().map(|key| FeatureKey(*key)).collect();
        let sums = of_each("sums", SUM)?.to_vec();
        let states = (0..count).map(|_| AtomicU8::new(UNREAD)).collect();
        Some(Self { vectors_at: data_at + vectors_at, file, form, keys, sums, states })
    }

    fn place(&self, index: usize) -> Range<usize> {
        let at = self.vectors_at + index * self.form.bytes();
        at..at + self.form.bytes()
    }

    /// Whether a feature vector is as it was written. Its bytes are compared with its checksum the first time.
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

    /// Reads a feature vector. False if it is damaged.
    pub(super) fn read(&self, index: usize, vector: &mut [f32]) -> bool {
        if !self.is_sound(index) {
            return false;
        }
        let bytes = &self.file[self.place(index)];
        match self.form.dtype {
            DType::F32 | DType::Int8 => bytemuck::cast_slice_mut(vector).copy_from_slice(bytes),
            DType::Bf16 => {
                for (value, bytes) in vector.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                }
            }
        }
        true
    }

    /// A feature vector will be read soon: the first time, the disk is asked for it.
    pub(super) fn prefetch(&self, index: usize) {
        if self.states[index].load(Ordering::Relaxed) == UNREAD {
            self.file.will_need(self.place(index));
        }
    }
}
