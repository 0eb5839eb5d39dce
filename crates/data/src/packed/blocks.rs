//! Rows that were read, for as long as others near them are wanted: a group of rows is read once a pass, and what is held is
//! bounded.

use std::sync::{Arc, Mutex, PoisonError};

use crate::DataError;

/// The pictures of a block take about so many bytes, where a group of rows is larger than that.
pub(super) const BLOCK_BYTES: usize = 16 << 20;
/// What is held beside a block for each thread.
const SPARE_BYTES: usize = 64 << 20;

/// Pictures of neighbouring rows; none where a row has none.
pub(super) type Block = Vec<Option<Vec<u8>>>;

/// A file, and a block in it.
pub(super) type Key = (usize, usize);

/// The blocks that were read last.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The least recently wanted first.
    held: Mutex<Vec<(Key, Arc<Slot>)>>,
    /// How many files share them.
    files: Mutex<usize>,
}

/// A block, once somebody has read it. Others who want it wait meanwhile.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Arc<Block>>>);

impl Blocks {
    /// A number for a file.
    pub(super) fn file(&self) -> usize {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        *files += 1;
        *files - 1
    }

    /// A block, read where it is not held.
    pub(super) fn get(
        &self,
        key: Key,
        read: impl FnOnce() -> Result<Block, DataError>,
    ) -> Result<Arc<Block>, DataError> {
        let slot = self.slot(key);
        let mut block = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = &*block {
            return Ok(block.clone());
        }
        let found = Arc::new(read()?);
        *block = Some(found.clone());
        drop(block);
        self.let_go();
        Ok(found)
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match held.iter().position(|(other, _)| *other == key) {
            Some(at) => held.remove(at).1,
            None => Arc::default(),
        };
        held.push((key, slot.clone()));
        slot
    }

    /// Lets go of the blocks that were wanted longest ago, beyond what may be held.
    fn let_go(&self) {
        let most = SPARE_BYTES + rayon::current_num_threads() * BLOCK_BYTES;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // what is being read now counts as nothing
        let bytes = |slot: &Slot| {
            let block = slot.0.try_lock().ok().and_then(|block| block.clone());
            block.map_or(0, |block| block.iter().flatten().map(Vec::len).sum::<usize>())
        };
        let mut sum: usize = held.iter().map(|(_, slot)| bytes(slot)).sum();
        while sum > most && held.len() > 1 {
            sum -= bytes(&held.remove(0).1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_block_is_read_once_and_the_oldest_are_let_go() {
        let blocks = Blocks::default();
        let reads = AtomicUsize::new(0);
        let get = |block: usize, bytes: usize| {
            let read = || {
                reads.fetch_add(1, Ordering::Relaxed);
                Ok(vec![Some(vec![block as u8; bytes])])
            };
            blocks.get((0, block), read).expect("read")
        };
        for _ in 0..3 {
            assert_eq!(get(7, 9)[0], Some(vec![7; 9]));
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        let most = SPARE_BYTES + rayon::current_num_threads() * BLOCK_BYTES;
        (10..13).for_each(|block| drop(get(block, most / 2 + 1)));
        let held = blocks.held.lock().expect("no thread has panicked");
        assert_eq!(held.iter().map(|(key, _)| key.1).collect::<Vec<_>>(), [12]);
        drop(held);
        get(7, 9);
        assert_eq!(reads.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_block_that_cannot_be_read_is_tried_again() {
        let blocks = Blocks::default();
        let failed = blocks.get((0, 0), || Err(DataError::image("a", "is damaged", "mend it")));
        assert!(failed.is_err());
        assert_eq!(*blocks.get((0, 0), || Ok(vec![None])).expect("read"), vec![None]);
    }
}
