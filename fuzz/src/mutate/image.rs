//! Pictures: the chunks of PNG and WebP and the segments of JPEG, with lengths and checksums that are right; other kinds by their bytes.

use super::{bytes, chance};
use fastrand::Rng;

/// The parts change; in a third of the cases any bytes do.
pub fn image(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    if chance(rng, 35) {
        return bytes(rng, file, others);
    }
    if let Some(rest) = file.strip_prefix(PNG) {
        return png(rng, rest, others);
    }
    match file {
        [0xff, 0xd8, ..] => jpeg(rng, file),
        [b'R', b'I', b'F', b'F', ..] if file.len() > 12 => webp(rng, file),
        _ => bytes(rng, file, others),
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn checksum(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

/// Kind and data of each chunk.
fn chunks(mut rest: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    while let [a, b, c, d, after @ ..] = rest {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (Some(kind), Some(data)) = (after.get(..4), len.checked_add(4).and_then(|end| after.get(4..end)))
        else {
            break;
        };
        found.push((kind.to_vec(), data.to_vec()));
        rest = after.get(8 + len..).unwrap_or_default();
    }
    found
}

fn png(rng: &mut Rng, rest: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = chunks(rest);
    shuffle(rng, &mut parts);
    if let Some(other) =
        super::one_of(rng, others).and_then(|other| other.strip_prefix(PNG)).filter(|_| chance(rng, 15))
    {
        let theirs = chunks(other);
        if let Some(part) = super::one_of(rng, &theirs) {
            let at = rng.usize(..=parts.len());
            parts.insert(at, part.clone());
        }
    }
    if !parts.is_empty() {
        let at = if chance(rng, 30) { 0 } else { rng.usize(..parts.len()) };
        match rng.u8(..8) {
            0 => {
                let kinds: [&[u8]; 10] = [
                    b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"IEND",
                ];
                parts[at].0 = kinds[rng.usize(..kinds.len())].to_vec();
            }
            _ => parts[at].1 = bytes(rng, &parts[at].1, &[]),
        }
    }
    let mut made = PNG.to_vec();
    for (kind, data) in parts {
        let named = [kind, data].concat();
        made.extend((named.len() as u32 - 4).to_be_bytes());
        made.extend(&named);
        made.extend(checksum(&named).to_be_bytes());
    }
    made
}

/// Takes a part out, doubles it, or exchanges it with another.
fn shuffle<T: Clone>(rng: &mut Rng, parts: &mut Vec<T>) {
    if parts.is_empty() || !chance(rng, 30) {
        return;
    }
    let at = rng.usize(..parts.len());
    match rng.u8(..3) {
        0 => drop(parts.remove(at)),
        1 => {
            let copy = parts[at].clone();
            let count = if chance(rng, 20) { 50 } else { 1 };
            parts.splice(at..at, std::iter::repeat_n(copy, count));
        }
        _ => {
            let other = rng.usize(..parts.len());
            parts.swap(at, other);
        }
    }
}

fn jpeg(rng: &mut Rng, file: &[u8]) -> Vec<u8> {
    // a marker, its segment, and what follows up to the next marker
    let (mut parts, mut start) = (Vec::new(), 0);
    for at in 1..file.len() {
        if file[at] == 0xff
            && !matches!(file.get(at + 1), None | Some(0x00 | 0xff | 0xd0..=0xd7))
            && at > start
        {
            parts.push(file[start..at].to_vec());
            start = at;
        }
    }
    parts.push(file[start..].to_vec());
    shuffle(rng, &mut parts);
    if !parts.is_empty() {
        let at = rng.usize(..parts.len());
        let part = &mut parts[at];
        let kept = part.len().min(if chance(rng, 80) { 4 } else { 1 });
        let (head, body) = part.split_at(kept);
        *part = [head, &bytes(rng, body, &[])].concat();
        // a length that is right, where there is one
        if part.len() >= 4 && !matches!(part[1], 0xd8 | 0xd9 | 0xda) && chance(rng, 70) {
            let len = (part.len() - 2).min(65535) as u16;
            part[2..4].copy_from_slice(&len.to_be_bytes());
        }
    }
    parts.concat()
}

fn webp(rng: &mut Rng, file: &[u8]) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut rest = &file[12..];
    while rest.len() >= 8 {
        let len = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
        let end = rest.len().min(8 + len.next_multiple_of(2));
        parts.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    shuffle(rng, &mut parts);
    if !parts.is_empty() {
        let at = rng.usize(..parts.len());
        let part = &mut parts[at];
        let (head, body) = part.split_at(8.min(part.len()));
        let body = bytes(rng, body, &[]);
        *part = [head, body.as_slice()].concat();
        if part.len() >= 8 && chance(rng, 80) {
            let len = (part.len() - 8) as u32;
            part[4..8].copy_from_slice(&len.to_le_bytes());
        }
    }
    let body = parts.concat();
    [b"RIFF", ((body.len() + 4) as u32).to_le_bytes().as_slice(), b"WEBP", &body].concat()
}
