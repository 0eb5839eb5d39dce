//! A walk over a JPEG's markers, for what the decoder lets pass: a file that was cut off, which it would fill with
//! grey, and CMYK whose sign is unknown.

/// Why a JPEG is refused before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The end marker is missing.
    Truncated,
    /// Four components without an Adobe marker: nothing says whether ink is stored as 0 or as 255. The decoder
    /// takes Adobe's inverted form.
    UnmarkedCmyk,
}

/// Walks from the first marker to the end of the image. `bytes` start with a start-of-image marker.
pub(super) fn check(bytes: &[u8]) -> Result<(), Refused> {
    let (mut at, mut scans, mut components, mut adobe) = (2, 0, 0, false);
    loop {
        let marker = next_marker(bytes, &mut at).ok_or(Refused::Truncated)?;
        match marker {
            0xD9 if scans > 0 => break,
            0xD9 => return Err(Refused::Truncated),
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(Refused::Truncated),
        };
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or(Refused::Truncated)?;
        at += length.max(2);
        match marker {
            0xDA => scans += 1,
            0xEE if segment.starts_with(b"Adobe") => adobe = true,
            // start of frame: precision, height, width, number of components
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                components = segment.get(5).copied().unwrap_or(0);
            }
            _ => {}
        }
    }
    if components == 4 && !adobe {
        return Err(Refused::UnmarkedCmyk);
    }
    Ok(())
}

/// The code of the next marker; `at` moves behind it. Entropy-coded data is skipped: in it `FF` is followed by `00`
/// or a restart marker.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let found = *at + bytes.get(*at..)?.iter().position(|&b| b == 0xFF)?;
        let code = *bytes.get(found + 1)?;
        match code {
            0xFF => *at = found + 1,
            0x00 => *at = found + 2,
            _ => {
                *at = found + 2;
                return Some(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(components: u8, adobe: bool) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        if adobe {
            bytes.extend([0xFF, 0xEE, 0, 14]);
            bytes.extend(b"Adobe\0\0\0\0\0\0\0");
        }
        bytes.extend([0xFF, 0xC0, 0, 9, 8, 0, 1, 0, 1, components, 0]);
        bytes.extend([0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn a_whole_file_passes_and_every_cut_is_found() {
        let whole = jpeg(3, false);
        assert_eq!(check(&whole), Ok(()));
        for end in 2..whole.len() {
            assert_eq!(check(&whole[..end]), Err(Refused::Truncated), "cut at {end}");
        }
    }

    #[test]
    fn data_after_the_end_is_no_matter() {
        assert_eq!(check(&[jpeg(3, false), vec![0; 5]].concat()), Ok(()));
    }

    #[test]
    fn cmyk_needs_the_marker_that_gives_its_sign() {
        assert_eq!(check(&jpeg(4, true)), Ok(()));
        assert_eq!(check(&jpeg(4, false)), Err(Refused::UnmarkedCmyk));
    }
}
