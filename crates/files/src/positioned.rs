//! Files that are read by position, from any number of threads. A file is not mapped into memory: another program that cuts a mapped
//! file off ends the process that reads it (SIGBUS), and one that is read like this is an error.

use std::fs::File;
use std::io::Result;

/// Fills `bytes` from position `at` of a file on.
///
/// # Errors
///
/// The file cannot be read, or ends before.
#[cfg(unix)]
pub fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` from position `at` of a file on.
///
/// # Errors
///
/// The file cannot be read, or ends before.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

/// Asks the system to bring `len` bytes from position `at` on into memory before they are read. It may not heed it.
pub fn will_need(file: &File, at: u64, len: usize) {
    #[cfg(target_os = "linux")]
    let _ =
        rustix::fs::fadvise(file, at, std::num::NonZeroU64::new(len as u64), rustix::fs::Advice::WillNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, at, len);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn bytes_are_read_by_position_even_when_the_file_is_removed_and_not_when_it_is_cut_off() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rows");
        std::fs::write(&path, b"rows of features")?;
        let file = File::open(&path)?;
        will_need(&file, 0, 16);
        let mut bytes = [0; 8];
        read_exact_at(&file, &mut bytes, 8)?;
        assert_eq!(&bytes, b"features");
        File::options().write(true).open(&path)?.set_len(12)?;
        let error = read_exact_at(&file, &mut bytes, 8).expect_err("it ends before");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        std::fs::remove_file(&path)?;
        read_exact_at(&file, &mut bytes[..4], 0)?;
        assert_eq!(&bytes[..4], b"rows");
        Ok(())
    }
}
