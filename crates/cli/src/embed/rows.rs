//! Features on their way into a file.

use crate::Failure;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Rows of f32 on disk, in the folder of the file that they go into. How many there are is known at the end alone, and files tell it at
/// their beginning.
pub(super) struct Rows {
    file: BufWriter<File>,
}

impl Rows {
    pub(super) fn beside(output: &Path) -> Result<Self, Failure> {
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder).map_err(|error| {
            format!("`{}`: {error}\nhelp: give a folder that can be written to", folder.display())
        })?;
        Ok(Self { file: BufWriter::new(file) })
    }

    /// Adds rows as they lie in a file.
    pub(super) fn add_from(&mut self, bytes: &mut impl Read) -> io::Result<u64> {
        io::copy(bytes, &mut self.file)
    }

    pub(super) fn add(&mut self, row: &[f32]) -> Result<(), Failure> {
        row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()))?;
        Ok(())
    }

    /// The rows from the first on, as little-endian bytes.
    pub(super) fn read(self) -> io::Result<impl Read> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::new(file))
    }
}
