//! Lines and words: tables, recipes and lists.

use super::{bytes, chance, number, one_of};
use fastrand::Rng;

/// Words that are hard to take.
const HARD: [&str; 24] = [
    "",
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "'",
    "=",
    "[",
    "]]",
    "{",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1e-400",
    "true",
    "\u{feff}",
    "e\u{301}",
    "\0",
    "..",
    "/",
    "|",
    "99999999999999999999",
];

/// Lines and words change; now and then bytes do.
pub fn text(rng: &mut Rng, text: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    if chance(rng, 25) {
        return bytes(rng, text, others);
    }
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=rng.usize(..5) {
        change(rng, &mut lines, others);
    }
    lines.join(&b'\n')
}

fn change(rng: &mut Rng, lines: &mut Vec<Vec<u8>>, others: &[Vec<u8>]) {
    if lines.is_empty() {
        lines.push(Vec::new());
    }
    let at = rng.usize(..lines.len());
    match rng.u8(..9) {
        0 => drop(lines.remove(at)),
        1 => {
            let count = if chance(rng, 10) { 200 } else { 1 };
            let copy = lines[at].clone();
            lines.splice(at..at, std::iter::repeat_n(copy, count));
        }
        2 => {
            let other = rng.usize(..lines.len());
            lines.swap(at, other);
        }
        3 => {
            if let Some(other) = one_of(rng, others) {
                let theirs: Vec<&[u8]> = other.split(|byte| *byte == b'\n').collect();
                lines.insert(at, theirs[rng.usize(..theirs.len())].to_vec());
            }
        }
        _ => {
            let line = &mut lines[at];
            let words = words(line);
            let Some((from, to)) = one_of(rng, &words).copied() else { return };
            let new = match rng.u8(..5) {
                0 => number(rng).to_string().into_bytes(),
                1 => HARD[rng.usize(..HARD.len())].as_bytes().to_vec(),
                2 => line[from..to].repeat(2 + rng.usize(..3) * rng.usize(..40)),
                3 => {
                    let (other_from, other_to) = words[rng.usize(..words.len())];
                    line[other_from..other_to].to_vec()
                }
                _ => format!("{}", rng.f32() * 10f32.powi(rng.i32(-40..40))).into_bytes(),
            };
            line.splice(from..to, new);
        }
    }
}

/// Where words lie, and what is between them.
fn words(line: &[u8]) -> Vec<(usize, usize)> {
    let is_word = |byte: u8| {
        byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' || byte == b'_' || byte >= 0x80
    };
    let (mut found, mut start) = (Vec::new(), 0);
    for at in 1..=line.len() {
        if at == line.len() || !is_word(line[at]) || !is_word(line[at - 1]) {
            found.push((start, at));
            start = at;
        }
    }
    found
}
