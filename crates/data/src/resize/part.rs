//! What is wanted of a resized picture: all of it, or a rectangle.

use std::ops::Range;

/// One axis of a resized picture.
pub(crate) struct Axis {
    /// Its whole extent.
    pub(crate) extent: usize,
    /// Where what is wanted begins.
    pub(crate) start: usize,
    /// How much is wanted.
    pub(crate) len: usize,
}

impl Axis {
    /// All of it.
    pub(crate) fn whole(extent: usize) -> Self {
        Self { extent, start: 0, len: extent }
    }

    /// The pixels that are wanted.
    pub(super) fn wanted(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// A rectangle of a resized picture.
pub(crate) struct Part {
    /// From the top down.
    pub(crate) rows: Axis,
    /// From left to right.
    pub(crate) columns: Axis,
}
