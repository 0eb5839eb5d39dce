//! Features on their way into a file.

use crate::Failure;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Rows of f32 on disk, in the folder of the file that they go into. How many there are is known at the end alone, and files tell it at
/// their beginning.
pub(super) struct Rows {
    file: BufWriter<File>,
    folder: PathBuf,
}

impl Rows {
    pub(super) fn beside(output: &Path) -> Result<Self, Failure> {
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder).map_err(|error| {
            format!("`{}`: {error}\nhelp: give a folder that can be written to", folder.display())
        })?;
        Ok(Self { file: BufWriter::new(file), folder: folder.to_path_buf() })
    }

    /// The file has no name: the error says where it lies.
    fn failed(folder: &Path, error: &io::Error) -> Failure {
        format!("`{}`: {error}\nhelp: all features of the images have to fit there", folder.display()).into()
    }

    /// Adds rows as they lie in a file.
    pub(super) fn add_from(&mut self, bytes: &mut impl Read) -> Result<u64, Failure> {
        io::copy(bytes, &mut self.file).map_err(|error| Self::failed(&self.folder, &error))
    }

    pub(super) fn add(&mut self, row: &[f32]) -> Result<(), Failure> {
        let written = row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()));
        written.map_err(|error| Self::failed(&self.folder, &error))
    }

    /// The rows from the first on, as little-endian bytes.
    pub(super) fn read(self) -> io::Result<impl Read> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::new(file))
    }
}
