//! Bytes that change anywhere.

use super::{NUMBERS, chance, one_of};
use fastrand::Rng;

/// No file grows beyond this by being changed: large files take long, and show no more.
const LARGEST: usize = 1 << 18;

/// One to eight changes.
pub fn bytes(rng: &mut Rng, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=rng.usize(..8) {
        change(rng, &mut changed, others);
    }
    changed.truncate(LARGEST);
    changed
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    if bytes.is_empty() {
        bytes.push(rng.u8(..));
        return;
    }
    let at = rng.usize(..bytes.len());
    let end = bytes.len().min(at + 1 + rng.usize(..64));
    match rng.u8(..12) {
        0 => bytes[at] = rng.u8(..),
        1 => bytes[at] = [0, 0xff, 0x7f, 0x80][rng.usize(..4)],
        2 | 3 => bytes[at] ^= 1 << rng.u8(..8),
        4..=6 => {
            let number = NUMBERS[rng.usize(..NUMBERS.len())];
            let width = [1, 2, 4, 8][rng.usize(..4)];
            let mut number = number.to_le_bytes()[..width].to_vec();
            if rng.bool() {
                number.reverse();
            }
            for (place, byte) in bytes[at..].iter_mut().zip(number) {
                *place = byte;
            }
        }
        7 => drop(bytes.drain(at..end)),
        8 => {
            let copy = bytes[at..end].to_vec();
            let to = rng.usize(..=bytes.len());
            bytes.splice(to..to, copy);
        }
        9 => {
            let new: Vec<u8> = (0..rng.usize(1..32)).map(|_| rng.u8(..)).collect();
            bytes.splice(at..at, new);
        }
        10 if chance(rng, 40) => bytes.truncate(at),
        10 => bytes[at..end].fill([0, 0xff, b' ', b'9'][rng.usize(..4)]),
        _ => {
            if let Some(other) = one_of(rng, others).filter(|other| !other.is_empty()) {
                let from = rng.usize(..other.len());
                let to = other.len().min(from + 1 + rng.usize(..256));
                bytes.splice(at..end, other[from..to].to_vec());
            }
        }
    }
}
