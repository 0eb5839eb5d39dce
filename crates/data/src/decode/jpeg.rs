//! A walk over a JPEG's markers, for what the decoder lets pass: a file that was cut off, which it would fill with
//! grey, and CMYK whose sign is unknown; and for scan headers that other decoders take as they are.

use std::borrow::Cow;

/// Why a JPEG is refused before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The end marker is missing.
    Truncated,
    /// Four components without an Adobe marker: nothing says whether ink is stored as 0 or as 255. The decoder
    /// takes Adobe's inverted form.
    UnmarkedCmyk,
    /// More scans than [`MOST_SCANS`].
    ManyScans,
    /// More pixels than its bytes can hold, however they are packed.
    Hollow,
}

/// So many scans a file may have. Each goes over the whole picture, and takes a few bytes: thousands of them take minutes. Encoders write
/// about ten.
pub(super) const MOST_SCANS: usize = 500;

/// What a scan of a file that is not progressive says of its coefficients and bits: all of them.
const WHOLE_SCAN: [u8; 3] = [0, 63, 0];

/// A JPEG that is not refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Where scans of a file that is not progressive say otherwise, as some cameras write it. That says nothing: libjpeg, and so
    /// Pillow and TensorFlow, warns and takes the whole scan.
    off: Vec<usize>,
}

impl Walked {
    /// Whether a scan header is off.
    pub(super) fn is_off(&self) -> bool {
        !self.off.is_empty()
    }

    /// The file with scan headers as they should be.
    pub(super) fn mended<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.off.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut bytes = bytes.to_vec();
        self.off.iter().for_each(|at| bytes[*at..*at + WHOLE_SCAN.len()].copy_from_slice(&WHOLE_SCAN));
        Cow::Owned(bytes)
    }
}

/// Walks from the first marker to the end of the image. `bytes` start with a start-of-image marker.
pub(super) fn check(bytes: &[u8]) -> Result<Walked, Refused> {
    let (mut at, mut scans, mut components, mut adobe) = (2, 0, 0, false);
    let (mut is_sequential, mut off, mut blocks) = (false, Vec::new(), 0);
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
        let start = at + 2;
        at += length.max(2);
        match marker {
            0xDA => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(Refused::ManyScans);
                }
                // number of components, two bytes for each, then first and last coefficient and the bits
                let said = 1 + 2 * usize::from(segment.first().copied().unwrap_or(0));
                if segment.get(said..said + 3).is_some_and(|said| said != WHOLE_SCAN) {
                    off.push(start + said);
                }
            }
            0xEE if segment.starts_with(b"Adobe") => adobe = true,
            // start of frame: precision, height, width, number of components
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                components = segment.get(5).copied().unwrap_or(0);
                if let (Some(&[_, above, below, left, right]), true) = (segment.first_chunk(), marker < 0xC8)
                {
                    let blocks_of = |high, low| u64::from(u16::from_be_bytes([high, low]).div_ceil(8));
                    blocks = blocks_of(above, below) * blocks_of(left, right);
                }
                is_sequential = matches!(marker, 0xC0 | 0xC1);
            }
            _ => {}
        }
    }
    // one component has all blocks, and each of them at least one bit, of Huffman's codes, for how bright it is
    if blocks > 8 * bytes.len() as u64 {
        return Err(Refused::Hollow);
    }
    if components == 4 && !adobe {
        return Err(Refused::UnmarkedCmyk);
    }
    off.retain(|_| is_sequential);
    Ok(Walked { off })
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
        assert!(check(&whole).is_ok());
        for end in 2..whole.len() {
            assert_eq!(check(&whole[..end]), Err(Refused::Truncated), "cut at {end}");
        }
    }

    #[test]
    fn so_many_scans_are_read_and_no_more() {
        let [head, scan] = [jpeg(3, false)[..13].to_vec(), vec![0xFF, 0xDA, 0, 2, 1]];
        let of = |scans| check(&[head.clone(), scan.repeat(scans), vec![0xFF, 0xD9]].concat());
        assert!(of(MOST_SCANS).is_ok());
        assert_eq!(of(MOST_SCANS + 1), Err(Refused::ManyScans));
    }

    #[test]
    fn pixels_that_the_bytes_cannot_hold_are_found() {
        let mut file = jpeg(3, false);
        let size = file.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap() + 5;
        // as many blocks as there are bits
        let blocks = 8 * file.len() as u16;
        file[size..size + 4].copy_from_slice(&[&[0, 8], (8 * blocks).to_be_bytes().as_slice()].concat());
        assert!(check(&file).is_ok());
        file[size..size + 2].copy_from_slice(&[0, 9]);
        assert_eq!(check(&file), Err(Refused::Hollow));
        // what is packed by arithmetic takes less than a bit for a block
        file[size - 4] = 0xC9;
        assert!(check(&file).is_ok());
    }

    #[test]
    fn data_after_the_end_is_no_matter() {
        assert!(check(&[jpeg(3, false), vec![0; 5]].concat()).is_ok());
    }

    #[test]
    fn cmyk_needs_the_marker_that_gives_its_sign() {
        assert!(check(&jpeg(4, true)).is_ok());
        assert_eq!(check(&jpeg(4, false)), Err(Refused::UnmarkedCmyk));
    }

    #[test]
    fn scan_headers_that_are_off_are_mended_unless_the_file_is_progressive() {
        let with = |frame: u8, said: [u8; 3]| {
            let mut bytes = vec![0xFF, 0xD8, 0xFF, frame, 0, 9, 8, 0, 1, 0, 1, 1, 0];
            bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0]);
            bytes.extend(said);
            bytes.extend([1, 2, 0xFF, 0xD9]);
            bytes
        };
        let good = with(0xC0, [0, 63, 0]);
        assert!(!check(&good).unwrap().is_off());
        let off = with(0xC0, [0, 255, 17]);
        assert_eq!(check(&off).unwrap().mended(&off), good);
        assert!(!check(&with(0xC2, [0, 0, 1])).unwrap().is_off());
    }
}
