//! Tar files: fields of headers change, with checksums that are right; members are taken out, doubled and swapped, get long names and
//! sizes by extended headers; what is said of pictures changes as text.

use super::{bytes, chance, json, number, one_of, text};
use fastrand::Rng;

const BLOCK: usize = 512;
/// Where the checksum stands, which counts as spaces.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A header and what follows it.
type Member = ([u8; BLOCK], Vec<u8>);

/// The members change; in a sixth of the cases any bytes do.
pub fn tar(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut members = members(file);
    if members.is_empty() || chance(rng, 16) {
        return bytes(rng, file, others);
    }
    for _ in 0..=rng.usize(..3) {
        change(rng, &mut members, others);
    }
    let mut changed = Vec::new();
    for (header, content) in &members {
        let mut header = *header;
        if !chance(rng, 4) {
            sum_up(&mut header);
        }
        changed.extend(header);
        changed.extend(content);
        changed.resize(changed.len().next_multiple_of(BLOCK), 0);
    }
    if !chance(rng, 10) {
        changed.resize(changed.len() + 2 * BLOCK, 0);
    }
    if chance(rng, 8) {
        changed.truncate(rng.usize(..=changed.len()));
    }
    changed
}

fn members(mut file: &[u8]) -> Vec<Member> {
    let mut found = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<BLOCK>() {
        let digits: String = header[124..135].iter().map(|digit| char::from(*digit)).collect();
        let Ok(size) = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8) else { break };
        let Some(content) = rest.get(..size) else { break };
        found.push((*header, content.to_vec()));
        file = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    found
}

fn sum_up(header: &mut [u8; BLOCK]) {
    header[CHECKSUM].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn change(rng: &mut Rng, members: &mut Vec<Member>, others: &[Vec<u8>]) {
    if members.is_empty() {
        return;
    }
    let at = rng.usize(..members.len());
    match rng.u8(..16) {
        0 => drop(members.remove(at)),
        1 => members.insert(at, members[at].clone()),
        2 => {
            let other = rng.usize(..members.len());
            members.swap(at, other);
        }
        3 => members[at].0[156] = *one_of(rng, b"01234567xgLKSVDMNA\0").unwrap_or(&0),
        4 | 5 => size(rng, &mut members[at].0),
        6 => name(rng, &mut members[at].0),
        7 => {
            let field = rng.usize(..BLOCK);
            members[at].0[field] = rng.u8(..);
        }
        8 | 9 => members.insert(at, extended(rng)),
        10 => members.insert(at, long_name(rng)),
        11 => {
            let end = rng.usize(..=members[at].1.len());
            members[at].1.truncate(end);
        }
        _ => {
            let content = &members[at].1;
            // pictures have a format of their own
            let changed = match (content.first(), content.starts_with(b"\x89PNG")) {
                (_, true) => content.clone(),
                (Some(b'{'), _) => json(rng, content, others),
                _ => text(rng, content, others),
            };
            let len = changed.len();
            members[at].1 = changed;
            members[at].0[124..135].copy_from_slice(format!("{len:011o}").as_bytes());
        }
    }
}

/// A size in octal digits, or in the bytes that GNU's tar writes.
fn size(rng: &mut Rng, header: &mut [u8; BLOCK]) {
    let size = number(rng);
    match chance(rng, 40) {
        true => {
            header[124] = 0x80;
            header[125..128].fill(0);
            header[128..136].copy_from_slice(&size.to_be_bytes());
        }
        false => {
            let digits = format!("{:011o}", size as u64);
            header[124..135].copy_from_slice(&digits.as_bytes()[digits.len() - 11..]);
        }
    }
}

const NAMES: [&str; 10] = [
    "../../x.png",
    "/x.png",
    "a/b/c/d/e/f.png",
    ".png",
    "cat.png.png",
    "cat/",
    "",
    "000.cls",
    "000.json",
    "\u{301}\u{202e}.png",
];

fn name(rng: &mut Rng, header: &mut [u8; BLOCK]) {
    let name = NAMES[rng.usize(..NAMES.len())].as_bytes();
    let field = if chance(rng, 25) { 345 } else { 0 };
    header[field..field + 100].fill(if chance(rng, 5) { b'a' } else { 0 });
    header[field..field + name.len()].copy_from_slice(name);
}

fn made(kind: u8, content: Vec<u8>) -> Member {
    let mut header = [0; BLOCK];
    header[..4].copy_from_slice(b"made");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    (header, content)
}

/// POSIX's extended header: `LENGTH KEY=VALUE` in lines.
fn extended(rng: &mut Rng) -> Member {
    let mut content = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let key =
            ["path", "size", "linkpath", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.realsize", "mtime"]
                [rng.usize(..7)];
        let value = match chance(rng, 50) {
            true => number(rng).to_string(),
            false => NAMES[rng.usize(..NAMES.len())].repeat(rng.usize(1..40)),
        };
        let body = format!(" {key}={value}\n");
        let mut len = body.len() + 1;
        while len != body.len() + len.to_string().len() {
            len = body.len() + len.to_string().len();
        }
        let len = if chance(rng, 8) { number(rng) } else { len as i64 };
        content.extend(format!("{len}{body}").bytes());
    }
    made(if chance(rng, 80) { b'x' } else { b'g' }, content)
}

fn long_name(rng: &mut Rng) -> Member {
    made(b'L', NAMES[rng.usize(..NAMES.len())].repeat(rng.usize(1..60)).into_bytes())
}
