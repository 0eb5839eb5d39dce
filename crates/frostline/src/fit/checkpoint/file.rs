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
use frostline_files::stream_atomically;
use frostline_graph::{Error, Result};
use frostline_kernels::MappedFile;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

/// The metadata's one key.
const KEY: &str = "frostline";
const CHECKSUM: &str = "checksum";
const SUM: usize = blake3::OUT_LEN;
/// Where the tensors begin in a file.
const ALIGNMENT: usize = 8;

/// A checkpoint that is not on disk yet, and may never come there whole.
pub(in crate::fit) struct Draft<'a> {
    pub(super) state: State,
    pub(super) tensors: Vec<(String, Cow<'a, [f32]>)>,
}

impl Draft<'_> {
    fn header(&self) -> io::Result<Vec<u8>> {
        let (mut start, mut infos) = (0, Vec::new());
        let sizes = self.tensors.iter().map(|(name, values)| (name.as_str(), Dtype::F32, values.len(), 4));
        for (name, dtype, len, each) in sizes.chain([(CHECKSUM, Dtype::U8, SUM, 1)]) {
            let end = start + len * each;
            infos.push((name.to_owned(), TensorInfo { dtype, shape: vec![len], data_offsets: (start, end) }));
            start = end;
        }
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&self.state)?)]);
        let header = Metadata::new(Some(metadata), infos).map_err(io::Error::other)?;
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        Ok([&(header.len() as u64).to_le_bytes(), header.as_slice()].concat())
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
    file: MappedFile,
    tensors: BTreeMap<String, Range<usize>>,
}

impl Checkpoint {
    /// Reads a file.
    ///
    /// Errors: one that is cut off, damaged, or no checkpoint.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let damaged = |why: &str| Error::format(path, format!("the checkpoint is damaged: {why}"));
        let file = File::open(path).and_then(|file| MappedFile::new(&file));
        let file = file.map_err(|source| Error::io(path, source))?;
        let end = file.len().checked_sub(SUM).ok_or_else(|| damaged("it is cut off"))?;
        if blake3::hash(&file[..end]).as_bytes() != &file[end..] {
            return Err(damaged("its checksum is wrong"));
        }
        let (length, header) =
            SafeTensors::read_metadata(&file).map_err(|error| damaged(&error.to_string()))?;
        let data_at = size_of::<u64>() + length;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let text = text.ok_or_else(|| damaged("it does not say what it is of"))?;
        let state = serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        let tensors = header.tensors().into_iter().filter(|(_, info)| info.dtype == Dtype::F32);
        let place = |(name, info): (String, &TensorInfo)| {
            (name, data_at + info.data_offsets.0..data_at + info.data_offsets.1)
        };
        let tensors = tensors.map(place).collect();
        Ok(Self { state, file, tensors })
    }

    /// The tensors whose names begin so, by the rest of their names.
    pub(in crate::fit) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [f32])> {
        let named = move |(name, at): (&'a String, &'a Range<usize>)| {
            let values = bytemuck::try_cast_slice(self.file.get(at.clone())?).ok()?;
            Some((name.strip_prefix(prefix)?, values))
        };
        self.tensors.iter().filter_map(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let weights: Vec<_> = checkpoint.under("weights/").collect();
        assert_eq!(weights[0], ("a/kernel", &*draft().tensors[0].1));
        assert_eq!(weights[1].1[0].to_bits(), f32::NAN.to_bits());
        assert_eq!(checkpoint.under("moments/").map(|(_, values)| values.len()).collect::<Vec<_>>(), [0]);
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
