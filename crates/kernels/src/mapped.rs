//! A file's bytes as memory.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

/// A file that is read as memory: the system brings its pages in when they are touched, and may drop them again.
///
/// For files that are never changed once they have their name, and for a user's arrays, which nobody should write to while they
/// are read, as with NumPy's `mmap_mode`. One that another program cuts off while it is mapped ends
/// this process at the next touch of what is gone (SIGBUS on Unix); one that is removed stays readable.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps all of a file for reading.
    ///
    /// # Errors
    ///
    /// The file cannot be mapped: it is no regular file, or the system has no room for it.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes of a map change when its file does. Files of frostline's own are written under another name, renamed
        // when they are whole, and never opened for writing again; users are told not to write to an array while it is read.
        // Nothing but bytes and numbers is read from them, of which every value is valid.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }

    /// Asks the system to bring these bytes in before they are touched. It may not heed it.
    pub fn will_need(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        let _ = self.0.advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len());
        #[cfg(not(unix))]
        let _ = bytes;
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapped_file_has_its_bytes_even_when_it_is_removed() -> io::Result<()> {
        let path = std::env::temp_dir().join(format!("frostline-mapped-{}", std::process::id()));
        File::create(&path)?.write_all(b"rows of features")?;
        let map = MappedFile::new(&File::open(&path)?)?;
        std::fs::remove_file(&path)?;
        map.will_need(0..map.len());
        assert_eq!(&*map, b"rows of features");
        Ok(())
    }
}
