//! Parquet: the description at the end changes more than what it describes, and its length stays right.

use super::{bytes, chance, number, one_of};
use fastrand::Rng;

/// The length of the description, and the mark behind it.
const TAIL: usize = 8;

/// The description or the pages change; in a fifth of the cases any bytes do.
pub fn parquet(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Some((pages, about)) = parts(file).filter(|_| !chance(rng, 20)) else {
        return bytes(rng, file, others);
    };
    let (mut pages, mut about) = (pages.to_vec(), about.to_vec());
    match rng.u8(..10) {
        0..6 => about = described(rng, &about),
        6..8 => pages = bytes(rng, &pages, &[]),
        8 => {
            let theirs = one_of(rng, others).and_then(|other| parts(other));
            about = theirs.map_or(about, |(_, theirs)| theirs.to_vec());
        }
        _ => {
            about = described(rng, &about);
            pages = bytes(rng, &pages, &[]);
        }
    }
    let len = match chance(rng, 5) {
        true => number(rng) as u32,
        false => about.len() as u32,
    };
    [&pages[..], &about[..], &len.to_le_bytes(), b"PAR1"].concat()
}

/// The pages, with the mark before them, and the description.
fn parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = file.len().checked_sub(TAIL)?;
    let len = u32::from_le_bytes(file[end..end + 4].try_into().ok()?) as usize;
    Some(file[..end].split_at(end.checked_sub(len)?))
}

/// Thrift's compact protocol: numbers change as it writes them, in seven bits a byte, or a byte changes.
fn described(rng: &mut Rng, about: &[u8]) -> Vec<u8> {
    let mut about = about.to_vec();
    for _ in 0..=rng.usize(..3) {
        if about.is_empty() {
            break;
        }
        let at = rng.usize(..about.len());
        match rng.u8(..6) {
            0..3 => {
                let end = about[at..]
                    .iter()
                    .position(|byte| byte & 0x80 == 0)
                    .map_or(about.len(), |end| at + end + 1);
                let value = number(rng);
                let zigzag = ((value << 1) ^ (value >> 63)) as u64;
                about.splice(at..end, varint(zigzag));
            }
            3 => about[at] ^= 1 << rng.u8(..8),
            4 => about[at] = rng.u8(..),
            _ => return bytes(rng, &about, &[]),
        }
    }
    about
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut found = Vec::new();
    while value >= 0x80 {
        found.push(value as u8 | 0x80);
        value >>= 7;
    }
    found.push(value as u8);
    found
}
