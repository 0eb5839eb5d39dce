//! Memory for images and their gradients, placed as the processor reads it best.

use std::ops::{Deref, DerefMut};

/// Bytes of a line of the cache, and of a vector of AVX-512: one that begins on a line never needs two.
const LINE: usize = 64;

/// Bytes of a large page. A stream through the memory stops at the end of each page, until the place of the next is
/// known and the processor fetches ahead again: with pages of 4 KiB that costs a seventh of the bandwidth.
const LARGE_PAGE: usize = 2 << 20;

/// A vector of a fixed length that begins on a line of the cache; where it is as large as a large page, on one of
/// those, which the system is asked for.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let is_large = size_of::<f32>() * len >= LARGE_PAGE;
        let alignment = if is_large { LARGE_PAGE } else { LINE };
        // zeros of the system's, which are no memory yet: pages come when they are first written
        let memory = vec![0.0; len + alignment / size_of::<f32>()];
        let start = memory.as_ptr().align_offset(alignment).min(memory.len() - len);
        let buffer = Self { memory, start, len };
        if is_large {
            ask_for_large_pages(&buffer);
        }
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(target_os = "linux")]
fn ask_for_large_pages(memory: &[f32]) {
    let whole = size_of_val(memory) / LARGE_PAGE * LARGE_PAGE;
    // SAFETY: these pages are the slice's alone, and the advice changes no byte of them. A system that does not follow it
    // says so in a result that does not matter.
    unsafe { libc::madvise(memory.as_ptr().cast_mut().cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_: &[f32]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeros_from_a_line_or_a_large_page_on() {
        for len in [0, 1, 15, 1000, (2 << 20) / 4 - 1, (2 << 20) / 4, 3 << 20] {
            let mut buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|value| *value == 0.0));
            let alignment = if 4 * len >= LARGE_PAGE { LARGE_PAGE } else { LINE };
            assert!(len == 0 || buffer.as_ptr().addr().is_multiple_of(alignment));
            buffer.fill(1.0);
            let moved = std::mem::take(&mut buffer);
            assert!(buffer.is_empty() && moved.iter().all(|value| *value == 1.0));
        }
    }
}
