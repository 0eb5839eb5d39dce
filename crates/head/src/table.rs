//! Where features come from.

use crate::HeadError;
use std::ops::Range;

/// Feature vectors, `[rows, width]`, read a block at a time so that a million of them need no more memory than a block.
///
/// It is read several times, by several threads, and must give the same values each time.
pub trait FeatureTable: Sync {
    /// How many vectors there are.
    fn rows(&self) -> usize;

    /// How many numbers a vector has.
    fn width(&self) -> usize;

    /// Writes the vectors of `rows`, one after the other, to `out`, which has `rows.len() * width` places.
    ///
    /// # Errors
    /// [`HeadError::Read`] where the storage fails.
    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), HeadError>;
}

/// Feature vectors that are in memory.
#[derive(Clone, Copy, Debug)]
pub struct InMemory<'a> {
    /// `[rows, width]`
    pub values: &'a [f32],
    /// Numbers a vector.
    pub width: usize,
}

impl FeatureTable for InMemory<'_> {
    fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), HeadError> {
        let values = self.values.get(rows.start * self.width..rows.end * self.width);
        let values = values.ok_or_else(|| HeadError::Read(format!("there are no rows {rows:?}")))?;
        if values.len() != out.len() {
            let (expected, received) = (values.len(), out.len());
            return Err(HeadError::Size { what: "the places for features", expected, received });
        }
        out.copy_from_slice(values);
        Ok(())
    }
}
