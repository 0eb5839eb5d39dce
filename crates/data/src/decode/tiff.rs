//! The directory of a TIFF, before its decoder believes it: an entry says how many values it has, and memory is taken for them before
//! any is read.

/// Whether an entry of the first directory has more bytes of values than the file has bytes.
pub(super) fn is_hollow(bytes: &[u8]) -> bool {
    has_hollow_entry(bytes).unwrap_or(false)
}

/// None where the directory ends before its last entry, or is none: the decoder's errors say that.
fn has_hollow_entry(bytes: &[u8]) -> Option<bool> {
    let is_big_endian = match bytes.get(..2)? {
        b"II" => false,
        b"MM" => true,
        _ => return None,
    };
    // a whole number of so many bytes
    let number = |at: usize, width: usize| {
        let own = bytes.get(at..at.checked_add(width)?)?.iter();
        let join = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
        Some(if is_big_endian { own.fold(0, join) } else { own.rev().fold(0, join) })
    };
    // the form of files of more than 4 GiB has wider numbers
    let (at, wide, entry) = match number(2, 2)? {
        43 => (number(8, 8)?, 8, 20),
        _ => (number(4, 4)?, 4, 12),
    };
    let at = usize::try_from(at).ok()?;
    let counted = if wide == 8 { 8 } else { 2 };
    let first = at.checked_add(counted)?;
    for index in 0..number(at, counted)? {
        let start = first.checked_add(usize::try_from(index).ok()?.checked_mul(entry)?)?;
        let width: u64 = match number(start.checked_add(2)?, 2)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => continue,
        };
        if number(start.checked_add(4)?, wide)?.saturating_mul(width) > bytes.len() as u64 {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::tiff::TiffEncoder;
    use image::{ExtendedColorType, ImageEncoder};
    use std::io::Cursor;

    #[test]
    fn an_entry_of_more_values_than_there_are_bytes_is_found() {
        let mut file = Cursor::new(Vec::new());
        TiffEncoder::new(&mut file).write_image(&[7; 12], 4, 3, ExtendedColorType::L8).expect("a picture");
        let mut file = file.into_inner();
        assert!(!is_hollow(&file));
        let at = u32::from_le_bytes(file[4..8].try_into().expect("four")) as usize + 2;
        // the third byte of the first entry's count
        file[at + 6] = 0x40;
        assert!(is_hollow(&file));
        assert!((0..file.len()).all(|end| end == file.len() || !is_hollow(&file[..end.min(at)])));
        assert!(!is_hollow(b"MM\0\x2a") && !is_hollow(b""));
    }
}
