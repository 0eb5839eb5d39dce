//! A checkpoint as a file: safetensors, whose metadata say how far the training is.
//!
//! | tensor | holds |
//! |---|---|
//! | `model/PATH` | a weight that earlier stages have changed |
//! | `weights/PATH` | a weight of the stage that is under way |
//! | `best/PATH` | the same after the best epoch |
//! | `mean/PATH` | the mean over epochs |
//! | `moments/N` | the optimizer's moments, in its order |
//! | `checksum` | blake3 of all bytes before it; the last tensor |

use super::state::State;
use crate::fit::tensor_file::{self, Header};
use frostline_files::positioned::read_exact_at;
use frostline_files::stream_atomically;
use frostline_graph::{Error, Result};
use safetensors::tensor::{Dtype, TensorInfo};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The metadata's one key.
const KEY: &str = "frostline";
const CHECKSUM: &str = "checksum";
const SUM: usize = blake3::OUT_LEN;

/// A checkpoint that is not on disk yet, and may never come there whole.
pub(in crate::fit) struct Draft<'a> {
    pub(super) state: State,
    pub(super) tensors: Vec<(String, Cow<'a, [f32]>)>,
}

impl Draft<'_> {
    fn header(&self) -> io::Result<Vec<u8>> {
        let tensors =
            self.tensors.iter().map(|(name, values)| (name.clone(), Dtype::F32, vec![values.len()]));
        let checksum = (CHECKSUM.to_owned(), Dtype::U8, vec![SUM]);
        let about = HashMap::from([(KEY.to_owned(), serde_json::to_string(&self.state)?)]);
        tensor_file::header(tensors.chain([checksum]), Some(about))
    }

    /// Writes it whole, or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        stream_atomically(path, |file| {
            let mut hasher = blake3::Hasher::new();
            let header = self.header()?;
            hasher.update(&header);
            file.write_all(&header)?;
            for (_, values) in &self.tensors {
                let bytes: &[u8] = bytemuck::cast_slice(values);
                hasher.update(bytes);
                file.write_all(bytes)?;
            }
            file.write_all(hasher.finalize().as_bytes())
        })?;
        Ok(())
    }
}

/// A checkpoint that is whole: its checksum is right.
#[derive(Debug)]
pub(in crate::fit) struct Checkpoint {
    pub(super) state: State,
    path: PathBuf,
    file: File,
    header: Header,
}

impl Checkpoint {
    /// Opens a file, and compares all of it with its checksum.
    ///
    /// Errors: one that is cut off, damaged, or no checkpoint.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(path, &source.to_string()),
            _ => Error::io(path, source),
        };
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
        let header = Header::read(&file).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let (mut hasher, mut sum) = (blake3::Hasher::new(), [0; SUM]);
        let end = len.checked_sub(SUM as u64).ok_or_else(|| damaged(path, "it is cut off"))?;
        hasher.update_reader((&file).take(end)).map_err(failed)?;
        read_exact_at(&file, &mut sum, end).map_err(failed)?;
        if hasher.finalize() != sum {
            return Err(damaged(path, "its checksum is wrong"));
        }
        let text = header.metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let text = text.ok_or_else(|| damaged(path, "it does not say what it is of"))?;
        let state = serde_json::from_str(text).map_err(|error| damaged(path, &error.to_string()))?;
        Ok(Self { state, path: path.to_owned(), file, header })
    }

    /// The names of the tensors that begin so, without that beginning.
    pub(in crate::fit) fn names(&self, prefix: &str) -> Vec<String> {
        self.under(prefix).map(|(name, _)| name).collect()
    }

    fn under(&self, prefix: &str) -> impl Iterator<Item = (String, &TensorInfo)> {
        let tensors = self.header.metadata.tensors().into_iter();
        let tensors = tensors.filter(|(_, info)| info.dtype == Dtype::F32);
        tensors.filter_map(move |(name, info)| Some((name.strip_prefix(prefix)?.to_owned(), info)))
    }

    /// The tensors whose names begin so, by the rest of their names.
    ///
    /// Errors: the file can be read no more.
    pub(in crate::fit) fn tensors(&self, prefix: &str) -> Result<BTreeMap<String, Vec<f32>>> {
        let values = |(name, info)| {
            let bytes = self.header.bytes(&self.file, info)?;
            Ok((name, bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()))
        };
        let all: io::Result<_> = self.under(prefix).map(values).collect();
        all.map_err(|source| Error::io(&self.path, source))
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::format(path, format!("the checkpoint is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::SafeTensors;

    fn draft() -> Draft<'static> {
        let values = |from: u8| Cow::Owned((0..5).map(|index| f32::from(from + index) / 3.0).collect());
        Draft {
            state: State::default(),
            tensors: vec![
                ("weights/a/kernel".to_owned(), values(0)),
                ("weights/b".to_owned(), Cow::Owned(vec![f32::NAN])),
                ("moments/0".to_owned(), Cow::Owned(Vec::new())),
                ("best/a/kernel".to_owned(), values(9)),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.safetensors");
        draft().write(&path).expect("written");
        let checkpoint = Checkpoint::read(&path).expect("whole");
        assert_eq!(checkpoint.state, State::default());
        let weights = checkpoint.tensors("weights/").expect("read");
        assert_eq!(weights["a/kernel"], *draft().tensors[0].1);
        assert_eq!(weights["b"][0].to_bits(), f32::NAN.to_bits());
        assert!(checkpoint.tensors("moments/").expect("read")["0"].is_empty());
        // others read it too
        let bytes = std::fs::read(&path).expect("a file");
        assert_eq!(SafeTensors::deserialize(&bytes).expect("safetensors").len(), 5);
    }

    #[test]
    fn a_file_that_is_cut_off_or_has_one_wrong_bit_is_no_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.safetensors");
        draft().write(&path).expect("written");
        let bytes = std::fs::read(&path).expect("a file");
        for len in [0, 7, 31, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).expect("written");
            assert!(Checkpoint::read(&path).is_err(), "cut to {len}");
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            std::fs::write(&path, &wrong).expect("written");
            let error = Checkpoint::read(&path).expect_err("damaged").to_string();
            assert!(error.contains("damaged"), "{error}");
        }
    }
}
