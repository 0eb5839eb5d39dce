//! The parts of a WebP, before its decoder believes them: each picture in it says its own size again, and is decoded at that.

/// Whether a picture in the file says that it is larger than the whole.
pub(super) fn is_hollow(bytes: &[u8]) -> bool {
    let parts = bytes.get(12..).unwrap_or_default();
    let canvas = chunks(parts).find_map(|(kind, data)| match kind {
        // flags and three bytes of none, then width and height, each less one
        b"VP8X" => Some([4, 7].map(|at| number(data, at, 3) + 1)),
        _ => None,
    });
    let Some([width, height]) = canvas else { return false };
    let is_larger =
        |(kind, data): (&[u8], &[u8])| size(kind, data).is_some_and(|[w, h]| w > width || h > height);
    chunks(parts).any(|(kind, data)| match kind {
        // a picture of a film: its place, size and time, then parts of its own
        b"ANMF" => chunks(data.get(16..).unwrap_or_default()).any(is_larger),
        _ => is_larger((kind, data)),
    })
}

/// Whether a part says that it is longer than what is left of the file.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    // "WEBP" counts, and what others have put behind the end does not
    let end = number(bytes, 4, 4).saturating_sub(4);
    let mut at = 0u64;
    parts(bytes.get(12..).unwrap_or_default()).any(|(_, len, data)| {
        let is_inside = at < end;
        at = at.saturating_add(8 + len.next_multiple_of(2) as u64);
        is_inside && data.len() < len
    })
}

/// Kind and content of each part.
fn chunks(rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    parts(rest).map(|(kind, _, data)| (kind, data))
}

/// Kind, length and content of each part; less of that where the file ends before.
fn parts(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], usize, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_at_checked(4)?;
        let len = usize::try_from(number(after, 0, 4)).ok()?;
        let data = after.get(4..)?;
        let own = data.get(..len).unwrap_or(data);
        rest = data.get(len.next_multiple_of(2)..).unwrap_or_default();
        Some((kind, len, own))
    })
}

/// Width and height of a picture.
fn size(kind: &[u8], data: &[u8]) -> Option<[u64; 2]> {
    match kind {
        // a mark of three bytes behind three others
        b"VP8 " => Some([6, 8].map(|at| number(data, at, 2) & 0x3FFF)),
        // 14 bits each behind a mark of one byte, less one
        b"VP8L" => Some([0, 14].map(|shift| ((number(data, 1, 4) >> shift) & 0x3FFF) + 1)),
        _ => None,
    }
}

/// The number of so many bytes, the lowest first; 0 where there are fewer.
fn number(data: &[u8], at: usize, width: usize) -> u64 {
    let own = data.get(at..at + width).unwrap_or_default();
    own.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat()
    }

    #[test]
    fn a_picture_that_is_larger_than_the_whole_is_found() {
        let canvas = part(b"VP8X", &[0, 0, 0, 0, 11, 0, 0, 8, 0, 0]);
        let of = |picture: Vec<u8>| is_hollow(&[b"RIFF----WEBP".to_vec(), canvas.clone(), picture].concat());
        let lossy = |width: u8, height: u8| part(b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, width, 0, height, 0]);
        let lossless = |width: u32, height: u32| {
            let bits = (width - 1) | (height - 1) << 14;
            part(b"VP8L", &[&[0x2f], bits.to_le_bytes().as_slice(), &[0]].concat())
        };
        assert!(!of(lossy(12, 9)) && of(lossy(13, 9)) && of(lossy(12, 10)));
        assert!(!of(lossless(12, 9)) && of(lossless(12, 600)));
        let film = |picture: Vec<u8>| part(b"ANMF", &[vec![0; 16], picture].concat());
        assert!(!of(film(lossy(12, 9))) && of(film(lossy(13, 9))));
        assert!(!is_hollow(b"RIFF----WEBP") && !is_hollow(b""));
    }

    #[test]
    fn a_part_that_is_longer_than_the_file_is_found() {
        let file = [b"RIFF----WEBP".to_vec(), part(b"VP8 ", &[0; 10]), part(b"EXIF", &[0; 7])].concat();
        assert!(!is_cut_off(&file) && is_cut_off(&file[..file.len() - 1]));
        // the last byte of an odd length may be left out, and what is behind the last part is none
        assert!(!is_cut_off(&[&file, b"\0\0".as_slice()].concat()) && !is_cut_off(b""));
        let mut whole = [file, vec![0], part(b"tail", &[1; 100])].concat();
        whole.truncate(100);
        assert!(is_cut_off(&whole));
        // "WEBP" and both parts
        whole[4..8].copy_from_slice(&(4u32 + 18 + 16).to_le_bytes());
        assert!(!is_cut_off(&whole));
    }
}
